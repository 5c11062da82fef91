# SPDX-License-Identifier: Apache-2.0
"""Sub-problems of the dual bound with their parameters, and what an ascent finds of them.

U counts the open elements in one row: those of ReLUs whose sign the root's bounds leave open. `dual` says
what the parameters mean and optimises them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Ascent", "Problems"]


@dataclass(slots=True, eq=False)
class Problems:
    """D sub-problems. Parameters may be overwritten by better ones."""

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

    def __len__(self) -> int:
        return self.box.shape[0]

    def take(self, index: Tensor) -> Problems:
        """The sub-problems that `index` selects."""
        parts = (getattr(self, name) for name in self.__slots__)
        return Problems(*(None if t is None else t[index] for t in parts))

    def to(self, dtype: torch.dtype) -> Problems:
        """The same sub-problems in another float type."""
        parts = [getattr(self, name) for name in self.__slots__]
        return Problems(*(t.to(dtype) if t is not None and t.is_floating_point() else t for t in parts))

    def cases(self, element: Tensor, worth: Tensor) -> Problems:
        """The 2^k sub-problems of each, side by side, in which k elements (D, k) are split at zero: (D·2^k,).

        An element of -1 is not split, which leaves equal sub-problems. `worth` (D, k, 2) holds the
        multipliers to start from where the element is positive, and where it is negative.
        """
        D, k = element.shape
        count = 2**k
        cases = self.take(torch.arange(D, device=element.device).repeat_interleave(count))
        case = torch.arange(count, device=element.device).repeat(D)
        row = torch.arange(D * count, device=element.device)
        for j in range(k):
            e = element[:, j].repeat_interleave(count)
            positive = (case >> j & 1) == 1
            real = e >= 0
            up, down = row[positive & real], row[~positive & real]
            cases.lower[up, e[up]] = cases.lower[up, e[up]].clamp(min=0)
            cases.upper[down, e[down]] = cases.upper[down, e[down]].clamp(max=0)
            cases.beta[up, e[up]] = worth[up // count, j, 0]
            cases.beta[down, e[down]] = worth[down // count, j, 1]
        return cases

    def put(self, index: Tensor, part: Problems) -> None:
        """Write `part` over the sub-problems that `index` selects."""
        for name in ("lower", "upper", "alpha", "beta", "weight"):
            getattr(self, name)[index] = getattr(part, name)


@dataclass(slots=True, eq=False)
class Ascent:
    """Where an ascent ended: the best bound of each sub-problem in plain arithmetic, and around it."""

    bound: Tensor  # (D,) not certified
    point: Tensor  # (D, n) minimiser of the linear bound
    coefficient: Tensor  # (D, U) backward coefficient of each open element
    value: Tensor  # (D, U) forward value of each open element's input

    def take(self, index: Tensor) -> Ascent:
        """Of the sub-problems that `index` selects."""
        return Ascent(*(getattr(self, name)[index] for name in self.__slots__))

    def put(self, index: Tensor, part: Ascent) -> None:
        """Write `part` over the sub-problems that `index` selects."""
        for name in self.__slots__:
            getattr(self, name)[index] = getattr(part, name)
