# SPDX-License-Identifier: Apache-2.0
"""x times a soft gate of x: Gelu, SiLU, Mish and their like.

Taken as one function of x they have far closer lines than as a product of two values.

A parameter may be a rounding of the true one, and is rounded once more to the type of x. The functions state
errors that have room for both: as the argument t of a gate is off by k unit roundoffs of its size, x·gate(t)
is off by k·x·t·gate'(t), which is bounded. `source` tells by what true parameters a function differs from
another one that is computed alike; None: the parameters are exact.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache
from math import ceil, log2, pi, sqrt, tanh

import torch
from torch import Tensor

from vnnverify.ir.op import Elementwise
from vnnverify.numerics import FUNCTION_ULPS, unit_roundoff

__all__ = ["Gelu", "GeluTanh", "HardSwish", "Mish", "Silu"]

REACH = 64.0
"""Beyond ±REACH units a gate is open or closed to far below a unit roundoff, and f'(x) as good as 1 or 0."""


@dataclass(frozen=True, slots=True, eq=False)
class _Gate(Elementwise):
    """f' rises or falls evenly between inflections, so it takes each slope at most once there."""

    @property
    @abstractmethod
    def inflections(self) -> tuple[float, ...]:
        """Where f'' changes its sign, in order."""

    @property
    def unit(self) -> float:
        """The x at which the gate is about half way between its middle and being open."""
        return 1.0

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """Where f' is the slope, by halving; placed to within the root of a unit roundoff, which changes
        f(x) − slope·x by less than a unit roundoff."""
        reach = REACH * self.unit
        ends = torch.tensor((-reach, *self.inflections, reach), dtype=lower.dtype, device=lower.device)
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
        """Of the gate, of its argument where it is open, and of the product."""
        return 4 * FUNCTION_ULPS

    @property
    def absolute(self) -> float:
        """Where the gate is nearly closed, the rounding of its argument counts more, and the value little.

        An argument rate·x is rounded three times: 0.3 units each for Gelu, 0.44 for Silu. That of GeluTanh is
        rounded nine times, of which 0.7 at most is left besides 23 of the unit roundoffs of the value.
        """
        return 2.0 * max(self.unit, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Gelu(_Gate):
    """x·(1 + erf(rate·x))/2."""

    rate: float = sqrt(0.5)
    source: Hashable = None

    def __call__(self, *inputs: Tensor) -> Tensor:
        return inputs[0] * self._open(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        density = torch.exp(-(self.rate * x).square()) * (self.rate / sqrt(pi))
        return self._open(x) + x * density

    def _open(self, x: Tensor) -> Tensor:
        """(1 + erf(rate·x))/2, not lost to cancellation where it is small."""
        return torch.erfc(-x * self.rate) / 2

    @property
    def unit(self) -> float:
        return sqrt(0.5) / self.rate

    @property
    def inflections(self) -> tuple[float, ...]:
        """f'' is a positive function times 1 − (rate·x)²."""
        return -1 / self.rate, 1 / self.rate

    @property
    def image(self) -> tuple[float, float]:
        """The least value is −0.16998 units."""
        return -0.17 * self.unit, float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class GeluTanh(_Gate):
    """x·(1 + tanh(rate·(x + cubic·x³)))/2, for a rate about 0.8 and a cubic about 0.045."""

    rate: float = sqrt(2 / pi)
    cubic: float = 0.044715
    source: Hashable = None

    def __call__(self, *inputs: Tensor) -> Tensor:
        x = inputs[0]
        return x * torch.sigmoid(self._bend(x))

    def derivative(self, x: Tensor) -> Tensor:
        u = self._bend(x)
        rise = 2 * self.rate * (1 + 3 * self.cubic * x.square())
        return torch.sigmoid(u) + torch.nan_to_num(x * torch.sigmoid(u) * torch.sigmoid(-u) * rise)

    def _bend(self, x: Tensor) -> Tensor:
        return 2 * self.rate * (x + self.cubic * x * x * x)

    @property
    def unit(self) -> float:
        return sqrt(2 / pi) / self.rate

    @property
    def inflections(self) -> tuple[float, ...]:
        x = _inflection(self.rate, self.cubic)
        return -x, x

    @property
    def image(self) -> tuple[float, float]:
        """The least value is above −0.173 units for all that are recognised."""
        return -0.3 * self.unit, float("inf")


@cache
def _inflection(rate: float, cubic: float) -> float:
    """Where f'' of x·sigmoid(u), u = 2·rate·(x + cubic·x³), falls through zero: by halving."""
    left, right = 0.0, 4.0 / rate
    for _ in range(60):
        x = (left + right) / 2
        rise, bend = 2 * rate * (1 + 3 * cubic * x * x), 12 * rate * cubic * x
        half = rate * (x + cubic * x**3)
        rising = 2 * rise + x * (bend - tanh(half) * rise * rise) > 0
        left, right = (x, right) if rising else (left, x)
    return left


@dataclass(frozen=True, slots=True, eq=False)
class Silu(_Gate):
    """x / (1 + exp(−rate·x)): SiLU, Swish."""

    rate: float = 1.0
    source: Hashable = None

    def __call__(self, *inputs: Tensor) -> Tensor:
        return inputs[0] * torch.sigmoid(self.rate * inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        u = self.rate * x
        return torch.sigmoid(u) + u * torch.sigmoid(u) * torch.sigmoid(-u)

    @property
    def unit(self) -> float:
        return 1 / self.rate

    @property
    def inflections(self) -> tuple[float, ...]:
        """Where t·tanh(t/2) = 2 for t = rate·x."""
        return -2.3993572805154677 / self.rate, 2.3993572805154677 / self.rate

    @property
    def image(self) -> tuple[float, float]:
        """The least value is −0.27847 units."""
        return -0.279 * self.unit, float("inf")


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
        """The least value is −0.30884."""
        return -0.309, float("inf")


def _softplus(x: Tensor) -> Tensor:
    return torch.logaddexp(x, torch.zeros_like(x))


@dataclass(frozen=True, slots=True, eq=False)
class HardSwish(Elementwise):
    """x·min(max(rate·x + shift, 0), 1) for a rate above 0 and a shift between 0 and 1."""

    rate: float = 1 / 6
    shift: float = 0.5
    source: Hashable = None

    def __call__(self, *inputs: Tensor) -> Tensor:
        return inputs[0] * (self.rate * inputs[0] + self.shift).clamp(0, 1)

    def derivative(self, x: Tensor) -> Tensor:
        gate = (self.rate * x + self.shift).clamp(0, 1)
        return torch.where((gate > 0) & (gate < 1), gate + self.rate * x, gate)

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """The two kinks, and the vertex of the parabola between them."""
        closed = torch.full_like(lower, -self.shift / self.rate)
        opened = torch.full_like(lower, (1 - self.shift) / self.rate)
        return closed, (slope - self.shift) / (2 * self.rate), opened

    @property
    def image(self) -> tuple[float, float]:
        """The least value is −shift²/(4·rate), at the vertex; a little lower for the rounding of both."""
        return -self.shift * self.shift / (3.99999999 * self.rate), float("inf")

    @property
    def ulps(self) -> int:
        """rate·x is rounded three times, the shift twice, their sum and the product once each: where x > 0,
        neither summand is larger than the gate."""
        return 6

    @property
    def absolute(self) -> float:
        """Where x < 0, the sum cancels: neither summand is larger than the shift, nor |x| than shift/rate."""
        return 6 * self.shift * self.shift / self.rate
