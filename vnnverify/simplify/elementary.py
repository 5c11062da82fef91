# SPDX-License-Identifier: Apache-2.0
"""Laws: elementary functions that are written out, as log(1 + exp(x)), are one function each.

A law takes a form, and returns the sum of terms that it equals, or None if it does not apply.
"""

from __future__ import annotations

from fractions import Fraction

from vnnverify.ir.op import Elementwise
from vnnverify.ops.piecewise import Abs, Relu
from vnnverify.ops.sigmoidal import Sigmoid
from vnnverify.ops.smooth import Exp, InverseSqrt, Log, Reciprocal, Softplus, Sqrt
from vnnverify.ops.trigonometry import Softsign
from vnnverify.simplify.forms import ONE, Applied, Form, ratio, times
from vnnverify.simplify.gates import Term, split, unknowns

__all__ = ["elementary"]

UNIT = Fraction(1)


def elementary(form: Form) -> list[Term] | None:
    """The form as one function, where it is c·f(…)·… of another one."""
    for outer in unknowns(form, Log, Reciprocal, Relu, Sqrt, Sigmoid):
        parts = split(form, outer)
        if parts is None or parts[0]:
            continue
        found = _LAWS[outer.kind](outer, parts[1])
        if found is not None:
            return [found]
    return None


def _number(form: Form) -> Fraction | None:
    """The number that a form is."""
    return form.get(ONE) if set(form) == {ONE} else None


def _minus(form: Form) -> Form:
    return times({ONE: -UNIT}, form)


def _of_one_and(argument: Form, kind: type[Exp] | type[Abs]) -> tuple[Fraction, Form] | None:
    """(c, z) for an argument c·(1 + f(z)) with c > 0."""
    for inner in unknowns(argument, kind):
        parts = split(argument, inner)
        if parts is not None and parts[0] == parts[1] and (c := _number(parts[0])) and c > 0:
            return c, inner.argument
    return None


def _alone(argument: Form, *kinds: type[Elementwise]) -> tuple[Fraction, Applied] | None:
    """(c, f(z)) for an argument c·f(z)."""
    for inner in unknowns(argument, *kinds):
        parts = split(argument, inner)
        if parts is not None and not parts[0] and (c := _number(parts[1])):
            return c, inner
    return None


def _log(outer: Applied, q: Form) -> Term | None:
    """log(1 + exp(z)) is softplus(z), log(sigmoid(z)) is −softplus(−z)."""
    factor = _number(q)
    if factor is None:
        return None
    found = _of_one_and(outer.argument, Exp)
    if found is not None and found[0] == 1:
        return Term(factor, Softplus(), found[1])
    single = _alone(outer.argument, Sigmoid)
    if single is not None and single[0] == 1:
        return Term(-factor, Softplus(), _minus(single[1].argument))
    return None


def _reciprocal(outer: Applied, q: Form) -> Term | None:
    """1/(1 + exp(z)) is sigmoid(−z), x/(1 + |x|) softsign(x), 1/sqrt(z) one function."""
    found, factor = _of_one_and(outer.argument, Exp), _number(q)
    if found is not None and factor is not None:
        return Term(factor / found[0], Sigmoid(), _minus(found[1]))
    found = _of_one_and(outer.argument, Abs)
    if found is not None and (c := ratio(q, found[1])) is not None:
        return Term(c / found[0], Softsign(), found[1])
    root = _alone(outer.argument, Sqrt)
    if root is not None and factor is not None:
        return Term(factor / root[0], InverseSqrt(), root[1].argument)
    return None


def _relu(outer: Applied, q: Form) -> Term | None:
    """What is never negative is its own positive part."""
    factor, single = _number(q), _alone(outer.argument)
    if factor is None or single is None or single[0] < 0 or single[1].op.image[0] < 0:
        return None
    return Term(factor, None, outer.argument)


def _sqrt(outer: Applied, q: Form) -> Term | None:
    """sqrt(x²) is |x|."""
    factor = _number(q)
    if factor is None or len(outer.argument) != 1:
        return None
    ((monomial, c),) = outer.argument.items()
    if c != 1 or not monomial or any(power != 2 for _, power in monomial):
        return None
    return Term(factor, Abs(), {frozenset((u, 1) for u, _ in monomial): UNIT})


def _sigmoid(outer: Applied, q: Form) -> Term | None:
    """exp(z)·sigmoid(−z) is sigmoid(z)."""
    for exponential in unknowns(q, Exp):
        parts = split(q, exponential)
        opposite = exponential.argument == _minus(outer.argument)
        if opposite and parts is not None and not parts[0] and (c := _number(parts[1])):
            return Term(c, Sigmoid(), exponential.argument)
    return None


_LAWS = {Log: _log, Reciprocal: _reciprocal, Relu: _relu, Sqrt: _sqrt, Sigmoid: _sigmoid}
