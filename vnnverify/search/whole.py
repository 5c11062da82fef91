# SPDX-License-Identifier: Apache-2.0
"""Cutting boxes of which some inputs hold whole numbers only."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.query import Query
from vnnverify.search.cut import cut_points

__all__ = ["WholeInputs"]


@dataclass(frozen=True, slots=True, eq=False)
class WholeInputs:
    """Which inputs hold whole numbers; boxes [lower, upper] are (batch, n), with whole ends at those inputs
    as far as the floats are fine enough."""

    which: Tensor  # (n,) bool
    some: bool

    @classmethod
    def of(cls, query: Query, device: torch.device) -> WholeInputs:
        """Those of a query."""
        which = torch.zeros(query.graph.input_size, dtype=torch.bool)
        found = list(query.layout.whole)
        which[found] = True
        return cls(which.to(device), bool(found))

    def shrunk(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """The boxes with their ends moved inward to whole numbers; crossed where there is none."""
        if not self.some:
            return lower, upper
        return torch.where(self.which, lower.ceil(), lower), torch.where(self.which, upper.floor(), upper)

    def middle(self, lower: Tensor, upper: Tensor) -> Tensor:
        """A point near the centre of each box, or where it is best cut."""
        centre = cut_points(lower, upper)
        return torch.where(self.which, centre.floor(), centre) if self.some else centre

    def cut(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """Where to cut each axis in two: the upper end of the lower part, the lower end of the upper one."""
        below = self.middle(lower, upper)
        if not self.some:
            return below, below
        gap = self.which & (below.abs() < 1 / torch.finfo(below.dtype).eps)  # else below + 1 is rounded
        return below, torch.where(gap, below + 1, below)

    def divisible(self, lower: Tensor, upper: Tensor) -> Tensor:
        """Which axes of each box can be cut so that both parts are smaller: (batch, n) bool."""
        below, above = self.cut(lower, upper)
        return (below >= lower) & (below < upper) & (above > lower) & (above <= upper)
