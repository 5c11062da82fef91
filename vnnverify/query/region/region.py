# SPDX-License-Identifier: Apache-2.0
"""What a region of inputs is: a closed set that knows its own geometry.

Whoever bounds, attacks or splits asks the region; nobody has to know its shape. A new shape is one class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.numerics import varies
from vnnverify.query.polytope import Polytope

__all__ = ["Least", "Region", "spread", "uniform"]


@dataclass(frozen=True, slots=True, eq=False)
class Least:
    """Lower bounds of rows a·x over a region, and what proves them. For R rows: (B, S) with a batch axis,
    else (S,)."""

    value: Tensor  # (R) valid as computed; minus infinity where nothing is known
    error: Tensor  # (R) what was subtracted for rounding
    multiplier: Tensor | None  # of what the region has beside its box; None: it is a box
    minimiser: Tensor | None  # (R, n) a point of the region where each row is least, up to rounding, if known


class Region(ABC):
    """Where inputs range: one region, or a batch of B of them.

    A subclass has `lower` and `upper`, the ends of a box around it. Whatever looks only at these two bounds a
    larger set, and so stays sound. Points and rows come as (S, n), for a batch as (B, S, n). A region may be
    made with ends of the shape of a model's input; `flat` is then asked before anything else.
    """

    __slots__ = ()

    lower: Tensor  # (n,) or (B, n), rounded down
    upper: Tensor  # (n,) or (B, n), rounded up

    @abstractmethod
    def least(self, rows: Tensor) -> Least:
        """The least value of each row over the region, rounded down: differentiable in the rows and in what
        the region is made of."""

    @abstractmethod
    def contains(self, x: Tensor) -> Tensor:
        """Which of the points x lie inside, up to rounding: (S,) or (B, S) bool."""

    @abstractmethod
    def project(self, x: Tensor) -> Tensor:
        """A point inside near each of the points x. It stays inside where it is rounded to float32, unless
        the region is too thin for that."""

    @abstractmethod
    def take(self, index: Tensor | slice | None) -> Region:
        """The regions of a batch with these numbers; None: this one as a batch of one."""

    @abstractmethod
    def to(self, device: torch.device, dtype: torch.dtype) -> Region:
        """A region around this one whose numbers are of another float type."""

    @abstractmethod
    def within(self, lower: Tensor, upper: Tensor) -> Region:
        """The part inside a smaller box: `Part.of` does for shapes that know no better."""

    def flat(self, batch: int | None) -> Region:
        """Of a region whose ends have the shape of a model's input, with so many of them in front or with
        None: the same with ends (B, n) or (n,). Shapes that only know flat ends leave this to their users.

        Raises:
            ValueError: the ends are not flat, and this kind of region cannot change that.
        """
        if self.lower.dim() == (1 if batch is None else 2):
            return self
        raise ValueError(f"{type(self).__name__}: give flat ends (n,), or (B, n) of a batch")

    def joined(self, others: Sequence[Region]) -> Region | None:
        """One batch of this batch and others, if they are of one kind; None: nobody knows how."""
        return None if others else self

    @property
    def linear(self) -> Polytope | None:
        """Linear rows that hold in the region beside its box, if any."""
        return None

    @property
    def is_box(self) -> bool:
        """Whether the region is its bounding box, up to rounding."""
        return False

    @property
    def is_round(self) -> bool:
        """Whether neither its box nor its linear rows say all of it."""
        return not self.is_box and self.linear is None

    @property
    def batched(self) -> bool:
        """Whether there is a batch axis."""
        return self.lower.dim() == 2

    @property
    def varying(self) -> int:
        """How many inputs vary, those left out whose interval is one number rounded outward; the most of a
        batch."""
        return int(varies(self.lower, self.upper).sum(dim=-1).max())

    @property
    def empty(self) -> bool:
        """Whether nothing lies inside, as far as is known: some lower bound is above its upper bound. Of a
        batch: in every region."""
        return bool((self.lower > self.upper).any(dim=-1).all())

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Points (count, n) or (B, count, n) float64 of the region, here those of the box, moved inside."""
        return self.project(uniform(self.lower, self.upper, count, generator))


def spread(t: Tensor) -> Tensor:
    """Data (n,) or (B, n) of regions as (1, n) or (B, 1, n), to go with points and rows."""
    return t[..., None, :]


def uniform(lower: Tensor, upper: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Uniform points (count, n) or (B, count, n) float64 of boxes, on the generator's device."""
    device = generator.device
    shape = (*lower.shape[:-1], count, lower.shape[-1])
    u = torch.rand(shape, generator=generator, dtype=torch.float64, device=device)
    most = torch.finfo(torch.float64).max
    lower, upper = (spread(end.to(device, torch.float64).clamp(-most, most)) for end in (lower, upper))
    half = upper / 2 - lower / 2  # the width may overflow
    x = torch.where(half < most / 4, lower + u * (upper - lower), lower + u * half + u * half)
    return torch.clamp(x, min=lower, max=upper)
