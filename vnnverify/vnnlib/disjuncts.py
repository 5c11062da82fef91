# SPDX-License-Identifier: Apache-2.0
"""And/or trees to disjunctive normal form."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from vnnverify.vnnlib.ast import And, Compare, Expr

__all__ = ["MAX_DISJUNCTS", "count_disjuncts", "disjuncts"]

MAX_DISJUNCTS = 1_000_000
"""Most disjuncts a property may multiply out to."""


def count_disjuncts(expr: Expr) -> int:
    """How many conjunctions `disjuncts` will yield."""
    if isinstance(expr, Compare):
        return 1
    counts = [count_disjuncts(arg) for arg in expr.args]
    if not isinstance(expr, And):
        return sum(counts)
    total = 1
    for count in counts:
        total *= count
    return total


def disjuncts(expr: Expr) -> Iterator[tuple[Compare, ...]]:
    """The conjunctions whose union is `expr`."""
    if isinstance(expr, Compare):
        yield (expr,)
    elif isinstance(expr, And):
        fixed = tuple(arg for arg in expr.args if isinstance(arg, Compare))
        rest = [list(disjuncts(arg)) for arg in expr.args if not isinstance(arg, Compare)]
        for choice in product(*rest):
            yield fixed + tuple(c for part in choice for c in part)
    else:
        for arg in expr.args:
            yield from disjuncts(arg)
