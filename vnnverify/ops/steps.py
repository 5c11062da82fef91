# SPDX-License-Identifier: Apache-2.0
"""Piecewise constant functions with jumps. A candidate stands on either side of a jump."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.ir.op import Elementwise
from vnnverify.numerics import round_down

__all__ = ["Floor", "Sign"]


@dataclass(frozen=True, slots=True, eq=False)
class Sign(Elementwise):
    """−1, 0 or 1."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.sign(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        least = torch.full_like(lower, torch.finfo(lower.dtype).tiny)
        return -least, torch.zeros_like(lower), least

    @property
    def ulps(self) -> int:
        return 0


@dataclass(frozen=True, slots=True, eq=False)
class Floor(Elementwise):
    """The largest whole number that is not above x."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.floor(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """Both sides of the first and of the last jump: in between, f(x) − slope·x moves evenly."""
        first, last = torch.floor(lower) + 1, torch.floor(upper)
        return first, round_down(first), last, round_down(last)

    @property
    def ulps(self) -> int:
        return 0
