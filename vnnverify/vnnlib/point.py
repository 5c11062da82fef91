# SPDX-License-Identifier: Apache-2.0
"""Whether a formula holds at a point, exactly: floats are rationals, literals decimals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from vnnverify.vnnlib.ast import And, Compare, Expr, Number, Term, Variable, fold

__all__ = ["Point", "combine"]

_SIGNS = {"<=": (-1, 0), "<": (-1,), ">=": (0, 1), ">": (1,), "=": (0,), "!=": (-1, 1)}


@dataclass(frozen=True, slots=True)
class Point:
    """Finite values of all variables, and the inputs whose bounds are judged as `dtype` reads them."""

    x: Sequence[float]
    y: Sequence[float]
    rounded: frozenset[int] = frozenset()
    dtype: str = "float32"

    def satisfies(self, expr: Expr) -> bool:
        """Whether `expr` holds here, with zero tolerance."""
        pending: list[tuple[bool, Iterator[Expr]]] = []  # the value that settles it, the arguments left
        current: Expr = expr
        while True:
            if not isinstance(current, Compare):
                arguments = iter(current.args)
                pending.append((not isinstance(current, And), arguments))
                current = next(arguments)
                continue
            holds = self.compares(current)
            while pending:
                settles, arguments = pending[-1]
                if holds != settles:
                    following = next(arguments, None)
                    if following is not None:
                        current = following
                        break
                pending.pop()
            else:
                return holds

    def compares(self, comparison: Compare) -> bool:
        """Whether one comparison holds here."""
        return self._sign(comparison.lhs, comparison.rhs) in _SIGNS[comparison.operator]

    def _sign(self, lhs: Term, rhs: Term) -> int:
        """The sign of lhs − rhs."""
        if isinstance(lhs, Variable):
            if isinstance(rhs, Number):
                return self._against(lhs, rhs)
            if isinstance(rhs, Variable):
                a, b = self._at(lhs), self._at(rhs)
                return (a > b) - (a < b)
        elif isinstance(lhs, Number) and isinstance(rhs, Variable):
            return -self._against(rhs, lhs)
        difference = self.value(lhs) - self.value(rhs)
        return (difference > 0) - (difference < 0)

    def _against(self, variable: Variable, number: Number) -> int:
        value = self._at(variable)
        if variable.kind == "X" and variable.index in self.rounded:
            bound = float(np.dtype(self.dtype).type(number.nearest))
            return (value > bound) - (value < bound)
        return number.against(value)

    def _at(self, variable: Variable) -> float:
        return (self.x if variable.kind == "X" else self.y)[variable.index]

    def value(self, term: Term) -> Fraction:
        """The exact value of a term here."""
        return fold(term, self._leaf, lambda node, parts: combine(node.operator, parts))

    def _leaf(self, leaf: Number | Variable) -> Fraction:
        return leaf.value if isinstance(leaf, Number) else Fraction(self._at(leaf))


def combine(operator: str, parts: Sequence[Fraction]) -> Fraction:
    """The sum, product or difference of the parts; the difference of one part is its negation."""
    if operator == "*":
        product = Fraction(1)
        for part in parts:
            product *= part
        return product
    if operator == "+":
        return sum(parts, Fraction(0))
    return -parts[0] if len(parts) == 1 else parts[0] - sum(parts[1:], Fraction(0))
