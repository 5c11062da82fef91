# SPDX-License-Identifier: Apache-2.0
"""Laws: a value times a gate that opens and closes with it is one function of it, with far closer lines.

A law takes a form, and returns the sum of terms that it equals, or None if it does not apply. Numbers that
exporters round, as the square root of two in GELU, stay as they are: they are parameters of the function.

Parameters are exact fractions here and floats in the operators. Those of soft gates and of HardSwish may be
rounded: their errors have room for that, and `source` keeps the fractions, so that nothing later takes two
such functions for one that are not. The slope of LeakyRelu and the level of Elu must be floats.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from vnnverify.ir.op import Elementwise
from vnnverify.ops.gates import Gelu, GeluTanh, HardSwish, Mish, Silu
from vnnverify.ops.piecewise import Abs, Clip, LeakyRelu, Relu
from vnnverify.ops.sigmoidal import Erf, Sigmoid, Tanh
from vnnverify.ops.smooth import Elu, Exp, Softplus
from vnnverify.ops.steps import Sign, Step
from vnnverify.simplify.exactness import can_be_rounded, is_float, source_of
from vnnverify.simplify.forms import ONE, Applied, Form, Monomial, minus, plus, ratio, times

__all__ = ["Term", "gated", "split", "unknowns"]

HALF, TWO = Fraction(1, 2), Fraction(2)
RATES = Fraction(1, 64), Fraction(64)
"""Least and largest rate of a gate: what the placing of its turning points is made for."""
CUBICS = Fraction(1, 30), Fraction(1, 15)
"""Least and largest coefficient of x³ in the tanh of GELU, 0.044715: with such it has two inflections."""


@dataclass(frozen=True, slots=True)
class Term:
    """factor·op(argument), or factor·argument without an op."""

    factor: Fraction
    op: Elementwise | None
    argument: Form


def unknowns(form: Form, *kinds: type[Elementwise]) -> list[Applied]:
    """Functions of these kinds that occur in a form; without kinds, all."""
    found = [u for monomial in form for u, _ in monomial if isinstance(u, Applied)]
    return [u for u in dict.fromkeys(found) if not kinds or u.kind in kinds]


def split(form: Form, unknown: Applied) -> tuple[Form, Form] | None:
    """(p, q) with form = p + q·unknown, neither of which has it; None if it occurs to a power."""
    outside: dict[Monomial, Fraction] = {}
    inside: dict[Monomial, Fraction] = {}
    for monomial, coefficient in form.items():
        powers = dict(monomial)
        power = powers.pop(unknown, 0)
        if power > 1:
            return None
        (inside if power else outside)[frozenset(powers.items())] = coefficient
    return outside, inside


def gated(form: Form) -> list[Term] | None:
    """The form as one function or two, where it is p + q·g with a gate g."""
    for gate in unknowns(form, Erf, Sigmoid, Tanh, Clip, Sign, Step):
        parts = split(form, gate)
        if parts is None or not parts[1]:
            continue
        for law in _LAWS[gate.kind]:
            found = law(gate, *parts)
            if found is not None:
                return list(found)
    return None


def _rated(argument: Form) -> tuple[Form, Fraction]:
    """(v, r) with argument = r·v and r > 0, v up to its sign a single unknown if it can be."""
    if len(argument) == 1:
        ((monomial, coefficient),) = argument.items()
        sign = 1 if coefficient > 0 else -1
        return {monomial: Fraction(sign)}, abs(coefficient)
    return argument, Fraction(1)


def _scaled(op: type[Gelu] | type[Silu], factor: Fraction, argument: Form, q: Form) -> list[Term] | None:
    """factor·c·op(v) for q = c·v and a gate of r·v."""
    v, rate = _rated(argument)
    c = ratio(q, v)
    if c is None or not RATES[0] <= rate <= RATES[1]:
        return None
    return [Term(factor * c, op(float(rate), source=source_of(rate)), v)]


def _cubed(argument: Form, q: Form, halved: Fraction) -> tuple[Fraction, GeluTanh, Form] | None:
    """(c, op, v) for q = c·v and a gate of a·(v + b·v³)/halved."""
    if len(argument) != 2:
        return None
    for monomial, a in argument.items():
        v: Form = {monomial: Fraction(1)}
        b = argument.get(next(iter(times(v, times(v, v)))), Fraction(0)) / a
        rate, c = a * halved, ratio(q, v)
        if c is not None and CUBICS[0] <= b <= CUBICS[1] and HALF <= rate <= 1:
            return c, GeluTanh(float(rate), float(b), source=source_of(rate, b)), v
    return None


def _erf(gate: Applied, p: Form, q: Form) -> list[Term] | None:
    """c·x·(1 + erf(r·x))."""
    return _scaled(Gelu, TWO, gate.argument, q) if p == q else None


def _sigmoid(gate: Applied, p: Form, q: Form) -> list[Term] | None:
    """c·x·sigmoid(r·x), or sigmoid(2a·(x + b·x³))."""
    if p:
        return None
    cubed = _cubed(gate.argument, q, HALF)
    if cubed is not None:
        return [Term(*cubed)]
    return _scaled(Silu, Fraction(1), gate.argument, q)


def _tanh(gate: Applied, p: Form, q: Form) -> list[Term] | None:
    """c·x·(1 + tanh(…)) is 2c·x·sigmoid(2·…)."""
    if p != q:
        return None
    cubed = _cubed(gate.argument, q, Fraction(1))
    if cubed is not None:
        c, op, v = cubed
        return [Term(TWO * c, op, v)]
    return _scaled(Silu, TWO, times({ONE: TWO}, gate.argument), q)


def _mish(gate: Applied, p: Form, q: Form) -> list[Term] | None:
    """c·x·tanh(softplus(x))."""
    inner = unknowns(gate.argument, Softplus)
    if p or len(inner) != 1 or split(gate.argument, inner[0]) != ({}, {ONE: Fraction(1)}):
        return None
    c = ratio(q, inner[0].argument)
    return None if c is None else [Term(c, Mish(), inner[0].argument)]


def _clip(gate: Applied, p: Form, q: Form) -> list[Term] | None:
    """c·x·min(max(a·x + b, 0), h) with b between 0 and h."""
    low, high = gate.parameters
    if p or low != 0.0 or not isinstance(high, float) or high == float("inf"):
        return None
    h = Fraction(high)
    slanted = dict(gate.argument)
    b = slanted.pop(ONE, Fraction(0)) / h
    v, a = _rated(slanted)
    a, c = a / h, ratio(q, v)
    if c is None or not 0 < b < 1 or max(b, 1 - b) ** 2 > 4 * a or not can_be_rounded(a, b):
        return None
    return [Term(c * h, HardSwish(float(a), float(b), source=source_of(a, b)), v)]


def _sign(gate: Applied, p: Form, q: Form) -> list[Term] | None:
    """c·x·sign(x) is c·|x|; |x|·sign(x) is x."""
    if p:
        return None
    if q == {next(iter(q)): Fraction(1)} and unknowns(q, Abs):
        (size, *_) = unknowns(q, Abs)
        if split(q, size) == ({}, {ONE: Fraction(1)}) and size.items == gate.items:
            return [Term(Fraction(1), None, gate.argument)]
    c = ratio(q, gate.argument)
    return None if c is None else [Term(c, Abs(), gate.argument)]


def _step(gate: Applied, p: Form, q: Form) -> list[Term] | None:
    """p + q·step(z) for q = a·z + b: bent at the step, with a jump of b there."""
    z = gate.argument
    slanted = [monomial for monomial in z if monomial]
    a = q.get(slanted[0], Fraction(0)) / z[slanted[0]] if slanted else Fraction(0)
    b = minus(q, times({ONE: a} if a else {}, z))
    if set(b) - {ONE}:
        return None
    jump = [Term(b[ONE], gate.op, z)] if b else []
    before = ratio(p, z) if p else Fraction(0)
    if a and before is not None and before and before + a and is_float(before / (before + a)):
        return [Term(before + a, LeakyRelu(float(before / (before + a))), z), *jump]
    bent = [Term(a, Relu(), z)] if a else []
    return [*([Term(Fraction(1), None, p)] if p else []), *bent, *jump]


def _elu(gate: Applied, p: Form, q: Form) -> list[Term] | None:
    """alpha·(exp(x) − 1) below zero, x above."""
    for exponential in unknowns(p, Exp):
        x, alpha = exponential.argument, -p.get(ONE, Fraction(0))
        rate = ratio(gate.argument, x)
        inner = split(p, exponential)
        above = plus(p, q) == x and rate is not None and rate > 0
        if inner == ({ONE: -alpha}, {ONE: alpha}) and above and alpha > 0 and is_float(alpha):
            return [Term(Fraction(1), Elu(float(alpha)), x)]
    return None


_LAWS = {
    Erf: (_erf,),
    Sigmoid: (_sigmoid,),
    Tanh: (_tanh, _mish),
    Clip: (_clip,),
    Sign: (_sign,),
    Step: (_elu, _step),
}
