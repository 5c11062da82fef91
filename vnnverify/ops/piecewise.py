# SPDX-License-Identifier: Apache-2.0
"""Continuous piecewise-linear functions of one variable."""

from __future__ import annotations

from ctypes import c_float
from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.ir.op import Elementwise

__all__ = ["Abs", "Clip", "LeakyRelu", "Relu", "Tent"]


@dataclass(frozen=True, slots=True, eq=False)
class _Bent(Elementwise):
    """Straight but for a bend at zero."""

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """The bend, whatever the slope."""
        return (torch.zeros_like(lower),)

    @property
    def kinks(self) -> tuple[float, ...] | None:
        return (0.0,)


@dataclass(frozen=True, slots=True, eq=False)
class Relu(_Bent):
    """max(x, 0)."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.relu(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return (x > 0).to(x.dtype)

    def slopes(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """The area-minimising lower slope (0 or 1) and the chord. Source: CROWN, arXiv:1811.00866."""
        active, crossing = lower >= 0, (lower < 0) & (upper > 0)
        chord = upper / torch.where(crossing, upper - lower, torch.ones_like(upper))
        one = torch.ones_like(lower)
        above = torch.where(crossing, chord, active.to(lower.dtype) * one)
        below = torch.where(crossing, (upper > -lower).to(lower.dtype), active.to(lower.dtype))
        return below, above

    @property
    def steepness(self) -> tuple[float, float]:
        return 0.0, 1.0

    @property
    def ulps(self) -> int:
        """A choice between x and zero rounds nothing."""
        return 0

    @property
    def image(self) -> tuple[float, float]:
        return 0.0, float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class LeakyRelu(_Bent):
    """x where x >= 0, alpha·x elsewhere."""

    alpha: float

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.where(inputs[0] >= 0, inputs[0], self.alpha * inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return torch.where(x >= 0, torch.ones_like(x), torch.full_like(x, self.alpha))

    def slopes(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """The chord on the side that bends away, and on the other the slope of the longer piece."""
        _, chord = Elementwise.slopes(self, lower, upper)
        longer = self.derivative(lower + upper)
        piece = torch.where((lower < 0) & (upper > 0), longer, chord)
        return (piece, chord) if self.alpha <= 1 else (chord, piece)

    @property
    def steepness(self) -> tuple[float, float]:
        return min(self.alpha, 1.0), max(self.alpha, 1.0)

    @property
    def ulps(self) -> int:
        """alpha is rounded to the type of x, then the product."""
        return 2


@dataclass(frozen=True, slots=True, eq=False)
class Abs(_Bent):
    """|x|."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return inputs[0].abs()

    def derivative(self, x: Tensor) -> Tensor:
        return torch.sign(x)

    def slopes(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """The chord above; below, the slope of the longer piece."""
        _, chord = Elementwise.slopes(self, lower, upper)
        return torch.where((lower < 0) & (upper > 0), torch.sign(lower + upper), chord), chord

    @property
    def steepness(self) -> tuple[float, float]:
        return -1.0, 1.0

    @property
    def ulps(self) -> int:
        return 0

    @property
    def image(self) -> tuple[float, float]:
        return 0.0, float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Clip(Elementwise):
    """min(max(x, low), high) with constant, possibly infinite, ends."""

    low: float
    high: float

    def __call__(self, *inputs: Tensor) -> Tensor:
        return inputs[0].clamp(self.low, self.high)

    def derivative(self, x: Tensor) -> Tensor:
        return ((x > self.low) & (x < self.high)).to(x.dtype)

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """The ends, whatever the slope."""
        return tuple(torch.full_like(lower, kink) for kink in self.kinks or ())

    @property
    def steepness(self) -> tuple[float, float]:
        return 0.0, 1.0

    @property
    def kinks(self) -> tuple[float, ...] | None:
        return tuple(k for k in (self.low, self.high) if abs(k) != float("inf"))

    @property
    def ulps(self) -> int:
        """An end that is no float32 may be rounded to one."""
        return 0 if all(c_float(k).value == k for k in (self.low, self.high)) else 1

    @property
    def image(self) -> tuple[float, float]:
        return self.low, self.high


@dataclass(frozen=True, slots=True, eq=False)
class Tent(Elementwise):
    """max(0, 1 − |x|): tells of a whole number whether it is zero, and is continuous in between."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.relu(1 - inputs[0].abs())

    def derivative(self, x: Tensor) -> Tensor:
        return torch.where(x.abs() < 1, -torch.sign(x), torch.zeros_like(x))

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """The three corners, whatever the slope."""
        return tuple(torch.full_like(lower, kink) for kink in (-1.0, 0.0, 1.0))

    @property
    def steepness(self) -> tuple[float, float]:
        return -1.0, 1.0

    @property
    def kinks(self) -> tuple[float, ...] | None:
        return (-1.0, 0.0, 1.0)

    @property
    def image(self) -> tuple[float, float]:
        return 0.0, 1.0
