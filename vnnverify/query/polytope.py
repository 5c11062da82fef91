# SPDX-License-Identifier: Apache-2.0
"""Sets of linear rows over inputs or outputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Polytope"]


@dataclass(frozen=True, slots=True, eq=False)
class Polytope:
    """{z : A z <= b}, with row i strict where `strict[i]`."""

    A: Tensor  # (rows, n) float64
    b: Tensor  # (rows,) float64, rounded up
    strict: Tensor  # (rows,) bool

    @classmethod
    def of(cls, A: Tensor, b: Tensor, strict: Tensor | None = None) -> Polytope:
        """A polytope from its rows, non-strict unless said otherwise."""
        A, b = A.to(torch.float64), b.to(torch.float64)
        return cls(A, b, torch.zeros_like(b, dtype=torch.bool) if strict is None else strict)

    def margins(self, z: Tensor) -> Tensor:
        """A z − b: (batch, n) -> (batch, rows); z is inside where all rows are <= 0 (< 0 if strict)."""
        A, b = self.A.to(z.device, z.dtype), self.b.to(z.device, z.dtype)
        return z @ A.T - b

    def contains(self, z: Tensor) -> Tensor:
        """Which of the points z (batch, n) lie inside, up to the rounding of z's dtype: (batch,) bool."""
        margins = self.margins(z)
        return torch.where(self.strict.to(z.device), margins < 0, margins <= 0).all(dim=1)
