# SPDX-License-Identifier: Apache-2.0
"""Systems of linear inequalities in rational numbers, some of them strict: whether one has no solution.

A strict row a·x < b is a·x <= b − δ for an infinitesimal δ > 0, so numbers are pairs p + q·δ, which compare
as tuples do.

Source: Dutertre, de Moura, A Fast Linear-Arithmetic Solver for DPLL(T), CAV 2006.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

__all__ = ["MAX_ENTRIES", "MAX_PIVOTS", "Inequality", "contradictory"]

MAX_PIVOTS = 200
"""Exchanges of variables after which a system counts as not contradictory."""

MAX_ENTRIES = 20_000
"""Coefficients of a tableau beyond which it is not begun with."""

Delta = tuple[Fraction, Fraction]
"""p + q·δ."""


@dataclass(frozen=True, slots=True)
class Inequality:
    """Σ coefficient·variable <= bound, or < if strict."""

    coefficients: Mapping[Any, Fraction]  # by variables that can be hashed
    bound: Fraction
    strict: bool = False

    @property
    def constant(self) -> bool | None:
        """Whether it holds, if it has no variable."""
        if any(self.coefficients.values()):
            return None
        return self.bound > 0 or (self.bound == 0 and not self.strict)


def contradictory(rows: Sequence[Inequality]) -> bool:
    """Whether no point satisfies all rows. True is proved, without rounding; False may also mean that the
    system is too large, or takes too long."""
    if any(row.constant is False for row in rows):
        return True
    rows = [row for row in rows if row.constant is None]
    if len(rows) < 2 or _unbounded(rows):
        return False
    system = _System()
    for row in rows:
        if not system.add(row):
            return True
    return system.infeasible()


def _unbounded(rows: Iterable[Inequality]) -> bool:
    """Whether moving one variable far enough satisfies every row, as in rows that compare one output with
    all others."""
    signs: dict[Hashable, int] | None = None
    for row in rows:
        own = {v: 1 if c > 0 else -1 for v, c in row.coefficients.items() if c}
        signs = own if signs is None else {v: s for v, s in signs.items() if own.get(v) == s}
        if not signs:
            return False
    return bool(signs)


class _System:
    """Bounds of variables and of linear forms. A form is a variable of its own, basic at first: its row says
    what it is in the variables that are not."""

    def __init__(self) -> None:
        self.lower: dict[Hashable, Delta] = {}
        self.upper: dict[Hashable, Delta] = {}
        self.rows: dict[Hashable, dict[Hashable, Fraction]] = {}  # basic variable -> its row
        self.value: dict[Hashable, Delta] = {}
        self.order: dict[Hashable, int] = {}  # Bland's rule takes the first variable there is

    def add(self, row: Inequality) -> bool:
        """Add a row; False if its form is then bounded below its lower bound."""
        terms = {v: c for v, c in row.coefficients.items() if c}
        first = next(iter(terms.values()))
        variable: Hashable
        if len(terms) == 1:
            (variable,) = terms
        else:
            scaled = {v: c / first for v, c in sorted(terms.items(), key=lambda pair: repr(pair[0]))}
            first = next(iter(terms.values()))
            lead = next(iter(scaled.values()))
            scaled = {v: c / lead for v, c in scaled.items()}
            first = first / scaled[next(iter(terms))]
            variable = ("form", tuple(scaled.items()))
            self.rows.setdefault(variable, scaled)
        for v in (*terms, variable):
            self.value.setdefault(v, (Fraction(0), Fraction(0)))
            self.order.setdefault(v, len(self.order))
        step = Fraction(-1 if row.strict else 0) / first
        bound = row.bound / first, step
        if first > 0:
            self.upper[variable] = min(bound, self.upper.get(variable, bound))
        else:
            self.lower[variable] = max(bound, self.lower.get(variable, bound))
        low, high = self.lower.get(variable), self.upper.get(variable)
        return low is None or high is None or low <= high

    def infeasible(self) -> bool:
        """Whether the simplex method ends at a row that cannot be satisfied."""
        free = [v for v in self.value if v not in self.rows]
        if len(free) * len(self.rows) > MAX_ENTRIES:
            return False
        for v in free:  # every variable that is not basic keeps within its bounds
            bound = self.lower.get(v) or self.upper.get(v)
            if bound is not None:
                self.value[v] = bound
        for basic, row in self.rows.items():
            self.value[basic] = _sum(row, self.value)
        for _ in range(MAX_PIVOTS):
            basic = min((b for b in self.rows if self._outside(b)), key=self.order.__getitem__, default=None)
            if basic is None:
                return False
            low = self.lower.get(basic)
            rising = low is not None and self.value[basic] < low
            target = low if rising else self.upper[basic]
            assert target is not None
            able = (v for v, c in self.rows[basic].items() if self._can_move(v, up=(c > 0) == rising))
            entering = min(able, key=self.order.__getitem__, default=None)
            if entering is None:
                return True
            self._exchange(basic, entering, target)
        return False

    def _outside(self, variable: Hashable) -> bool:
        value, low, high = self.value[variable], self.lower.get(variable), self.upper.get(variable)
        return (low is not None and value < low) or (high is not None and value > high)

    def _can_move(self, variable: Hashable, *, up: bool) -> bool:
        end = self.upper.get(variable) if up else self.lower.get(variable)
        return end is None or (self.value[variable] < end if up else self.value[variable] > end)

    def _exchange(self, leaving: Hashable, entering: Hashable, target: Delta) -> None:
        """Give the basic variable `leaving` the value `target` by moving `entering`, which takes its
        place."""
        row = self.rows.pop(leaving)
        slope = row.pop(entering)
        move = _times(1 / slope, _minus(target, self.value[leaving]))
        self.value[leaving] = target
        self.value[entering] = _plus(self.value[entering], move)
        for basic, other in self.rows.items():
            if entering in other:
                self.value[basic] = _plus(self.value[basic], _times(other[entering], move))
        solved = {leaving: 1 / slope, **{v: -c / slope for v, c in row.items()}}
        for other in self.rows.values():
            factor = other.pop(entering, None)
            for v, c in solved.items() if factor else ():
                total = other.get(v, Fraction(0)) + factor * c  # type: ignore[operator]  # just tested
                if total:
                    other[v] = total
                else:
                    other.pop(v, None)
        self.rows[entering] = solved


def _sum(row: Mapping[Hashable, Fraction], value: Mapping[Hashable, Delta]) -> Delta:
    total = Fraction(0), Fraction(0)
    for v, c in row.items():
        total = _plus(total, _times(c, value[v]))
    return total


def _plus(a: Delta, b: Delta) -> Delta:
    return a[0] + b[0], a[1] + b[1]


def _minus(a: Delta, b: Delta) -> Delta:
    return a[0] - b[0], a[1] - b[1]


def _times(c: Fraction, a: Delta) -> Delta:
    return c * a[0], c * a[1]
