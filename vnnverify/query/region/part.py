# SPDX-License-Identifier: Apache-2.0
"""The part of any region that lies in a box."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.query.region.box import Box
from vnnverify.query.region.region import Least, Region

__all__ = ["Part"]


@dataclass(frozen=True, slots=True, eq=False)
class Part(Region):
    """A region cut with a box: what shapes that know no better become."""

    whole: Region
    lower: Tensor
    upper: Tensor

    @classmethod
    def of(cls, whole: Region, lower: Tensor, upper: Tensor) -> Part:
        """The part of `whole` with lower <= x <= upper."""
        return cls(whole, torch.maximum(whole.lower, lower), torch.minimum(whole.upper, upper))

    def least(self, rows: Tensor) -> Least:
        """The better of the bounds over the region and over the box."""
        one, other = self.whole.least(rows), Box(self.lower, self.upper).least(rows)
        better = one.value >= other.value
        value = torch.where(better, one.value, other.value)
        return Least(value, torch.where(better, one.error, other.error), None, None)

    def contains(self, x: Tensor) -> Tensor:
        """Which of the points x lie in both."""
        return Box(self.lower, self.upper).contains(x) & self.whole.contains(x)

    def project(self, x: Tensor) -> Tensor:
        """A point of the box, which may lie outside the region."""
        box = Box(self.lower, self.upper)
        for _ in range(3):
            x = box.project(self.whole.project(x))
        return x

    def within(self, lower: Tensor, upper: Tensor) -> Part:
        """The part inside a smaller box."""
        return Part(self.whole, torch.maximum(self.lower, lower), torch.minimum(self.upper, upper))

    def take(self, index: Tensor | slice | None) -> Part:
        """The parts of a batch with these numbers; None: this one as a batch of one."""
        return Part(self.whole.take(index), self.lower[index], self.upper[index])

    def to(self, device: torch.device, dtype: torch.dtype) -> Part:
        """A part around this one in another float type."""
        box = Box(self.lower, self.upper).to(device, dtype)
        return Part(self.whole.to(device, dtype), box.lower, box.upper)
