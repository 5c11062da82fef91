# SPDX-License-Identifier: Apache-2.0
"""Values as polynomials in what they are computed from element by element.

However a function is written, x·(1 + y) or x + x·y, its form is the same. Coefficients are exact rationals.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite

from torch import Tensor

from vnnverify.ir.graph import Graph, Node, Value
from vnnverify.ir.op import Elementwise
from vnnverify.ops.arrangement import Constant, Expand
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.choice import Choice
from vnnverify.ops.scale import Scale
from vnnverify.ops.smooth import Power
from vnnverify.ops.steps import Step
from vnnverify.ops.sums import Sum

__all__ = ["Applied", "Form", "Forms", "Monomial", "applied", "form_of", "minus", "plus", "ratio", "times"]

_MOST_TERMS, _HIGHEST_DEGREE = 8, 5
_LONGEST = 900
"""Bits of a coefficient above or below the line. A larger polynomial is taken as an unknown of its own."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A function of a form, as an unknown in another form."""

    kind: type[Elementwise]
    parameters: tuple[Hashable, ...]
    items: frozenset[tuple[Monomial, Fraction]]  # of the form it is applied to

    @property
    def op(self) -> Elementwise:
        """The function."""
        return self.kind(*self.parameters)

    @property
    def argument(self) -> Form:
        """What it is applied to."""
        return dict(self.items)


Monomial = frozenset[tuple[Value | Applied, int]]
"""A product of powers of unknowns; empty for 1."""

Form = Mapping[Monomial, Fraction]
"""A sum of monomials with their coefficients, none of which is zero."""

ONE: Monomial = frozenset()


def plus(a: Form, b: Form, factor: Fraction = Fraction(1)) -> Form:
    """a + factor·b."""
    total = dict(a)
    for monomial, coefficient in b.items():
        total[monomial] = total.get(monomial, Fraction(0)) + factor * coefficient
    return {monomial: c for monomial, c in total.items() if c}


def minus(a: Form, b: Form) -> Form:
    """a − b."""
    return plus(a, b, Fraction(-1))


def times(a: Form, b: Form) -> Form:
    """a·b."""
    total: Form = {}
    for left, c in a.items():
        for right, d in b.items():
            powers = dict(left)
            for unknown, power in right:
                powers[unknown] = powers.get(unknown, 0) + power
            total = plus(total, {frozenset(powers.items()): c * d})
    return total


def ratio(a: Form, b: Form) -> Fraction | None:
    """c if a = c·b, else None; neither is zero."""
    if not b or a.keys() != b.keys():
        return None
    some = next(iter(b))
    c = a[some] / b[some]
    return c if all(a[m] == c * b[m] for m in b) else None


def form_of(unknown: Value | Applied) -> Form:
    """The unknown itself."""
    return {frozenset({(unknown, 1)}): Fraction(1)}


def applied(op: Elementwise, argument: Form) -> Form:
    """The function of a form, as a form."""
    parameters = tuple(getattr(op, field.name) for field in dataclasses.fields(op))
    return form_of(Applied(type(op), parameters, frozenset(argument.items())))


class Forms:
    """The forms of the values of a graph, entered in the order in which they are computed."""

    def __init__(self, graph: Graph) -> None:
        self._forms: dict[Value, Form] = {value: form_of(value) for value in graph.inputs}
        self._known: dict[frozenset[tuple[Monomial, Fraction]], Value] = {}
        for value in graph.inputs:
            self.enter(value, self._forms[value])

    def __getitem__(self, value: Value) -> Form:
        return self._forms[value]

    def enter(self, value: Value, form: Form) -> None:
        """Note the form of a value; too large a one is forgotten."""
        degree = max((sum(power for _, power in monomial) for monomial in form), default=0)
        parts = (part for c in form.values() for part in (c.numerator, c.denominator))
        long = any(part.bit_length() > _LONGEST for part in parts)
        if len(form) > _MOST_TERMS or degree > _HIGHEST_DEGREE or long:
            form = form_of(value)
        self._forms[value] = form
        self._known.setdefault(frozenset(form.items()), value)

    def known(self, form: Form, like: Value) -> Value | None:
        """A value of the shape of `like` that has this form, if there is one."""
        found = self._known.get(frozenset(form.items()))
        return found if found is not None and found.shape == like.shape else None

    def of(self, node: Node) -> Form:
        """The form of what a node computes from values that have been entered."""
        inputs = [self._forms[v] for v in node.inputs]
        match node.op:
            case Scale() as op:
                s, t = _numbers(op)
                if s is not None and t is not None:
                    return plus(times({ONE: s} if s else {}, inputs[0]), {ONE: t} if t else {})
            case Constant(value=value):
                number = _number(value, 0)
                if number is not None:
                    return {ONE: number} if number else {}
            case Expand() if not set(inputs[0]) - {ONE}:
                return inputs[0]
            case Sum(signs=signs):
                total: Form = {}
                for sign, form in zip(signs, inputs, strict=True):
                    total = plus(total, form, Fraction(sign))
                return total
            case Mul():
                return times(*inputs)
            case Power(exponent=exponent) if exponent in (2.0, 3.0):
                square = times(inputs[0], inputs[0])
                return square if exponent == 2.0 else times(square, inputs[0])
            case Choice() if _is_truth(inputs[0]):
                return plus(inputs[2], times(inputs[0], minus(inputs[1], inputs[2])))
            case Elementwise() as op:
                return applied(op, inputs[0])
        return form_of(node.output)


def _numbers(op: Scale) -> tuple[Fraction | None, Fraction | None]:
    """(s, t) exactly, of a scaling of all elements by the same numbers; None for what is not known so."""
    match op.source:
        case None:
            return _number(op.scale, 1), _number(op.shift, 0)
        case (Fraction() as s, Fraction() as t):
            return s, t
    return None, None


def _number(part: Tensor | None, default: int) -> Fraction | None:
    """The number that all elements are; None if they differ."""
    if part is None:
        return Fraction(default)
    if not part.numel() or bool((part != part.reshape(-1)[0]).any()):
        return None
    value = float(part.reshape(-1)[0])
    return Fraction(value) if isfinite(value) else None


def _is_truth(form: Form) -> bool:
    """Whether it is a step, or one less a step."""
    steps = [m for m in form if m]
    if len(steps) != 1 or len(steps[0]) != 1:
        return False
    ((unknown, power),) = steps[0]
    shift, rise = form.get(ONE, Fraction(0)), form[steps[0]]
    is_step = isinstance(unknown, Applied) and unknown.kind is Step and power == 1
    return is_step and ((shift == 0 and rise == 1) or (shift == 1 and rise == -1))
