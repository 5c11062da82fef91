# SPDX-License-Identifier: Apache-2.0
"""S-shaped functions: increasing, convex left of zero, concave right of it."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi, sqrt

import torch
from torch import Tensor

from vnnverify.ir.op import Elementwise
from vnnverify.ops.mirrored import Mirrored

__all__ = ["Erf", "Sigmoid", "Tanh"]


@dataclass(frozen=True, slots=True, eq=False)
class _Sigmoidal(Mirrored):
    """f' is even and falls with |x|, so it takes each value below f'(0) at one x >= 0 and at −x."""

    def slopes(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """Secant on the side the function bends away from, tangent at the midpoint on the other; where
        the interval crosses the inflection, the secant if it stays on its side, else the smaller of
        the two end slopes, which does."""
        middle = self.derivative((lower + upper) / 2)
        _, secant = Elementwise.slopes(self, lower, upper)
        at_lower, at_upper = self.derivative(lower), self.derivative(upper)
        ends = torch.minimum(at_lower, at_upper)
        below = torch.where(at_upper >= secant, secant, ends)
        below = torch.where(upper <= 0, middle, torch.where(lower >= 0, secant, below))
        above = torch.where(at_lower >= secant, secant, ends)
        above = torch.where(lower >= 0, middle, torch.where(upper <= 0, secant, above))
        return below, above


@dataclass(frozen=True, slots=True, eq=False)
class Sigmoid(_Sigmoidal):
    """1 / (1 + exp(−x))."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.sigmoid(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x) * torch.sigmoid(-x)

    def where_derivative_is(self, slope: Tensor) -> Tensor:
        """f' = f (1 − f) is the slope where f = (1 + r)/2, r = sqrt(1 − 4·slope). Then
        x = log(f/(1 − f)) = log((1 + r)²/(4·slope)), which small slopes do not cancel."""
        r = torch.sqrt(1 - 4 * slope)
        return 2 * (torch.log1p(r) - log(2)) - torch.log(slope)

    @property
    def steepness(self) -> tuple[float, float]:
        return 0.0, 0.25

    @property
    def image(self) -> tuple[float, float]:
        return 0.0, 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Tanh(_Sigmoidal):
    """Hyperbolic tangent."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.tanh(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return 4 * torch.sigmoid(2 * x) * torch.sigmoid(-2 * x)

    def where_derivative_is(self, slope: Tensor) -> Tensor:
        """f' = 1 − f² is the slope where f = r = sqrt(1 − slope). Then
        x = atanh(r) = log((1 + r)²/slope)/2."""
        r = torch.sqrt(1 - slope)
        return torch.log1p(r) - torch.log(slope) / 2

    @property
    def steepness(self) -> tuple[float, float]:
        return 0.0, 1.0

    @property
    def image(self) -> tuple[float, float]:
        return -1.0, 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Erf(_Sigmoidal):
    """2/sqrt(pi) times the integral of exp(−t²) from 0 to x."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.erf(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return (2 / sqrt(pi)) * torch.exp(-x.square())

    def where_derivative_is(self, slope: Tensor) -> Tensor:
        """(2/sqrt(pi))·exp(−x²) = slope."""
        return torch.sqrt(-torch.log(slope * (sqrt(pi) / 2)))

    @property
    def steepness(self) -> tuple[float, float]:
        return 0.0, 1.25

    @property
    def image(self) -> tuple[float, float]:
        return -1.0, 1.0
