# SPDX-License-Identifier: Apache-2.0
"""Boxes, perhaps cut by linear rows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.numerics import lower_as, upper_as
from vnnverify.query.polytope import Polytope
from vnnverify.query.region.region import Least, Region, spread, uniform
from vnnverify.query.region.rows import least_in_rows
from vnnverify.query.region.sums import below, product_error, total

__all__ = ["Box"]


@dataclass(frozen=True, slots=True, eq=False)
class Box(Region):
    """All x with lower <= x <= upper, and within linear rows if given: {x : A x <= b}, the same for all of a
    batch."""

    lower: Tensor  # (n,) or (B, n), rounded down
    upper: Tensor  # (n,) or (B, n), rounded up
    linear: Polytope | None = None

    def __post_init__(self) -> None:
        for name in ("lower", "upper"):
            if not isinstance(getattr(self, name), Tensor):
                object.__setattr__(self, name, torch.as_tensor(getattr(self, name), dtype=torch.float64))

    def least(self, rows: Tensor) -> Least:
        """Positive coefficients at the lower end, negative ones at the upper end. With linear rows a dual
        bound, see `least_in_rows`."""
        lower, upper = spread(self.lower), spread(self.upper)
        if self.linear is not None:
            return least_in_rows(rows, lower, upper, self.linear)
        x = torch.where(rows > 0, lower, upper)
        error = product_error(rows, x)
        return Least(*below(total(rows, x), error, rows.dtype), None, x)

    def contains(self, x: Tensor) -> Tensor:
        """Which of the points x lie inside, of linear rows up to rounding: (S,) or (B, S) bool."""
        lower, upper = spread(self.lower.to(x.device)), spread(self.upper.to(x.device))
        inside = ((x >= lower) & (x <= upper)).all(dim=-1)
        if self.linear is None:
            return inside
        return inside & self.linear.contains(x.reshape(-1, x.shape[-1])).reshape(inside.shape)

    def project(self, x: Tensor) -> Tensor:
        """The nearest point of the box. The linear rows are not looked at."""
        return torch.clamp(x, min=spread(self.lower.to(x)), max=spread(self.upper.to(x)))

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Uniform points of the box: (count, n) or (B, count, n) float64. The linear rows are not looked
        at."""
        return uniform(self.lower, self.upper, count, generator)

    def within(self, lower: Tensor, upper: Tensor) -> Box:
        """The part inside a smaller box."""
        low, high = torch.maximum(self.lower, lower), torch.minimum(self.upper, upper)
        return dataclasses.replace(self, lower=low, upper=high)

    def take(self, index: Tensor | slice | None) -> Box:
        """The boxes of a batch with these numbers; None: this one as a batch of one."""
        return dataclasses.replace(self, lower=self.lower[index], upper=self.upper[index])

    def flat(self, batch: int | None) -> Box:
        """The box with ends (B, n) or (n,)."""
        shape = (-1,) if batch is None else (batch, -1)
        return dataclasses.replace(self, lower=self.lower.reshape(shape), upper=self.upper.reshape(shape))

    def to(self, device: torch.device, dtype: torch.dtype) -> Box:
        """The box with its ends rounded outward to another float type."""
        lower, upper = self.lower.to(device), self.upper.to(device)
        return Box(lower_as(lower, dtype), upper_as(upper, dtype), self.linear)

    @property
    def is_box(self) -> bool:
        """Whether there are no linear rows."""
        return self.linear is None
