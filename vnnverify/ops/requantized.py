# SPDX-License-Identifier: Apache-2.0
"""Roundings of quantised models as a runtime does them, and functions of small whole numbers as tables.

A sum of whole numbers times a scale is rounded to float32 before it is rounded to a whole number. Over the
reals that would not matter, but sums of whole numbers meet the edges between two numbers exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.ir.op import Elementwise
from vnnverify.numerics import float_above, float_below

__all__ = ["Lookup", "NearestWhole"]

_SINGLE = 2.0**-24 * (1 + 2.0**-20)
"""Largest relative error of rounding to float32, with room for that of computing the bound itself."""
_TINY = 2.0**-149
"""Largest absolute error of rounding a subnormal number to float32."""


@dataclass(frozen=True, slots=True, eq=False)
class NearestWhole(Elementwise):
    """The whole number nearest to the float32 that is nearest to x; the even one of two.

    A runtime may reach x by another order of float32 operations: then its own x differs by `reach` at most,
    and bounds hold for both.
    """

    reach: float = 0.0

    def __call__(self, *inputs: Tensor) -> Tensor:
        x = inputs[0]
        return torch.round(x.to(torch.float32).to(x.dtype))

    def derivative(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """Both sides of the first and of the last jump, which rounding to float32 moves a little."""
        points: list[Tensor] = []
        for edge in (torch.ceil(lower - 0.5) + 0.5, torch.floor(upper - 0.5) + 0.5):
            moved = edge.abs() * _SINGLE
            points += [edge, edge - moved, edge + moved, float_below(edge - moved), float_above(edge + moved)]
        return tuple(points)

    def between(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """The least and the greatest value over [lower, upper]; the function rises, so at the ends."""
        if not self.reach:
            return self(lower), self(upper)
        return self(float_below(lower - self.reach)), self(float_above(upper + self.reach))

    def distance(self, size: Tensor) -> Tensor:
        """A bound of |f(x) − x| for all |x| <= size."""
        return 0.5 + self.reach + (size + self.reach) * _SINGLE + _TINY

    @property
    def ulps(self) -> int:
        return 0


@dataclass(frozen=True, slots=True, eq=False)
class Lookup(Elementwise):
    """values[x − least] for whole numbers x; straight in between, and level outside."""

    least: int
    values: Tensor  # (n,)

    def __call__(self, *inputs: Tensor) -> Tensor:
        x, values = inputs[0], self.values.to(inputs[0].dtype)
        place = (x - self.least).clamp(0, len(values) - 1)
        index = place.detach().nan_to_num().floor().clamp(max=len(values) - 2).long()
        start, end = values[index], values[index + 1]
        return start + (end - start) * (place - index)

    def derivative(self, x: Tensor) -> Tensor:
        place = x - self.least
        inside = (place >= 0) & (place <= len(self.values) - 1)
        index = place.nan_to_num().floor().clamp(0, len(self.values) - 2).long()
        return (self.values[index + 1] - self.values[index]).to(x.dtype) * inside

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        """Where two pieces of different slope meet, whatever the slope."""
        return tuple(torch.full_like(lower, place) for place in self.bends.tolist())

    @property
    def bends(self) -> Tensor:
        """The whole numbers at which the slope changes."""
        rise = self.values.diff()
        level = rise.new_zeros(1)
        places = (torch.cat((level, rise)) != torch.cat((rise, level))).nonzero()[:, 0]
        return places.to(rise.dtype) + self.least

    @property
    def image(self) -> tuple[float, float]:
        return float(self.values.min()), float(self.values.max())

    @property
    def ulps(self) -> int:
        return 3

    @property
    def absolute(self) -> float:
        """Of the rise along a piece, which may nearly cancel its start, and of the place along it."""
        reach = abs(self.least) + len(self.values)
        return 6.0 * float(self.values.abs().max()) + 2.0 * reach * float(self.values.diff().abs().max())
