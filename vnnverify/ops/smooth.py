# SPDX-License-Identifier: Apache-2.0
"""Smooth scalar functions with closed-form turning points of f(x) − slope·x."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.ir.op import Elementwise

__all__ = ["Exp", "Sigmoid", "Tanh"]


@dataclass(frozen=True, slots=True, eq=False)
class _Sigmoidal(Elementwise):
    """Increasing, convex left of zero, concave right of it."""

    def slopes(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """Secant on the side the function bends away from, tangent at the midpoint on the other; where
        the interval crosses the inflection, the smaller end slope keeps both lines valid and close."""
        width = upper - lower
        flat = self.derivative((lower + upper) / 2)
        secant = torch.where(width > 0, (self(upper) - self(lower)) / torch.where(width > 0, width, 1.0), flat)
        ends = torch.minimum(self.derivative(lower), self.derivative(upper))
        below = torch.where(lower >= 0, secant, torch.where(upper <= 0, flat, ends))
        above = torch.where(upper <= 0, secant, torch.where(lower >= 0, flat, ends))
        # crossing, but so lopsided that the secant already stays on one side
        below = torch.where((lower < 0) & (upper > 0) & (self.derivative(upper) >= secant), secant, below)
        above = torch.where((lower < 0) & (upper > 0) & (self.derivative(lower) >= secant), secant, above)
        return below, above

    @abstractmethod
    def _where_derivative_is(self, slope: Tensor) -> Tensor:
        """The non-negative x with f'(x) = slope; NaN or infinite if there is none."""

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        x = self._where_derivative_is(slope)
        return x, -x

    @property
    def ulps(self) -> int:
        return 8


@dataclass(frozen=True, slots=True, eq=False)
class Sigmoid(_Sigmoidal):
    """1 / (1 + exp(−x))."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.sigmoid(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        s = torch.sigmoid(x)
        return s * (1 - s)

    def _where_derivative_is(self, slope: Tensor) -> Tensor:
        """s(1 − s) = slope at s = (1 + r)/2, r = sqrt(1 − 4·slope); x = log(s/(1 − s)) = 2·atanh(r)."""
        return 2 * torch.atanh(torch.sqrt(1 - 4 * slope))


@dataclass(frozen=True, slots=True, eq=False)
class Tanh(_Sigmoidal):
    """Hyperbolic tangent."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.tanh(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return 1 - torch.tanh(x).square()

    def _where_derivative_is(self, slope: Tensor) -> Tensor:
        return torch.atanh(torch.sqrt(1 - slope))


@dataclass(frozen=True, slots=True, eq=False)
class Exp(Elementwise):
    """exp(x)."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.exp(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return torch.exp(x)

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        return (torch.log(slope),)

    def slopes(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """Tangent at the midpoint below, secant above: exp is convex."""
        _, secant = Elementwise.slopes(self, lower, upper)
        return self.derivative((lower + upper) / 2), secant

    @property
    def ulps(self) -> int:
        return 8
