# SPDX-License-Identifier: Apache-2.0
"""Intervals of one value that several methods have found."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["intersect", "uncross"]


def intersect(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The part that two pairs of bounds (lower, upper) have in common; NaN bounds nothing."""
    return uncross(torch.fmax(a[0], b[0]), torch.fmin(a[1], b[1]))


def uncross(lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """Bounds of a single point may cross by rounding when two methods meet: both ends are then valid
    up to their error, so the pair is put in order, which only widens it."""
    return torch.minimum(lower, upper), torch.maximum(lower, upper)
