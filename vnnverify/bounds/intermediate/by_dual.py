# SPDX-License-Identifier: Apache-2.0
"""Intermediate bounds by the Lagrangian dual with its cases: networks of ReLUs alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vnnverify.bounds.intermediate.cases import bound_by_cases, case_bytes
from vnnverify.bounds.intermediate.pruning import without_dead
from vnnverify.bounds.intermediate.settings import RefinementSettings
from vnnverify.bounds.intervals import uncross
from vnnverify.bounds.optimise.dual import Dual
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.state import State, in_type
from vnnverify.bounds.threads import in_threads, worthwhile_threads
from vnnverify.deadline import Deadline
from vnnverify.ir import Value, flat

__all__ = ["refine_by_dual"]


def refine_by_dual(
    tool: Propagator,
    state: State,
    value: Value,
    open_of: Callable[[Tensor, Tensor], Tensor],
    steps: int,
    splits: int,
    deadline: Deadline,
    settings: RefinementSettings,
) -> None:
    """Bounds of a value with slopes optimised for each end, by cases where they are open still. In place.

    Args:
        open_of: which elements (B, size) to bound, given what is known of their lower and upper ends.
        steps: gradient steps for each bound.
        splits: a bound has 2^splits cases at most.
    """
    exact = Dual(*without_dead(tool.plan.below[value], state), settings)
    if exact.size == 0:
        return
    fast = Dual(*in_type(torch.float32, exact.graph, exact.root), settings)
    lower, upper = (flat(end).clone() for end in state.interval[value])
    box, element = open_of(lower, upper).nonzero(as_tuple=True)
    if not box.numel():
        return
    threads = worthwhile_threads(2 * box.numel(), exact.size, lower.device)
    at_once = max(1, tool.rows_at_once(lower.device) // 2)
    fit = max(1, tool.memory // (2 * threads * case_bytes(fast, splits)))
    step = max(1, min(at_once, fit, -(-box.numel() // threads)))

    def work(part: tuple[Tensor, Tensor]) -> None:
        """Bound both ends of these elements."""
        if deadline.expired:
            return
        b, e = (t.repeat(2) for t in part)
        unit = torch.zeros(b.numel(), 1, value.size, device=b.device)
        sign = torch.ones(b.numel(), device=b.device)
        sign[b.numel() // 2 :] = -1.0
        unit[torch.arange(b.numel(), device=b.device), 0, e] = sign
        problems = fast.problems(b, unit, unit.new_zeros(b.numel(), 1))
        found, _ = bound_by_cases(fast, exact, problems, steps, splits, at_once, deadline, settings)
        below, above = found.chunk(2)
        lower[part] = torch.fmax(lower[part], below)
        upper[part] = torch.fmin(upper[part], -above)

    parts = list(zip(torch.split(box, step), torch.split(element, step), strict=True))
    in_threads(work, parts, at_most=None if lower.device.type == "cpu" else 1)
    shape = state.interval[value][0].shape
    state.interval[value] = uncross(lower.reshape(shape), upper.reshape(shape))
