# SPDX-License-Identifier: Apache-2.0
"""Rounding to floating-point numbers of fewer digits, and numbers that are only known within limits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.ir.op import Elementwise
from vnnverify.numerics import float_above, float_below

__all__ = ["Rounded", "Within"]


@dataclass(frozen=True, slots=True, eq=False)
class Within(Elementwise):
    """x where low < x < high; NaN elsewhere, where what the model computes is not this."""

    low: float
    high: float

    def __call__(self, *inputs: Tensor) -> Tensor:
        x = inputs[0]
        return torch.where((x > self.low) & (x < self.high), x, float("nan"))

    def derivative(self, x: Tensor) -> Tensor:
        return torch.ones_like(x)

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """None: it is straight."""
        return ()

    def slopes(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        one = torch.ones_like(lower)
        return one, one

    @property
    def ulps(self) -> int:
        return 0


@dataclass(frozen=True, slots=True, eq=False)
class Rounded(Elementwise):
    """The nearest number of a binary floating-point format, of two the even one; NaN from `limit` on.

    Exact as computed: float32 holds all numbers of the formats, and the middles between two of them.
    """

    digits: int  # of the significand, the first one counted
    least: int  # 2**least is the distance between the smallest numbers
    limit: float

    def __call__(self, *inputs: Tensor) -> Tensor:
        x = inputs[0]
        wide = x.double()
        step = self._step(wide)
        near = (torch.round(wide / step) * step).to(x.dtype)
        return torch.where(x.abs() < self.limit, near, float("nan"))

    def derivative(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    @property
    def ulps(self) -> int:
        return 0

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """Both sides of a few jumps. Between two powers of two the jumps are evenly spaced, and from one to
        the next all doubles: so f(x) − slope·x is extreme at the first or the last jump between the ends, or
        of the stretches where they lie, or of the stretches next to those or to the numbers that are all
        evenly spaced around zero."""
        finest = torch.full_like(lower, 2.0 ** (self.least + self.digits)).double()
        low, high = self._power(lower.double()), self._power(upper.double())
        low_next = torch.where(lower > 0, 2 * low, -low), torch.where(lower > 0, 4 * low, -low / 2)
        high_next = torch.where(upper > 0, high, -2 * high), torch.where(upper > 0, high / 2, -4 * high)
        marks = (finest, -finest, 2 * finest, -2 * finest, *low_next, *high_next)
        jumps = [self._jump(lower.double(), 1), self._jump(upper.double(), -1)]
        for mark in marks:
            inner, outer = mark * (1 - 2.0**-40), mark * (1 + 2.0**-40)
            jumps += [self._jump(torch.minimum(inner, outer), -1), self._jump(torch.maximum(inner, outer), 1)]
        cast = [jump.to(lower.dtype) for jump in jumps]
        return tuple(side for jump in cast for side in (float_below(jump), jump, float_above(jump)))

    def _power(self, x: Tensor) -> Tensor:
        """The largest power of two that is not above |x|."""
        return _two_to(torch.frexp(x.detach()).exponent - 1)

    def _step(self, x: Tensor) -> Tensor:
        """The distance between neighbours at x."""
        exponent = torch.where(x == 0, self.least, torch.frexp(x.detach()).exponent - self.digits)
        return _two_to(exponent.clamp(min=self.least))

    def _jump(self, x: Tensor, way: int) -> Tensor:
        """The nearest middle between two neighbours above x, or below."""
        step = self._step(x)
        place = x / step - 0.5
        return ((torch.ceil(place) if way > 0 else torch.floor(place)) + 0.5) * step


def _two_to(exponent: Tensor) -> Tensor:
    """2**exponent, exactly, as float64; of exponents that float64 has no normal number for, the nearest."""
    bits = (exponent.to(torch.int64).clamp(-1022, 1023) + 1023) << 52
    return bits.view(torch.float64)
