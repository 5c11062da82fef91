# SPDX-License-Identifier: Apache-2.0
"""Smooth functions that are convex or concave (on each side of zero): exponentials, logarithms, powers.

Outside their domain they are NaN, which every domain must read as "nothing is known".
"""

from __future__ import annotations

from ctypes import c_float
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor

from vnnverify.ir.op import Elementwise
from vnnverify.numerics import FUNCTION_ULPS

__all__ = ["Elu", "Exp", "InverseSqrt", "Log", "Power", "Reciprocal", "Softplus", "Sqrt"]


@dataclass(frozen=True, slots=True, eq=False)
class _Convex(Elementwise):
    """Convex and positive where it is defined."""

    def slopes(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """Tangent at the midpoint below, secant above."""
        _, secant = Elementwise.slopes(self, lower, upper)
        return self.derivative((lower + upper) / 2), secant

    @property
    def ulps(self) -> int:
        return FUNCTION_ULPS

    @property
    def image(self) -> tuple[float, float]:
        return 0.0, float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Exp(_Convex):
    """exp(x)."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.exp(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return torch.exp(x)

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """exp(x) = slope."""
        return (torch.log(slope),)

    @property
    def steepness(self) -> tuple[float, float]:
        return 0.0, float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Elu(Elementwise):
    """x where x >= 0, alpha·(exp(x) − 1) elsewhere."""

    alpha: float

    def __call__(self, *inputs: Tensor) -> Tensor:
        x = inputs[0]
        return torch.where(x >= 0, x, self.alpha * torch.expm1(x.clamp(max=0)))

    def derivative(self, x: Tensor) -> Tensor:
        return torch.where(x >= 0, torch.ones_like(x), self.alpha * torch.exp(x.clamp(max=0)))

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """alpha·exp(x) = slope, and the kink at zero."""
        return torch.log(slope / self.alpha), torch.zeros_like(lower)

    @property
    def steepness(self) -> tuple[float, float]:
        return (0.0, max(1.0, self.alpha)) if self.alpha >= 0 else (self.alpha, float("inf"))

    @property
    def ulps(self) -> int:
        return FUNCTION_ULPS

    @property
    def image(self) -> tuple[float, float]:
        return min(-self.alpha, 0.0), float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Softplus(Elementwise):
    """log(1 + exp(x))."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.logaddexp(inputs[0], torch.zeros_like(inputs[0]))

    def derivative(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """sigmoid(x) = slope."""
        return (torch.log(slope) - torch.log1p(-slope),)

    @property
    def steepness(self) -> tuple[float, float]:
        return 0.0, 1.0

    @property
    def ulps(self) -> int:
        return FUNCTION_ULPS

    @property
    def image(self) -> tuple[float, float]:
        return 0.0, float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Log(Elementwise):
    """Natural logarithm."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.log(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return torch.reciprocal(x)

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """1/x = slope."""
        return (torch.reciprocal(slope),)

    @property
    def steepness(self) -> tuple[float, float]:
        return 0.0, float("inf")

    @property
    def ulps(self) -> int:
        return FUNCTION_ULPS


@dataclass(frozen=True, slots=True, eq=False)
class Sqrt(Elementwise):
    """Square root."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.sqrt(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return 0.5 / torch.sqrt(x)

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """1/(2·sqrt(x)) = slope."""
        return ((0.5 / slope).square(),)

    @property
    def steepness(self) -> tuple[float, float]:
        return 0.0, float("inf")

    @property
    def image(self) -> tuple[float, float]:
        return 0.0, float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class InverseSqrt(_Convex):
    """1/sqrt(x); NaN at zero, so that an interval with the pole has no bounds."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        x = inputs[0]
        return torch.rsqrt(torch.where(x <= 0, float("nan"), x))

    def derivative(self, x: Tensor) -> Tensor:
        return -0.5 * torch.rsqrt(x) / x

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """−x^(−3/2)/2 = slope."""
        return (torch.pow(-2 * slope, -2 / 3),)

    @property
    def steepness(self) -> tuple[float, float]:
        return -float("inf"), 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Reciprocal(Elementwise):
    """1/x; NaN at zero, so that an interval around the pole has no bounds."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        x = inputs[0]
        return torch.reciprocal(torch.where(x == 0, float("nan"), x))

    def derivative(self, x: Tensor) -> Tensor:
        return -torch.reciprocal(x.square())

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """−1/x² = slope on either side, and the pole."""
        x = torch.rsqrt(-slope)
        return x, -x, torch.zeros_like(lower)


@dataclass(frozen=True, slots=True, eq=False)
class Power(Elementwise):
    """x to a constant positive exponent other than 1; NaN for x < 0 unless that is a whole number."""

    exponent: float

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.pow(inputs[0], self.exponent)

    def derivative(self, x: Tensor) -> Tensor:
        return self.exponent * torch.pow(x, self.exponent - 1)

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """p·x^(p−1) = slope at one of ±|slope/p|^(1/(p−1)); a superfluous candidate does no harm."""
        x = torch.pow((slope / self.exponent).abs(), 1 / (self.exponent - 1))
        return x, -x

    @property
    def steepness(self) -> tuple[float, float]:
        return -float("inf") if self.exponent % 2 == 0 else 0.0, float("inf")

    @property
    def ulps(self) -> int:
        """A square is one product. An exponent p that is no float32 may be rounded to one, and turns x^p by
        |p·log(x)| times that; a float32 has a logarithm of 104 at most."""
        if self.exponent == 2:
            return 1
        return FUNCTION_ULPS + (
            0 if c_float(self.exponent).value == self.exponent else ceil(104 * self.exponent)
        )

    @property
    def image(self) -> tuple[float, float]:
        """Odd powers alone take negative values."""
        odd = self.exponent % 2 == 1
        return -float("inf") if odd else 0.0, float("inf")
