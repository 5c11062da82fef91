# SPDX-License-Identifier: Apache-2.0
"""A disjunction read into arrays: per disjunct the bounds it puts on inputs, and its rows. Or as one row,
where it is not multiplied out with others."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import cast

import numpy as np

from vnnverify.vnnlib.ast import Compare, Number, Variable
from vnnverify.vnnlib.disjuncts import Alternatives, Conjunction
from vnnverify.vnnlib.property import ParsedProperty
from vnnverify.vnnlib.rows import (
    Bound,
    FloatRow,
    InexactCoefficient,
    NonlinearTerm,
    Statement,
    read_comparison,
)
from vnnverify.vnnlib.terms import CoefficientOutOfRange, Terms

__all__ = ["MAX_ENTRIES", "Cases", "Rows", "Said", "as_one_case", "check_size", "read_cases"]

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
    said: Said  # without disjunctions inside cases

    def __len__(self) -> int:
        return len(self.box)

    @property
    def about_inputs(self) -> bool:
        """Whether the cases differ in where inputs may range."""
        return len(self.lower) > 0 or any(self.inputs) or not bool(self.possible.all())


def check_size(prop: ParsedProperty, rows: int, columns: int, offset: int | None = None) -> None:
    """Refuse an array that would not fit into memory.

    Raises:
        SpecError: rows · columns is more than `MAX_ENTRIES`.
    """
    if rows * columns > MAX_ENTRIES:
        message = f"the property multiplies out to {rows:,} rows of {columns:,} numbers; split it up"
        raise prop.error(message, offset)


def read_cases(
    prop: ParsedProperty,
    conjunctions: Sequence[Conjunction],
    offset: int,
    terms: Terms,
    whole: Container[int] = (),
) -> Cases:
    """The conjunctions whose union is one conjunct of `prop`.

    Every distinct comparison object is read once; the rest is array work. What a row cannot hold, and
    disjunctions that are parts of conjunctions, are entered in `terms`.

    Args:
        whole: the inputs that hold whole numbers only.

    Raises:
        SpecError: the arrays would be too large.
    """
    count = len(conjunctions)
    parts = _with_statements(prop, conjunctions, offset, terms, whole)
    flat = list(chain.from_iterable(parts))
    owner = np.repeat(np.arange(count), np.fromiter(map(len, parts), np.int64, count))
    keys = np.fromiter(map(id, flat), np.int64, len(flat))
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    return _arranged(prop, count, _read_in_order(prop, flat, first, terms, whole), which, flat, owner, offset)


def as_one_case(prop: ParsedProperty, cases: Cases, kept: Sequence[int], terms: Terms) -> Cases:
    """The union of some of the cases as one case: the bounds they share, and a row, entered in `terms`."""
    statements = _stated(cases, kept, terms)
    count = len(statements)
    owner = np.zeros(count, dtype=np.int64)
    return _arranged(prop, 1, statements, np.arange(count), statements, owner, cases.offset)


def _arranged(
    prop: ParsedProperty,
    count: int,
    statements: list[Statement],
    which: np.ndarray,
    flat: Sequence[Compare | Statement],
    owner: np.ndarray,
    offset: int,
) -> Cases:
    """The cases, so many, of which case `owner[k]` states `statements[which[k]]`, in the text `flat[k]`."""
    n = prop.inputs
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
        _said(flat, owner, index),
    )


def _said(flat: Sequence[Compare | Statement], owner: np.ndarray, index: np.ndarray) -> Said:
    comparisons = [part for part in flat if isinstance(part, Compare)]
    if len(comparisons) < len(flat):
        own = np.fromiter((isinstance(part, Compare) for part in flat), bool, len(flat))
        owner, index = owner[own], index[own]
    return Said(comparisons, owner, index)


def _with_statements(
    prop: ParsedProperty,
    conjunctions: Sequence[Conjunction],
    offset: int,
    terms: Terms,
    whole: Container[int],
) -> Sequence[Sequence[Compare | Statement]]:
    """The conjunctions with what each disjunction in them states in its place."""
    found: dict[int, list[Statement]] = {}
    for part in chain.from_iterable(conjunctions):
        if isinstance(part, Alternatives) and id(part) not in found:
            found[id(part)] = _stated_by(prop, part, offset, terms, whole)
    replaced: list[list[Compare | Statement]] = []
    for conjunction in conjunctions if found else ():
        row: list[Compare | Statement] = []
        for part in conjunction:
            row.extend([part] if isinstance(part, Compare) else found[id(part)])
        replaced.append(row)
    return replaced if found else cast("Sequence[Sequence[Compare | Statement]]", conjunctions)


def _stated_by(
    prop: ParsedProperty, part: Alternatives, offset: int, terms: Terms, whole: Container[int]
) -> list[Statement]:
    cases = read_cases(prop, part.cases, offset, terms, whole)
    return _stated(cases, range(len(cases)), terms)


def _stated(cases: Cases, kept: Sequence[int], terms: Terms) -> list[Statement]:
    """What the union of these cases states: the bounds of inputs that hold in all of them, and one row."""
    crossed = np.any(cases.lower > cases.upper, axis=1)
    alive = [k for k in kept if cases.possible[k] and (cases.box[k] < 0 or not crossed[cases.box[k]])]
    if not alive:
        return [False]
    bounds: list[Statement] = []
    least = most = np.zeros(0)
    if all(cases.box[k] >= 0 for k in alive):
        own = cases.box[alive]
        least, most = cases.lower[own].min(axis=0), cases.upper[own].max(axis=0)
        for index in np.flatnonzero(np.isfinite(least) | np.isfinite(most)).tolist():
            bounds.append(Bound(index, float(least[index]), float(most[index])))
    groups = [_rows_of(cases, k, least, most) for k in alive]
    if not all(groups):
        return bounds  # a case holds wherever the bounds do
    return [*bounds, groups[0] if len(groups) == 1 else (terms.either(groups),)]


def _rows_of(cases: Cases, case: int, least: np.ndarray, most: np.ndarray) -> Rows:
    """The rows of a case, with its bounds of inputs that are tighter than those of all cases."""
    rows = [row for row in cases.inputs[case] + cases.outputs[case] if row.bound < math.inf]
    box = cases.box[case]
    if box >= 0:
        for ends, shared, sign in ((cases.upper[box], most, 1.0), (cases.lower[box], least, -1.0)):
            tighter = np.isfinite(ends) & (ends != shared if shared.size else True)
            for index in np.flatnonzero(tighter).tolist():
                rows.append(FloatRow((Variable("X", index),), (sign,), sign * float(ends[index]), False))
    return tuple(rows)


def _read_in_order(
    prop: ParsedProperty,
    flat: list[Compare | Statement],
    first: np.ndarray,
    terms: Terms,
    whole: Container[int],
) -> list[Statement]:
    """What `flat[first[k]]` states, for every k; read in the order of the text."""
    statements: list[Statement] = [True] * len(first)
    for k in np.argsort(first).tolist():
        comparison = flat[first[k]]
        if not isinstance(comparison, Compare):
            statements[k] = comparison
            continue
        try:
            statements[k] = read_comparison(comparison, whole)
        except (NonlinearTerm, InexactCoefficient):
            try:
                statements[k] = terms.read(comparison, whole)
            except CoefficientOutOfRange as error:
                raise prop.error(str(error), error.offset) from None
    return statements
