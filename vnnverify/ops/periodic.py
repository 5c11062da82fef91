# SPDX-License-Identifier: Apache-2.0
"""Sine and cosine."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from vnnverify.ir.op import Elementwise
from vnnverify.numerics import FUNCTION_ULPS

__all__ = ["Cos", "Sin"]


@dataclass(frozen=True, slots=True, eq=False)
class _Wave(Elementwise):
    """Between −1 and 1, as are its derivatives."""

    @property
    def steepness(self) -> tuple[float, float]:
        return -1.0, 1.0

    @property
    def curvature(self) -> float:
        return 1.0

    @property
    def ulps(self) -> int:
        return FUNCTION_ULPS

    @property
    def image(self) -> tuple[float, float]:
        return -1.0, 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Sin(_Wave):
    """Sine."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.sin(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return torch.cos(x)

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """cos(x) = slope at ±acos(slope) and all turns from there."""
        x = torch.acos(slope)
        return *_first_and_last(x, lower, upper), *_first_and_last(-x, lower, upper)


@dataclass(frozen=True, slots=True, eq=False)
class Cos(_Wave):
    """Cosine."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.cos(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return -torch.sin(x)

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """−sin(x) = slope at asin(−slope), at its mirror image about pi/2, and all turns from there."""
        x = torch.asin(-slope)
        return *_first_and_last(x, lower, upper), *_first_and_last(pi - x, lower, upper)


def _first_and_last(x: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the last of x + 2·pi·k in [lower, upper].

    Along such a family f(x) − slope·x changes by the same amount from one k to the next, so its
    extremes are the first and the last.
    """
    turn = 2 * pi
    return (
        x + turn * torch.ceil((lower - x) / turn),
        x + turn * torch.floor((upper - x) / turn),
    )
