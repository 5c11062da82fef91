# SPDX-License-Identifier: Apache-2.0
"""Subproblems of the dual bound with their parameters, and what an ascent finds of them.

U counts the open elements in one row: those of ReLUs whose sign the root's bounds leave open. `dual` says
what the parameters mean and optimises them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

__all__ = ["DualSolution", "Subproblems"]


@dataclass(slots=True, eq=False)
class Subproblems:
    """D subproblems. Parameters may be overwritten by better ones."""

    box: Tensor  # (D,) which box of the root state
    rows: Tensor  # (D, P, m) over the flattened targets
    offset: Tensor  # (D, P): margins are rows·z − offset
    lower: Tensor  # (D, U) bounds of the open elements, splits included
    upper: Tensor  # (D, U)
    alpha: Tensor  # (D, U)
    beta: Tensor  # (D, U) positive: multiplier of z >= lower; negative: of z <= upper
    weight: Tensor  # (D, P) nonnegative
    scale: Tensor | None = None  # (D,) if given, the first row is what to bound, with weight one, and the
    # others are known to be <= 0: their weights are multipliers of this size

    PARAMETERS: ClassVar[tuple[str, ...]] = ("lower", "upper", "alpha", "beta", "weight")
    """What differs between subproblems of one row."""

    def __len__(self) -> int:
        return self.box.shape[0]

    @property
    def settled(self) -> Tensor:
        """Which subproblems have no open element left: (D,) bool."""
        return ~((self.lower < 0) & (self.upper > 0)).any(dim=1)

    def take(self, index: Tensor) -> Subproblems:
        """The subproblems that `index` selects."""
        parts: list[Any] = [getattr(self, name) for name in self.__slots__]
        taken: list[Any] = [None if t is None else t[index] for t in parts]
        return Subproblems(*taken)

    def to(self, dtype: torch.dtype) -> Subproblems:
        """The same subproblems in another float type."""
        parts: list[Any] = [getattr(self, name) for name in self.__slots__]
        return Subproblems(*(t.to(dtype) if t is not None and t.is_floating_point() else t for t in parts))

    def halves(self, element: Tensor, multiplier: Tensor) -> Subproblems:
        """The two subproblems of each, side by side, in which an element (D,) is split at zero: (2D,), first
        where it is positive.

        An element of -1 is not split, which leaves equal subproblems. `multiplier` (D, 2) holds those
        to start from where the element is positive, and where it is negative.
        """
        D = element.shape[0]
        halves = self.take(torch.arange(D, device=element.device).repeat_interleave(2))
        real = (element >= 0).nonzero()[:, 0]
        at, up, down = element[real], 2 * real, 2 * real + 1
        halves.lower[up, at] = halves.lower[up, at].clamp(min=0)
        halves.upper[down, at] = halves.upper[down, at].clamp(max=0)
        halves.beta[up, at], halves.beta[down, at] = multiplier[real, 0], multiplier[real, 1]
        return halves

    def put(self, index: Tensor, part: Subproblems) -> None:
        """Write `part` over the subproblems that `index` selects."""
        for name in self.PARAMETERS:
            getattr(self, name)[index] = getattr(part, name)


@dataclass(slots=True, eq=False)
class DualSolution:
    """Where an ascent ended: the best bound of each subproblem in plain arithmetic, and around it."""

    bound: Tensor  # (D,) not certified
    point: Tensor  # (D, n) minimiser of the linear bound
    coefficient: Tensor  # (D, U) backward coefficient of each open element
    value: Tensor  # (D, U) forward value of each open element's input

    def take(self, index: Tensor) -> DualSolution:
        """Of the subproblems that `index` selects."""
        return DualSolution(*(getattr(self, name)[index] for name in self.__slots__))

    def put(self, index: Tensor, part: DualSolution) -> None:
        """Write `part` over the subproblems that `index` selects."""
        for name in self.__slots__:
            getattr(self, name)[index] = getattr(part, name)
