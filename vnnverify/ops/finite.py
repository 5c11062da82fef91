# SPDX-License-Identifier: Apache-2.0
"""Tests for what is not a number."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.ir.op import Enclosed, flat

__all__ = ["NotFinite"]


@dataclass(frozen=True, slots=True, eq=False)
class NotFinite(Enclosed):
    """1 where the first input is NaN, or an infinity that is asked for, else 0.

    The others are what it is computed from: a sum of what has overflowed may be anything. Where all of them
    stay within `limit`, so small that nothing the model adds or multiplies overflows, the first one is a
    number.
    """

    nan: bool
    positive: bool
    negative: bool
    largest: float  # number of the type: what exceeds it is infinite
    limit: float

    def __call__(self, *inputs: Tensor) -> Tensor:
        x = inputs[0]
        hit = torch.zeros_like(x, dtype=torch.bool)
        if self.nan:
            hit = hit | x.isnan()
        if self.positive:
            hit = hit | (x > self.largest)
        if self.negative:
            hit = hit | (x < -self.largest)
        flatly = torch.nan_to_num(x, posinf=0.0, neginf=0.0) * 0  # a gradient, of zero
        return hit.to(x.dtype) + flatly

    def enclosure(self, *inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """0 where it is sure that nothing has overflowed, else 0 or 1."""
        sure = self._sure(inputs[0])
        for pair in inputs[1:]:
            all_sure = flat(self._sure(pair)).all(dim=1)
            sure = sure & all_sure.reshape(-1, *(1,) * (sure.dim() - 1))
        high = torch.where(sure, 0.0, 1.0).to(inputs[0][0].dtype)
        return torch.zeros_like(high), high

    def _sure(self, pair: tuple[Tensor, Tensor]) -> Tensor:
        """NaN is not: every comparison with it fails."""
        lower, upper = pair
        return (lower >= -self.limit) & (upper <= self.limit)
