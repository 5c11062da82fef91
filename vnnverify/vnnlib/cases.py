# SPDX-License-Identifier: Apache-2.0
"""A disjunction read into arrays: per disjunct the bounds it puts on inputs, and its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from vnnverify.vnnlib.ast import Compare, Number, Variable
from vnnverify.vnnlib.property import Property
from vnnverify.vnnlib.rows import (
    Bound,
    FloatRow,
    InexactCoefficient,
    NonlinearTerm,
    Statement,
    read_comparison,
)
from vnnverify.vnnlib.terms import Terms

__all__ = ["MAX_ENTRIES", "Cases", "Rows", "Said", "check_size", "read_cases"]

MAX_ENTRIES = 1 << 28
"""Most numbers in one array of the normal form: 2 GiB."""

Rows = tuple[FloatRow, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """The comparisons of all cases, one case after the other."""

    comparisons: Sequence[Compare]
    owner: np.ndarray  # (comparisons,) int64, ascending: the case
    index: np.ndarray  # (comparisons,) int64: the input that it bounds; −1 where it is no bound of one

    def count_rows(self, cases: int) -> np.ndarray:
        """How many comparisons of each case (cases,) are no bounds of inputs."""
        return np.bincount(self.owner[self.index < 0], minlength=cases)

    def rows(self, case: int) -> list[Compare]:
        """The comparisons of a case that are no bounds of inputs."""
        part = self._of(case)
        return self._at(part.start + np.flatnonzero(self.index[part] < 0))

    def bounds(self, case: int, inputs: Sequence[int]) -> list[Compare]:
        """The comparisons of a case that bound one of these inputs."""
        part = self._of(case)
        return self._at(part.start + np.flatnonzero(np.isin(self.index[part], inputs)))

    def literals(self, case: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each bound in a case: the input, a number that bounds with the same literal have in common, and
        whether it is strict, or written in another way than as one variable and one literal."""
        part = self._of(case)
        places = part.start + np.flatnonzero(self.index[part] >= 0)
        read = [_literal(comparison) for comparison in self._at(places)]
        keys = np.array([0 if key is None else key for key, _ in read], dtype=np.int64)
        return self.index[places], keys, np.array([key is None or strict for key, strict in read], dtype=bool)

    def _of(self, case: int) -> slice:
        start, end = np.searchsorted(self.owner, [case, case + 1]).tolist()
        return slice(start, end)

    def _at(self, places: np.ndarray) -> list[Compare]:
        return [self.comparisons[k] for k in places.tolist()]


def _literal(comparison: Compare) -> tuple[int | None, bool]:
    """What equal literals have in common, None where there is no single one; whether it is strict."""
    sides = comparison.lhs, comparison.rhs
    strict = comparison.operator in ("<", ">")
    for number, other in (sides, sides[::-1]):
        if isinstance(number, Number) and isinstance(other, Variable):
            return hash(number), strict
    return None, strict


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """The disjuncts of one disjunction. Case k has the bounds in row `box[k]` of lower and upper."""

    offset: int  # of the assertion, in the text
    box: np.ndarray  # (cases,) int64; −1 where a case bounds no input
    lower: np.ndarray  # (boxes, n) float64, rounded down; −inf where not bounded
    upper: np.ndarray  # (boxes, n) float64, rounded up
    inputs: tuple[Rows, ...]  # per case, rows over X alone
    outputs: tuple[Rows, ...]  # per case, rows over Y, over X and Y, or over further terms
    possible: np.ndarray  # (cases,) bool: False where a comparison of constants is false
    said: Said

    def __len__(self) -> int:
        return len(self.box)

    @property
    def about_inputs(self) -> bool:
        """Whether the cases differ in where inputs may range."""
        return len(self.lower) > 0 or any(self.inputs) or not bool(self.possible.all())


def check_size(prop: Property, rows: int, columns: int, offset: int | None = None) -> None:
    """Refuse an array that would not fit into memory.

    Raises:
        SpecError: rows · columns is more than `MAX_ENTRIES`.
    """
    if rows * columns > MAX_ENTRIES:
        message = f"the property multiplies out to {rows:,} rows of {columns:,} numbers; split it up"
        raise prop.error(message, offset)


def read_cases(
    prop: Property, conjunctions: Sequence[tuple[Compare, ...]], offset: int, terms: Terms
) -> Cases:
    """The conjunctions whose union is one conjunct of `prop`.

    Every distinct comparison object is read once; the rest is array work. What a row cannot hold is
    entered in `terms`.

    Raises:
        SpecError: the arrays would be too large.
    """
    count, n = len(conjunctions), prop.inputs
    flat = list(chain.from_iterable(conjunctions))
    owner = np.repeat(np.arange(count), np.fromiter(map(len, conjunctions), np.int64, count))
    keys = np.fromiter(map(id, flat), np.int64, len(flat))
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    statements = _read_in_order(flat, first, terms)
    index = np.array([s.index if isinstance(s, Bound) else -1 for s in statements], dtype=np.int64)[which]
    lower = np.array([s.lower if isinstance(s, Bound) else 0.0 for s in statements])[which]
    upper = np.array([s.upper if isinstance(s, Bound) else 0.0 for s in statements])[which]

    bounds = np.flatnonzero(index >= 0)
    box = np.full(count, -1, dtype=np.int64)
    boxed = np.zeros(count, dtype=bool)
    boxed[owner[bounds]] = True
    boxes = int(boxed.sum())
    box[boxed] = np.arange(boxes)
    check_size(prop, boxes, n, offset)
    place = box[owner[bounds]] * n + index[bounds]
    least, most = np.full(boxes * n, -np.inf), np.full(boxes * n, np.inf)
    np.maximum.at(least, place, lower[bounds])
    np.minimum.at(most, place, upper[bounds])

    inputs, outputs = [list[FloatRow]() for _ in range(count)], [list[FloatRow]() for _ in range(count)]
    possible = np.ones(count, dtype=bool)
    for k in np.flatnonzero(index < 0).tolist():
        statement, case = statements[which[k]], owner[k]
        if isinstance(statement, tuple):
            about_inputs = all(v.kind == "X" for v in statement[0].variables)
            (inputs if about_inputs else outputs)[case].extend(statement)
        elif not statement:
            possible[case] = False
    return Cases(
        offset,
        box,
        least.reshape(boxes, n),
        most.reshape(boxes, n),
        tuple(map(tuple, inputs)),
        tuple(map(tuple, outputs)),
        possible,
        Said(flat, owner, index),
    )


def _read_in_order(flat: list[Compare], first: np.ndarray, terms: Terms) -> list[Statement]:
    """What `flat[first[k]]` states, for every k; read in the order of the text."""
    statements: list[Statement] = [True] * len(first)
    for k in np.argsort(first).tolist():
        comparison = flat[first[k]]
        try:
            statements[k] = read_comparison(comparison)
        except (NonlinearTerm, InexactCoefficient):
            statements[k] = terms.read(comparison)
    return statements
