# SPDX-License-Identifier: Apache-2.0
"""Planes below and above a product of two variables on a box, valid as computed.

x·y − p·x − q·y is bilinear: over a box it is least and largest at corners. So for any slopes p, q the best
offset is a minimum or a maximum over four numbers. Slopes may come from anywhere (a heuristic, an
optimiser): only the offsets carry soundness.

Source: McCormick, Computability of global solutions to factorable nonconvex programs, Math. Prog. 1976.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.numerics import relative_error

__all__ = ["Ends", "Planes", "mccormick", "offsets"]

Ends = tuple[Tensor, Tensor]  # lower and upper end of each element


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """below_x·x + below_y·y + below_offset <= x·y <= above_x·x + above_y·y + above_offset, elementwise."""

    below_x: Tensor
    below_y: Tensor
    below_offset: Tensor
    above_x: Tensor
    above_y: Tensor
    above_offset: Tensor


def offsets(x: Ends, y: Ends, slope_x: Tensor, slope_y: Tensor) -> tuple[Tensor, Tensor]:
    """Offsets (low, high) with slope_x·x + slope_y·y + low <= x·y <= slope_x·x + slope_y·y + high on the box.

    low is rounded down and high up by an estimate of the error of the three products and two differences.
    What is not a number bounds nothing.
    """
    u = relative_error(slope_x.dtype)
    low = high = None
    for a in x:
        for b in y:
            product, along_x, along_y = a * b, slope_x * a, slope_y * b
            value = product - along_x - along_y
            slack = (
                4 * u * (product.abs() + along_x.abs() + along_y.abs()) + 4 * torch.finfo(value.dtype).tiny
            )
            below, above = value - slack, value + slack
            low = below if low is None else torch.minimum(low, below)
            high = above if high is None else torch.maximum(high, above)
    assert low is not None and high is not None
    inf = float("inf")
    return torch.nan_to_num(low, nan=-inf, posinf=inf, neginf=-inf), torch.nan_to_num(
        high, nan=inf, posinf=inf, neginf=-inf
    )


def mccormick(x: Ends, y: Ends) -> Planes:
    """Planes that touch the product at opposite corners, halfway between McCormick's two on either side."""
    mid_x, mid_y = ((low + high) / 2 for low, high in (x, y))
    known = torch.isfinite(mid_x) & torch.isfinite(mid_y)
    slope_x, slope_y = torch.where(known, mid_y, 0.0), torch.where(known, mid_x, 0.0)
    low, high = offsets(x, y, slope_x, slope_y)
    return Planes(slope_x, slope_y, low, slope_x, slope_y, high)
