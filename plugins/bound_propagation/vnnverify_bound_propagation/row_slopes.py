# SPDX-License-Identifier: Apache-2.0
"""Backward rows that each choose the slopes of the lines below ReLUs for themselves.

    max over the slopes of  min over x in the box of  A x + c

α z <= max(z, 0) for every α in [0, 1], so any choice gives a valid bound: the ascent computes in plain
floating point, and the slopes it ends with are evaluated once more with every rounding error counted. A slope
is kept for each element that a row reaches, in the shape the row has there; where rows are windows
(`windows`) that is a small part of the network, unlike the lines of `lines.optimise`.

Source: Xu et al., arXiv:2011.13824.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vnnverify import Deadline
from vnnverify.ir import Value
from vnnverify.numerics import subnormals_flushed
from vnnverify_bound_propagation.backward import Linear

__all__ = ["RowSlopes", "ascend"]

RATE, DECAY = 0.5, 0.8
"""Step size of slopes, and what remains of it after a step."""


class RowSlopes:
    """The slopes of R rows. They are made as the rows come by, from those that a state has for all rows."""

    def __init__(self, slopes: dict[Value, Tensor] | None = None) -> None:
        self.slopes = slopes if slopes is not None else {}
        self.fixed = slopes is not None

    def of(self, value: Value, below: Tensor, above: Tensor) -> Tensor:
        """Slopes of the lines below a ReLU whose output is `value`: like `below`, the state's own.

        Only where the line above is inclined is there anything to choose.
        """
        own = self.slopes.get(value)
        if own is None and not self.fixed:
            own = self.slopes[value] = below.detach().clone().requires_grad_()
        if own is None or own.shape != below.shape:
            return below
        return torch.where((above > 0) & (above < 1), own.to(below.dtype), below)

    def project(self) -> None:
        """Back into [0, 1]."""
        for slope in self.slopes.values():
            slope.clamp_(0.0, 1.0)


@subnormals_flushed()
def ascend(bound: Callable[[RowSlopes], Linear], steps: int, deadline: Deadline) -> tuple[RowSlopes, int]:
    """The slopes with which each row's bound was best, and how many numbers a row had at most.

    Args:
        bound: the bounds of R rows with these slopes, differentiable in them.
        steps: most gradient steps. There are fewer once every row's bound is positive.
    """
    slopes = RowSlopes()
    best: Tensor | None = None
    kept: dict[Value, Tensor] = {}
    adam: torch.optim.Adam | None = None
    for step in range(steps + 1):
        with torch.enable_grad():
            found = bound(slopes)
            loss = -torch.nan_to_num(found.lower, neginf=0.0).sum()
        lower = found.lower.detach()
        if best is None:
            best, kept = lower, {v: s.detach().clone() for v, s in slopes.slopes.items()}
        else:
            better = lower > best
            best = torch.where(better, lower, best)
            for value, slope in slopes.slopes.items():
                kept[value][better] = slope.detach()[better]
        last = step == steps or not kept or deadline.expired or bool((best > 0).all())
        if last or not loss.requires_grad:
            break
        if adam is None:
            adam = torch.optim.Adam(slopes.slopes.values(), lr=RATE)
        adam.zero_grad()
        loss.backward()
        for group in adam.param_groups:
            group["lr"] = RATE * DECAY**step
        for slope in slopes.slopes.values():
            if slope.grad is not None:
                slope.grad = torch.nan_to_num(slope.grad)
        adam.step()
        with torch.no_grad():
            slopes.project()
    return RowSlopes(kept), found.widest
