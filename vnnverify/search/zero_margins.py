# SPDX-License-Identifier: Apache-2.0
"""Polytopes that no output reaches because a strict row is nowhere satisfied, though its margin comes down to
zero: what ends there in exact arithmetic is never shown by bounds that allow for rounding."""

from __future__ import annotations

import operator

import torch
from torch import Tensor

from vnnverify.deadline import Deadline
from vnnverify.domains import interval
from vnnverify.domains.ordering import Ordering
from vnnverify.errors import UnsupportedOperator
from vnnverify.numerics import direct_convolutions
from vnnverify.ops.steps import Ceil, Floor, Round, Sign, Spike, Step, Trunc
from vnnverify.plugin.backend import Context
from vnnverify.query import Clause, Polytope, Query

__all__ = ["ZeroMargins", "without_zero_margins"]

FEW_CLAUSES = 16
"""Up to so many clauses, those with strict rows are looked at before any search."""

MOST_ELEMENTS = 50_000
"""Numbers in a network beyond which looking at them one by one is not begun with."""

JUMPS = (Ceil, Floor, Round, Sign, Spike, Step, Trunc)
"""Where these are, an argument that comes down to zero matters to rows of every kind."""

SHARE, AT_MOST = 0.25, 1.0
"""Of the time left, and seconds, that this may take for all clauses."""

CLOSE = 1e-9
"""Part of the size of a row's terms up to which a margin below zero may be zero in exact arithmetic."""

EXACT_TESTS = 256
"""Rows of boxes that are worked out in rational numbers in one step of a search."""

PATIENCE, WORTH = 512, 64
"""Boxes that are tried in vain before trying goes on only as long as one in so many is closed by it."""


def without_zero_margins(query: Query, ctx: Context) -> Query:
    """The query without the polytopes with rows that nothing satisfies over whole regions: by intervals in
    float64, which pass on exactly where functions end, and by the order of values, in rational numbers."""
    if sum(node.output.size for node in query.graph.nodes) > MOST_ELEMENTS:
        return query
    jumps = any(isinstance(node.op, JUMPS) for node in query.graph.nodes)
    if len(query.clauses) > FEW_CLAUSES or not (jumps or any(map(_strict, query.clauses))):
        return query
    deadline = Deadline.after(min(AT_MOST, SHARE * ctx.deadline.remaining()))
    kept = []
    with torch.no_grad(), direct_convolutions():
        for clause in query.clauses:
            asked = (jumps or _strict(clause)) and not deadline.expired
            unsafe = _open(query, clause, deadline) if asked else clause.unsafe
            if unsafe:
                kept.append(clause if len(unsafe) == len(clause.unsafe) else Clause(clause.region, unsafe))
    same = len(kept) == len(query.clauses) and all(map(operator.is_, kept, query.clauses))
    return query if same else query.with_clauses(kept)


def _strict(clause: Clause) -> bool:
    return any(bool(polytope.strict.any()) for polytope in clause.unsafe)


def _open(query: Query, clause: Clause, deadline: Deadline) -> tuple[Polytope, ...]:
    """The polytopes of a clause that stay open."""
    try:
        lower, upper = interval.bounds(query.graph, clause.region)
        rest = [p for p in clause.unsafe if not Clause(clause.region, (p,)).excluded_by(lower, upper)]
        ordering = Ordering(query.graph, clause.region, lambda: deadline.expired)
    except UnsupportedOperator:  # others have rules that intervals lack
        return clause.unsafe
    return tuple(p for p in rest if not ordering.excludes(p))


class ZeroMargins:
    """The same for the boxes of a search, by intervals alone, as long as it closes some of them."""

    def __init__(self, query: Query, device: torch.device) -> None:
        self._graph = query.graph.to(device, torch.float64)
        self._clauses = query.clauses
        self._left = PATIENCE if any(map(_strict, query.clauses)) and interval.supports(query.graph) else 0

    def excluded(self, lower: Tensor, upper: Tensor, clause: Tensor, open_: Tensor) -> Tensor:
        """Which of the open polytopes (batch, P) of these boxes, (batch, n) with their clauses (batch,), are
        out of reach."""
        found = torch.zeros_like(open_)
        boxes = open_.any(dim=1).nonzero()[: max(0, self._left), 0]
        if not boxes.numel():
            return found
        self._left -= boxes.numel()
        values = interval.bounds_of_values(self._graph, lower[boxes].double(), upper[boxes].double())
        low, high = (
            self._graph.join_outputs({v: values[v][end] for v in self._graph.outputs}).cpu() for end in (0, 1)
        )
        tests = EXACT_TESTS
        for k, box in enumerate(boxes.tolist()):
            unsafe = self._clauses[int(clause[box])].unsafe
            for p in open_[box].nonzero()[:, 0].tolist():
                if tests and unsafe[p].strict.any() and _close(unsafe[p], low[k], high[k]):
                    tests -= 1
                    region = self._clauses[int(clause[box])].region
                    found[box, p] = Clause(region, (unsafe[p],)).excluded_by(low[k], high[k])
        self._left += WORTH * int(found.any(dim=1).sum())
        return found


def _close(polytope: Polytope, lower: Tensor, upper: Tensor) -> bool:
    """Whether a strict row's margin over an output box (m,) may be zero or more."""
    A = polytope.A
    least = A.clamp(min=0) @ lower + A.clamp(max=0) @ upper - polytope.b
    size = A.abs() @ torch.maximum(lower.abs(), upper.abs()) + polytope.b.abs()
    return bool((polytope.strict & torch.isfinite(least) & (least >= -CLOSE * size)).any())
