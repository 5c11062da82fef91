# SPDX-License-Identifier: Apache-2.0
"""And/or trees to disjunctive normal form, up to disjunctions that would multiply out to too much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, product
from math import prod

from vnnverify.vnnlib.ast import And, Compare, Expr, Or, rebuilt

__all__ = [
    "MAX_COPIES",
    "MAX_DISJUNCTS",
    "MULTIPLIED",
    "SHORT",
    "Alternatives",
    "Conjunction",
    "TooManyDisjuncts",
    "conjuncts",
    "disjuncts",
    "without_unequal",
]

MAX_DISJUNCTS = 1_000_000
"""Most disjuncts a property may have."""

MULTIPLIED = 64
"""Most disjuncts that several disjunctions are multiplied out to; beyond, all but the longest stay as
they are."""

SHORT = 2
"""A longest disjunction of so few disjuncts stays as it is too: other rows would be there twice."""

MAX_COPIES = 100_000_000
"""Most comparisons copied while multiplying out: bounds time and memory."""

MAX_UNEQUAL = 8
"""Comparisons by != up to which each becomes two cases, below and above."""

MAX_NESTED = 100
"""Deepest nesting of disjunctions that stay as they are."""


@dataclass(frozen=True, slots=True, eq=False)
class Alternatives:
    """A disjunction that is one part of a conjunction. `depth` counts how deep such ones are nested in it."""

    cases: tuple[Conjunction, ...]
    depth: int = 1


Conjunction = tuple[Compare | Alternatives, ...]


class TooManyDisjuncts(Exception):
    """The normal form is too large to be written down."""


def conjuncts(assertions: Sequence[Expr]) -> list[tuple[Expr, int]]:
    """The comparisons and disjunctions whose conjunction the assertions are, each with the number of
    the assertion it is from. A connective with one argument is that argument."""
    found: list[tuple[Expr, int]] = []
    for number, assertion in enumerate(assertions):
        if isinstance(assertion, Compare):  # nearly all of a million
            found.append((assertion, number))
            continue
        pending: list[Expr] = [assertion]
        while pending:
            expr = pending.pop()
            if isinstance(expr, And) or (isinstance(expr, Or) and len(expr.args) == 1):
                pending.extend(reversed(expr.args))
            else:
                found.append((expr, number))
    return found


def without_unequal(assertions: Sequence[Expr]) -> list[Expr]:
    """The assertions with every a != b as (a < b or a > b). Where there are more than `MAX_UNEQUAL`, as true:
    that describes a larger set, by points only, so what is proved of it holds of the text.
    """
    count = sum(_count_unequal(expr) for expr in assertions)
    if not count:
        return list(assertions)
    replaced = _below_or_above if count <= MAX_UNEQUAL else _true
    return [rebuilt(expr, replaced) for expr in assertions]


def _count_unequal(expr: Expr) -> int:
    count, pending = 0, [expr]
    while pending:
        current = pending.pop()
        if isinstance(current, Compare):
            count += current.operator == "!="
        else:
            pending.extend(current.args)
    return count


def _below_or_above(compare: Compare) -> Expr:
    if compare.operator != "!=":
        return compare
    return Or(tuple(Compare(o, compare.lhs, compare.rhs, compare.offset) for o in ("<", ">")))


def _true(compare: Compare) -> Expr:
    return And(()) if compare.operator == "!=" else compare


def disjuncts(expr: Expr) -> list[Conjunction]:
    """The conjunctions whose union is `expr`, in the order of the text.

    A conjunction of several disjunctions that would come to more than `MULTIPLIED` disjuncts is not
    multiplied out: all but the longest disjunction, if that is longer than `SHORT`, become one part each.

    Raises:
        TooManyDisjuncts: there are more than `MAX_DISJUNCTS`, or they would repeat too much.
    """
    budget = _Budget()
    values: list[list[Conjunction]] = []
    pending: list[tuple[Expr, bool]] = [(expr, False)]
    while pending:
        current, parts_done = pending.pop()
        if isinstance(current, Compare):
            values.append([(current,)])
        elif isinstance(current, And) and all(type(arg) is Compare for arg in current.args):
            values.append([current.args])  # type: ignore[list-item]  # just tested
        elif not parts_done:
            pending.append((current, True))
            pending.extend((arg, False) for arg in reversed(current.args))
        else:
            count = len(current.args)
            parts = values[-count:]
            values[-count:] = [budget.conjunction(parts) if isinstance(current, And) else budget.union(parts)]
    return values[0]


class _Budget:
    def __init__(self) -> None:
        self.left = MAX_COPIES

    def spend(self, disjuncts: int, copies: int) -> None:
        self.left -= copies
        if disjuncts > MAX_DISJUNCTS or self.left < 0:
            raise TooManyDisjuncts

    def union(self, parts: list[list[Conjunction]]) -> list[Conjunction]:
        count = sum(map(len, parts))
        self.spend(count, count)
        return list(chain.from_iterable(parts))

    def conjunction(self, parts: list[list[Conjunction]]) -> list[Conjunction]:
        """All choices of one conjunction from each part; if these are too many, parts stay alternatives."""
        sizes = list(map(len, parts))
        if prod(sizes) > MULTIPLIED:
            longest = sizes.index(max(sizes)) if max(sizes) > SHORT else -1
            parts = [
                part if k == longest or len(part) < 2 else [(_alternatives(part),)]
                for k, part in enumerate(parts)
            ]
        count = prod(map(len, parts))
        self.spend(count, count * sum(max(map(len, part), default=0) for part in parts))
        return [tuple(chain.from_iterable(choice)) for choice in product(*parts)]


def _alternatives(cases: Sequence[Conjunction]) -> Alternatives:
    parts = chain.from_iterable(cases)
    depth = 1 + max((part.depth for part in parts if isinstance(part, Alternatives)), default=0)
    if depth > MAX_NESTED:
        raise TooManyDisjuncts
    return Alternatives(tuple(cases), depth)
