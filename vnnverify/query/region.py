# SPDX-License-Identifier: Apache-2.0
"""Where inputs range."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.numerics import varies
from vnnverify.query.polytope import Polytope

__all__ = ["Region"]


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Where inputs range: a box, cut by linear rows if given."""

    lower: Tensor  # (n,) float64, rounded down
    upper: Tensor  # (n,) float64, rounded up
    linear: Polytope | None = None

    @property
    def varying(self) -> int:
        """How many inputs vary, those left out whose interval is one number rounded outward."""
        return int(varies(self.lower, self.upper).sum())

    @property
    def empty(self) -> bool:
        """Whether some lower bound is above its upper bound, so that nothing lies inside."""
        return bool((self.lower > self.upper).any())

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Uniform points (count, n) float64 of the box (the linear rows are not looked at)."""
        device = generator.device
        u = torch.rand(count, self.lower.numel(), generator=generator, dtype=torch.float64, device=device)
        most = torch.finfo(torch.float64).max
        lower, upper = (end.to(device).clamp(-most, most) for end in (self.lower, self.upper))
        half = upper / 2 - lower / 2  # the width may overflow
        x = torch.where(half < most / 4, lower + u * (upper - lower), lower + u * half + u * half)
        return torch.clamp(x, min=lower, max=upper)

    def contains(self, x: Tensor) -> Tensor:
        """Which of the points x (batch, n) lie inside: (batch,) bool."""
        lower, upper = self.lower.to(x.device), self.upper.to(x.device)
        inside = ((x >= lower) & (x <= upper)).all(dim=1)
        return inside if self.linear is None else inside & self.linear.contains(x)
