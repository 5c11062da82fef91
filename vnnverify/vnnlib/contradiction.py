# SPDX-License-Identifier: Apache-2.0
"""Which conjunctions of comparisons nothing satisfies, whatever a network computes: told from the text's own
numbers, in rational arithmetic, strict comparisons apart from others."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

from vnnverify.query.inequalities import Inequality, contradictory
from vnnverify.vnnlib.ast import Compare
from vnnverify.vnnlib.cases import Cases
from vnnverify.vnnlib.rows import FloatRow, NonlinearTerm, linear_terms
from vnnverify.vnnlib.terms import Terms

__all__ = ["Contradictions"]

MAX_SYSTEMS = 5_000
"""Conjunctions of a property that are looked at; the others count as satisfiable."""

Part = tuple[Cases, int]
"""A disjunction and the number of one of its cases."""


class Contradictions:
    """Judges conjunctions of one property. Products of variables are variables of their own."""

    def __init__(self) -> None:
        self._terms = Terms()
        self._read: dict[int, tuple[Compare, tuple[Inequality, ...]]] = {}  # by the comparison's identity
        self.left = MAX_SYSTEMS  # systems that are still to be looked at
        self._literals: dict[tuple[int, int], tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def of_disjunct(self, parts: Sequence[Part], lower: np.ndarray, upper: np.ndarray) -> bool:
        """Whether no point satisfies what the cases together say; the bounds (n,) are those that they put on
        the inputs, rounded outward.

        Bounds of an input matter where a row is about it, or where they leave an interval so small that
        rounding may hide that it is empty.
        """
        rows = [comparison for cases, case in parts for comparison in cases.said.rows(case)]
        inputs = sorted(self.variables(rows) | set(self._suspects(parts, lower, upper)))
        bounds = [b for cases, case in parts for b in cases.said.bounds(case, inputs)] if inputs else []
        return self.among([*rows, *bounds])

    def _suspects(self, parts: Sequence[Part], lower: np.ndarray, upper: np.ndarray) -> list[int]:
        """The inputs whose interval has no float inside, unless one literal, not strict, is all of it."""
        close = upper <= np.nextafter(lower, np.inf)
        if not close.any():
            return []
        n = len(lower)
        least, most = np.full(n, np.iinfo(np.int64).max), np.full(n, np.iinfo(np.int64).min)
        delicate = np.zeros(n, dtype=bool)
        for cases, case in parts:
            key = id(cases), case
            if key not in self._literals:
                self._literals[key] = cases.said.literals(case)
            index, literal, other = self._literals[key]
            np.minimum.at(least, index, literal)
            np.maximum.at(most, index, literal)
            delicate[index[other]] = True
        found: list[int] = np.flatnonzero(close & (delicate | (least < most))).tolist()
        return found

    def among(self, comparisons: Sequence[Compare]) -> bool:
        """Whether no point satisfies all of the comparisons. False may also mean that it is not known."""
        if self.left <= 0:
            return False
        self.left -= 1
        return contradictory([row for comparison in comparisons for row in self._rows(comparison)])

    def of_rows(self, rows: Sequence[FloatRow]) -> bool:
        """The same for rows whose bounds have been rounded up, so that it may be missed."""
        if self.left <= 0 or len(rows) < 2 or any(math.isinf(row.bound) for row in rows):
            return False
        self.left -= 1
        return contradictory([_exact(row) for row in rows])

    def variables(self, comparisons: Iterable[Compare]) -> set[int]:
        """The inputs X that the comparisons are about, as far as they are linear."""
        used = (v for c in comparisons for row in self._rows(c) for v in row.coefficients)
        return {v.index for v in used if v.kind == "X"}

    def _rows(self, comparison: Compare) -> tuple[Inequality, ...]:
        known = self._read.get(id(comparison))
        if known is None:
            known = self._read[id(comparison)] = comparison, self._inequalities(comparison)
        return known[1]

    def _inequalities(self, comparison: Compare) -> tuple[Inequality, ...]:
        try:
            terms, constant = linear_terms(comparison)
        except NonlinearTerm:
            form = self._terms.difference(comparison)
            terms, constant = dict(form.terms), form.constant
        operator = comparison.operator
        strict = operator in ("<", ">")
        rows = []
        if operator in ("<=", "<", "="):
            rows.append(Inequality(terms, -constant, strict))
        if operator in (">=", ">", "="):
            rows.append(Inequality({v: -c for v, c in terms.items()}, Fraction(constant), strict))
        return tuple(rows)


def _exact(row: FloatRow) -> Inequality:
    pairs = zip(row.variables, row.coefficients, strict=True)
    return Inequality({v: Fraction(c) for v, c in pairs}, Fraction(row.bound), row.strict)
