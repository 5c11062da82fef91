# SPDX-License-Identifier: Apache-2.0
"""Piecewise constant functions with jumps. A candidate stands on either side of a jump."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.ir.op import Elementwise
from vnnverify.numerics import float_above, float_below

__all__ = ["Ceil", "Floor", "Round", "Sign", "Spike", "Step", "Trunc"]


@dataclass(frozen=True, slots=True, eq=False)
class _Steps(Elementwise):
    """Constant but for jumps, so exact as computed."""

    def derivative(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    @property
    def ulps(self) -> int:
        return 0


@dataclass(frozen=True, slots=True, eq=False)
class _Jump(_Steps):
    """One jump, at zero."""

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """Zero, and the smallest normal numbers on either side of it."""
        least = torch.full_like(lower, torch.finfo(lower.dtype).tiny)
        return -least, torch.zeros_like(lower), least

    def slopes(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """Below, from the jump to the right end, above, from the left end to the jump; flat where the
        triangle on the other side would be the larger one."""
        height = self(torch.ones_like(lower)) - self(-torch.ones_like(lower))
        crossing = (lower < 0) & (upper > 0)
        rise = torch.where(crossing & (-lower < upper), height / upper, 0)
        climb = torch.where(crossing & (upper < -lower), height / -lower, 0)
        return rise, climb

    @property
    def steepness(self) -> tuple[float, float]:
        return 0.0, float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Sign(_Jump):
    """−1, 0 or 1."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.sign(inputs[0])

    @property
    def image(self) -> tuple[float, float]:
        return -1.0, 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Step(_Jump):
    """1 where x > 0, or x >= 0 if it is inclusive, else 0, as for NaN."""

    inclusive: bool = False

    def __call__(self, *inputs: Tensor) -> Tensor:
        sign = torch.sign(inputs[0])
        found = 1 + sign.clamp(max=0) if self.inclusive else sign.clamp(min=0)
        return found.masked_fill(inputs[0].isnan(), 0)

    @property
    def image(self) -> tuple[float, float]:
        return 0.0, 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Spike(_Steps):
    """1 where x is zero, else 0, as for NaN."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return (1 - torch.sign(inputs[0]).abs()).masked_fill(inputs[0].isnan(), 0)

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """Zero, and the smallest normal numbers on either side of it."""
        least = torch.full_like(lower, torch.finfo(lower.dtype).tiny)
        return -least, torch.zeros_like(lower), least

    @property
    def image(self) -> tuple[float, float]:
        return 0.0, 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Floor(_Steps):
    """The largest whole number that is not above x."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.floor(inputs[0])

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """Both sides of the first and of the last jump: in between, f(x) − slope·x moves evenly."""
        first, last = torch.floor(lower) + 1, torch.floor(upper)
        return first, float_below(first), last, float_below(last)

    @property
    def steepness(self) -> tuple[float, float]:
        return 0.0, float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Ceil(_Steps):
    """The smallest whole number that is not below x."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.ceil(inputs[0])

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """Both sides of the first and of the last jump."""
        first, last = torch.ceil(lower), torch.ceil(upper) - 1
        return first, float_above(first), last, float_above(last)

    @property
    def steepness(self) -> tuple[float, float]:
        return 0.0, float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Trunc(_Steps):
    """The nearest whole number towards zero: a cast to whole numbers."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.trunc(inputs[0])

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """Both sides of the first and of the last jump on either side of zero, where there is none."""
        one = torch.ones_like(lower)
        right = torch.maximum(torch.ceil(lower), one), torch.floor(upper)
        left = torch.minimum(torch.floor(upper), -one), torch.ceil(lower)
        return (
            *right,
            *(float_below(point) for point in right),
            *left,
            *(float_above(point) for point in left),
        )

    @property
    def steepness(self) -> tuple[float, float]:
        return 0.0, float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Round(_Steps):
    """The nearest whole number; the even one of two."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.round(inputs[0])

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """Both sides of the first and of the last jump."""
        first, last = torch.ceil(lower - 0.5) + 0.5, torch.floor(upper - 0.5) + 0.5
        return first, float_below(first), float_above(first), last, float_below(last), float_above(last)

    @property
    def steepness(self) -> tuple[float, float]:
        return 0.0, float("inf")
