# SPDX-License-Identifier: Apache-2.0
"""Rows of a backward pass, and the linear bounds that they end as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Linear", "Rows", "by_sign"]


def by_sign(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The positive and the negative part. The gradient of a zero goes through the first one only: where both
    take the same line it is counted once then, while two clamps would both pass it on."""
    positive = rows.clamp(min=0)
    return positive, rows - positive


@dataclass(slots=True)
class Rows:
    """Which box each of R rows belongs to. Either `box` says it, or each box owns `per_box` rows in turn."""

    count: int
    box: Tensor | None = None  # (R,)
    per_box: int = 0

    def group(self, rows: Tensor) -> Tensor:
        """Rows (R, *shape) in the layout that `spread` broadcasts against."""
        return rows if self.box is not None else rows.reshape(-1, self.per_box, *rows.shape[1:])

    def boxes(self, device: torch.device) -> Tensor:
        """The box of each row: (R,)."""
        if self.box is not None:
            return self.box
        return torch.arange(self.count, device=device) // self.per_box

    def spread(self, t: Tensor) -> Tensor:
        """Per-box data (B, *shape) for every row, as a view where possible."""
        return t[self.box] if self.box is not None else t[:, None]


@dataclass(frozen=True, slots=True)
class Linear:
    """Linear lower bounds A x + c of R rows over their boxes, and what they come to."""

    A: Tensor  # (R, n)
    c: Tensor  # (R,) rounding error already subtracted
    lower: Tensor  # (R,) sound lower bound over the box
    error: Tensor  # (R,) the rounding error allowed for
    widest: int  # numbers that a row has had at most on the way

    @classmethod
    def joined(cls, parts: Sequence[Linear]) -> Linear:
        """The rows of several passes, one after the other."""
        A, c, lower, error = (
            torch.cat([getattr(part, name) for part in parts]) for name in ("A", "c", "lower", "error")
        )
        return cls(A, c, lower, error, max(part.widest for part in parts))

    def or_better(self, other: Linear) -> Linear:
        """Of each row the one of two bounds that is higher."""
        own = self.lower >= other.lower
        c, lower, error = (
            torch.where(own, getattr(self, name), getattr(other, name)) for name in ("c", "lower", "error")
        )
        A = torch.where(own[:, None], self.A, other.A)
        return Linear(A, c, lower, error, max(self.widest, other.widest))
