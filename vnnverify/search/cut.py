# SPDX-License-Identifier: Apache-2.0
"""Where the sides of a box are cut in two."""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.numerics import middle

__all__ = ["cut_points"]

LARGE = 1e9
"""Numbers beyond this are cut by their order of magnitude: it takes 126 halvings to come from 1e38 to one."""
SPREAD = 16.0
"""Least ratio of the ends, or of the larger one to one, that is cut so."""


def cut_points(lower: Tensor, upper: Tensor) -> Tensor:
    """A finite number in each interval [lower, upper], strictly inside if a float is: its middle. In a large
    interval with ends of different size, the middle of these sizes; zero if that is inside."""
    found = middle(lower, upper)
    size = torch.maximum(lower.abs(), upper.abs())
    if not bool((size > LARGE).any()):
        return found
    most = torch.finfo(lower.dtype).max
    far = size.clamp(max=most)
    near = torch.minimum(lower.abs(), upper.abs()).clamp(min=1.0)
    wide = (size > LARGE) & (far > SPREAD * near)
    crossing = (lower < 0) & (upper > 0)
    by_size = torch.where(upper > 0, 1.0, -1.0).to(far.dtype) * near.sqrt() * far.sqrt()
    return torch.where(wide, torch.where(crossing, 0.0, by_size), found)
