# SPDX-License-Identifier: Apache-2.0
"""Intermediate bounds with optimised lines of every operator."""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.bounds.optimise.lines import optimise
from vnnverify.bounds.optimise.settings import LineSettings
from vnnverify.bounds.state import State, in_type
from vnnverify.deadline import Deadline
from vnnverify.ir import Graph, Value

__all__ = ["optimise_ends"]


def optimise_ends(
    graph: Graph,
    value: Value,
    state: State,
    ends: tuple[Tensor, Tensor],
    open_: Tensor,
    at_once: int,
    steps: int,
    deadline: Deadline,
    settings: LineSettings | None = None,
) -> None:
    """Bounds of some elements of a value, with lines of every operator optimised for each end.

    Args:
        graph: ends at the value.
        state: what is known of everything below it.
        ends: lower and upper bounds (B, size), changed in place, part by part.
        open_: (B, size) which elements to bound.
        at_once: elements of one ascent.
        steps: gradient steps of it.

    Raises:
        OutOfTime: the deadline came. What was found by then is in `ends`.
    """
    lower, upper = ends
    part, fast = in_type(torch.float32, graph, state)
    box, element = open_.nonzero(as_tuple=True)
    for b, e in zip(torch.split(box, at_once), torch.split(element, at_once), strict=True):
        deadline.check()
        count = b.numel()
        if not count:
            return
        sign = lower.new_ones(2 * count)
        sign[count:] = -1.0
        unit = lower.new_zeros(2 * count, value.size)
        unit[torch.arange(2 * count, device=b.device), e.repeat(2)] = sign
        rows = {value: unit.reshape(-1, *value.shape)}
        const = torch.zeros_like(sign)
        found = optimise(
            (graph, part), (state, fast), rows, const, b.repeat(2), steps, deadline, settings=settings
        ).lower
        lower[b, e] = torch.fmax(lower[b, e], found[:count])
        upper[b, e] = torch.fmin(upper[b, e], -found[count:])
