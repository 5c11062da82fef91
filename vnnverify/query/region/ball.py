# SPDX-License-Identifier: Apache-2.0
"""Balls of the L1, L2 and L-infinity norm, cut with a box.

A row a is split as a = q + p. On the ball p·x is at least p·centre − radius·‖p‖*, with the dual norm; q·x is
least where every coordinate is at an end of the box:

    min a·x  >=  Σ_j min(q_j lower_j, q_j upper_j) + p·centre − radius·‖p‖*      for every p

The best p is the multiplier that proves the minimum exactly; any other gives a bound as well, so that only
this one formula has to be rounded outward. How to find it: `split`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from vnnverify.numerics import gamma, lower_as, round_down, round_up, unit_roundoff, upper_as
from vnnverify.query.region.region import Least, Region, spread
from vnnverify.query.region.split import norm_of, split, step_to
from vnnverify.query.region.sums import below, product_error, total

__all__ = ["Ball"]

NORMS = (1.0, 2.0, inf)


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Ball(Region):
    """All x with ‖x − centre‖ <= radius in one of these norms, and lower <= x <= upper if given.

    Args:
        norm: 1, 2 or infinity.
        radius: a number, or one for each ball of a batch.

    Raises:
        ValueError: another norm, or a radius below zero.
    """

    norm: float
    centre: Tensor  # (n,) or (B, n)
    radius: Tensor  # () or (B,)
    lower: Tensor  # (n,) or (B, n): of the box around the ball, cut with the one given
    upper: Tensor

    def __init__(
        self,
        norm: float,
        centre: Tensor,
        radius: Tensor | float,
        lower: Tensor | float | None = None,
        upper: Tensor | float | None = None,
    ) -> None:
        if float(norm) not in NORMS:
            raise ValueError(f"norm {norm!r}: balls have the norms 1, 2 and inf")
        c = centre if isinstance(centre, Tensor) else torch.as_tensor(centre, dtype=torch.float64)
        r = _number(radius, c, up=True)
        r = r.expand(c.shape[:-1]) if c.dim() <= 2 else r
        if not bool((r >= 0).all()):
            raise ValueError("a ball has a radius of zero or more")
        wide = r.reshape(*r.shape, *(1,) * (c.dim() - r.dim()))
        low, high = round_down(c - wide), round_up(c + wide)
        if lower is not None:
            low = torch.maximum(low, _number(lower, c, up=False))
        if upper is not None:
            high = torch.minimum(high, _number(upper, c, up=True))
        for name, value in zip(
            ("norm", "centre", "radius", "lower", "upper"), (float(norm), c, r, low, high), strict=True
        ):
            object.__setattr__(self, name, value)

    def least(self, rows: Tensor) -> Least:
        """Exact up to rounding. The multiplier (R, n) is the part p of each row.

        The derivative is the minimiser's (Danskin): where q is zero the coordinate lies between the ends.
        """
        centre, lower, upper = spread(self.centre), spread(self.lower), spread(self.upper)
        radius = self.radius[..., None]
        with torch.no_grad():
            ends = lower - centre, upper - centre
            part, away = split(self.norm, rows.detach(), *ends, radius[..., None])
            point = centre + away
        q = rows - part
        x = torch.where(q > 0, lower, torch.where(q < 0, upper, point))
        dual = norm_of(part, {1.0: inf, 2.0: 2.0, inf: 1.0}[self.norm])
        error = product_error(q, x, 1) + product_error(part, centre)
        error = error + gamma(rows.shape[-1] + 6, torch.float64) * (radius * dual).detach()
        value = total(q, x) + total(part, centre) - radius * dual
        known = torch.isfinite(rows.detach()).all(dim=-1)
        value = torch.where(known, value, -torch.inf)
        return Least(*below(value, error, rows.dtype), part, self._inward(point, rows.dtype))

    def contains(self, x: Tensor) -> Tensor:
        """Which of the points x lie inside, the norm computed in float64: (S,) or (B, S) bool."""
        centre, lower, upper = (spread(t.to(x.device)) for t in (self.centre, self.lower, self.upper))
        inside = ((x >= lower) & (x <= upper)).all(dim=-1)
        away = norm_of(x.double() - centre.double(), self.norm)
        return inside & (away <= self.radius[..., None].to(x.device))

    def project(self, x: Tensor) -> Tensor:
        """The nearest point that is inside by as much as rounding to float32 can move it; of an L1 ball one
        that is near."""
        return self._inward(x, torch.float32)

    def _inward(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """The points x moved so far inside that rounding them to `dtype` does not take them out."""
        centre, lower, upper = (spread(t.detach().to(x)) for t in (self.centre, self.lower, self.upper))
        kind = min(dtype, x.dtype, key=lambda d: -unit_roundoff(d))
        reach = torch.maximum(lower.abs(), upper.abs()).clamp(min=torch.finfo(kind).tiny)
        lost = norm_of(2 * unit_roundoff(kind) * reach, self.norm).to(x.dtype)
        radius = self.radius.detach().to(x)[..., None]
        radius = (radius * (1 - 4 * gamma(x.shape[-1], x.dtype)) - lost).clamp(min=0)[..., None]
        away = step_to(self.norm, x.detach() - centre, lower - centre, upper - centre, radius)
        return torch.clamp(centre + away, min=lower, max=upper)

    def within(self, lower: Tensor, upper: Tensor) -> Ball:
        """The part inside a smaller box."""
        low, high = torch.maximum(self.lower, lower), torch.minimum(self.upper, upper)
        return Ball(self.norm, self.centre, self.radius, low, high)

    def take(self, index: Tensor | slice | None) -> Ball:
        """The balls of a batch with these numbers; None: this one as a batch of one."""
        return Ball(self.norm, *(t[index] for t in (self.centre, self.radius, self.lower, self.upper)))

    def flat(self, batch: int | None) -> Ball:
        """The ball with centre (B, n) or (n,)."""
        shape = (-1,) if batch is None else (batch, -1)
        parts = (t.reshape(shape) for t in (self.centre, self.lower, self.upper))
        centre, lower, upper = parts
        radius = self.radius.reshape(-1)[0] if batch is None else self.radius.expand(batch)
        return Ball(self.norm, centre, radius, lower, upper)

    def to(self, device: torch.device, dtype: torch.dtype) -> Ball:
        """A ball around this one in another float type, larger by what the centre is moved."""
        centre, lower, upper = (t.to(device) for t in (self.centre, self.lower, self.upper))
        near = centre.to(dtype)
        moved = norm_of((near.double() - centre.double()).detach(), self.norm)
        moved = moved + 2 * gamma(near.shape[-1] + 4, torch.float64) * moved
        radius = self.radius.to(device)
        wide = torch.where(moved > 0, round_up(radius.double() + moved), radius.double())
        ends = lower_as(lower, dtype), upper_as(upper, dtype)
        return Ball(self.norm, near, upper_as(wide, dtype), *ends)

    def joined(self, others: Sequence[Region]) -> Ball | None:
        """One batch of this batch and others of the same norm."""
        balls = [self, *(other for other in others if isinstance(other, Ball) and other.norm == self.norm)]
        if len(balls) <= len(others):
            return None
        names = ("centre", "radius", "lower", "upper")
        centre, radius, lower, upper = (torch.cat([getattr(b, name) for b in balls]) for name in names)
        return Ball(self.norm, centre, radius, lower, upper)

    @property
    def is_box(self) -> bool:
        """Whether the norm is that of L-infinity."""
        return self.norm == inf

    @property
    def empty(self) -> bool:
        """Whether nothing lies inside: the box has no point, or none that is within the radius."""
        centre = self.centre.detach().double()
        nearest = torch.clamp(centre, self.lower.detach().double(), self.upper.detach().double())
        away = norm_of(nearest - centre, self.norm)
        beyond = away * (1 - 2 * gamma(centre.shape[-1] + 4, torch.float64)) > self.radius
        return bool(((self.lower > self.upper).any(dim=-1) | beyond).all())


def _number(value: Tensor | float, like: Tensor, *, up: bool) -> Tensor:
    """The value in another tensor's float type and place, rounded outward."""
    given = value if isinstance(value, Tensor) else torch.as_tensor(value, dtype=torch.float64)
    given = given.to(like.device)
    return upper_as(given, like.dtype) if up else lower_as(given, like.dtype)
