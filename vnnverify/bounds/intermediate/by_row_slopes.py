# SPDX-License-Identifier: Apache-2.0
"""Intermediate bounds whose rows choose the slopes of ReLUs for themselves, for rows that are patches."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vnnverify.bounds import backward
from vnnverify.bounds.backward.units import Ends, unit_bounds
from vnnverify.bounds.intervals import uncross
from vnnverify.bounds.optimise.row_slopes import RowSlopes, best_cases, best_slopes
from vnnverify.bounds.optimise.settings import RowSlopeSettings
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.state import State, in_type
from vnnverify.deadline import Deadline
from vnnverify.ir import Value, flat

__all__ = ["refine_by_row_slopes"]

ASCENT_COPIES = 8
"""Copies of a row that are alive while its slopes are optimised."""


def refine_by_row_slopes(
    tool: Propagator,
    state: State,
    value: Value,
    open_of: Callable[[Tensor, Tensor], Tensor],
    steps: int,
    splits: int,
    deadline: Deadline,
    settings: RowSlopeSettings,
) -> None:
    """Bounds of a value with slopes of ReLUs that each row chooses for itself, and the least of its cases;
    the end nearer to zero first. In place.

    Args:
        open_of: which elements (B, size) to bound, given what is known of their lower and upper ends.
        steps: gradient steps for each bound.
        splits: ReLUs that each row splits.
    """
    graph = tool.plan.below[value]
    part, fast = in_type(torch.float32, graph, state)
    fast.error = {}
    proof = state.for_any_slopes()

    def rough(rows: Ends) -> Callable[[RowSlopes], backward.Linear]:
        box, element, sign = rows
        return lambda c: unit_bounds(part, value, fast.with_row_slopes(c), (box, element, sign.float()))

    def bounds_of(rows: Ends) -> tuple[Tensor, int]:
        """Lower bounds of these rows, and the numbers that one of them had at most."""
        choice, last = best_slopes(rough(rows), steps, deadline, settings)
        found = unit_bounds(graph, value, proof.with_row_slopes(choice), rows).lower
        if splits and not deadline.expired:
            box, element, sign = (r.repeat_interleave(1 << splits) for r in rows)
            cases = box, element, sign
            chosen = best_cases(rough(rows), rough(cases), choice, splits, steps, deadline, settings)
            if chosen is not None:
                each = unit_bounds(graph, value, proof.with_row_slopes(chosen), cases).lower
                found = torch.fmax(found, each.reshape(len(found), -1).amin(dim=1))
        return found, last.widest << splits

    shape = state.interval[value][0].shape
    lower, upper = (flat(end).clone() for end in state.interval[value])
    open_ = open_of(lower, upper)
    near = torch.where(-lower < upper, 1.0, -1.0).to(lower.dtype)
    for side in (near, -near):
        box, element = open_.nonzero(as_tuple=True)
        rows = box, element, side[box, element]
        tool.refine_ends(value, (lower, upper), rows, bounds_of, deadline, ASCENT_COPIES)
        open_ &= open_of(lower, upper)
    state.interval[value] = uncross(lower.reshape(shape), upper.reshape(shape))
