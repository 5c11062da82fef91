# SPDX-License-Identifier: Apache-2.0
"""x times a soft gate of x: Gelu, SiLU, Mish and their like.

Taken as one function of x they have far closer lines than as a product of two values.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import ceil, log2, pi, sqrt

import torch
from torch import Tensor

from vnnverify.ir.op import Elementwise
from vnnverify.numerics import FUNCTION_ULPS, unit_roundoff

__all__ = ["Gelu", "GeluTanh", "HardSwish", "Mish", "Silu"]

REACH = 64.0
"""Beyond ±REACH a gate is open or closed to far below a unit roundoff, and f'(x) as good as 1 or 0."""


@dataclass(frozen=True, slots=True, eq=False)
class _Gate(Elementwise):
    """f' rises or falls evenly between inflections, so it takes each slope at most once there."""

    @property
    @abstractmethod
    def inflections(self) -> tuple[float, ...]:
        """Where f'' changes its sign, in order."""

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """Where f' is the slope, by halving; placed to within the root of a unit roundoff, which changes
        f(x) − slope·x by less than a unit roundoff."""
        ends = torch.tensor((-REACH, *self.inflections, REACH), dtype=lower.dtype, device=lower.device)
        ends = ends.reshape(-1, *(1,) * lower.dim())
        left = torch.minimum(torch.maximum(ends[:-1], lower), upper)
        right = torch.maximum(torch.minimum(ends[1:], upper), lower)
        rising = self.derivative(left) < self.derivative(right)
        for _ in range(ceil(log2(2 * REACH / sqrt(unit_roundoff(lower.dtype))))):
            middle = (left + right) / 2
            beyond = (self.derivative(middle) > slope) == rising
            left, right = torch.where(beyond, left, middle), torch.where(beyond, middle, right)
        return tuple((left + right) / 2)

    @property
    def ulps(self) -> int:
        return 4 * FUNCTION_ULPS

    @property
    def absolute(self) -> float:
        """Where the gate is nearly closed, the rounding of its argument counts more, and the value little."""
        return 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Gelu(_Gate):
    """x·(1 + erf(x/√2))/2."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        x = inputs[0]
        return x * _open(x)

    def derivative(self, x: Tensor) -> Tensor:
        density = torch.exp(-x.square() / 2) / sqrt(2 * pi)
        return _open(x) + x * density

    @property
    def inflections(self) -> tuple[float, ...]:
        return -sqrt(2), sqrt(2)

    @property
    def image(self) -> tuple[float, float]:
        return -0.17, float("inf")


def _open(x: Tensor) -> Tensor:
    """(1 + erf(x/√2))/2, not lost to cancellation where it is small."""
    return torch.erfc(-x * sqrt(0.5)) / 2


@dataclass(frozen=True, slots=True, eq=False)
class GeluTanh(_Gate):
    """x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        x = inputs[0]
        return x * torch.sigmoid(_bend(x))

    def derivative(self, x: Tensor) -> Tensor:
        u = _bend(x)
        rise = sqrt(8 / pi) * (1 + 3 * 0.044715 * x.square())
        return torch.sigmoid(u) + torch.nan_to_num(x * torch.sigmoid(u) * torch.sigmoid(-u) * rise)

    @property
    def inflections(self) -> tuple[float, ...]:
        return -1.4185040087908283, 1.4185040087908283

    @property
    def image(self) -> tuple[float, float]:
        return -0.171, float("inf")


def _bend(x: Tensor) -> Tensor:
    return sqrt(8 / pi) * (x + 0.044715 * x * x * x)


@dataclass(frozen=True, slots=True, eq=False)
class Silu(_Gate):
    """x / (1 + exp(−x)): SiLU, Swish."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return inputs[0] * torch.sigmoid(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x) + x * torch.sigmoid(x) * torch.sigmoid(-x)

    @property
    def inflections(self) -> tuple[float, ...]:
        return -2.3993572805154677, 2.3993572805154677

    @property
    def image(self) -> tuple[float, float]:
        return -0.279, float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Mish(_Gate):
    """x·tanh(log(1 + exp(x)))."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return inputs[0] * torch.tanh(_softplus(inputs[0]))

    def derivative(self, x: Tensor) -> Tensor:
        t = torch.tanh(_softplus(x))
        return t + x * (1 - t) * (1 + t) * torch.sigmoid(x)

    @property
    def inflections(self) -> tuple[float, ...]:
        return -2.2563763963607931, 1.4905711794854285

    @property
    def image(self) -> tuple[float, float]:
        return -0.309, float("inf")


def _softplus(x: Tensor) -> Tensor:
    return torch.logaddexp(x, torch.zeros_like(x))


@dataclass(frozen=True, slots=True, eq=False)
class HardSwish(Elementwise):
    """x·min(max(x + 3, 0), 6)/6."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return inputs[0] * ((inputs[0] + 3).clamp(0, 6) / 6)

    def derivative(self, x: Tensor) -> Tensor:
        inner = x / 3 + 0.5
        return torch.where(x <= -3, torch.zeros_like(x), torch.where(x >= 3, torch.ones_like(x), inner))

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        three = torch.full_like(lower, 3.0)
        return -three, 3 * (slope - 0.5), three

    @property
    def image(self) -> tuple[float, float]:
        return -0.375, float("inf")

    @property
    def ulps(self) -> int:
        return 4
