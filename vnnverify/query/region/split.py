# SPDX-License-Identifier: Apache-2.0
"""The least point of a row over the part of a ball around zero that lies in a box, and the part of the row
that the ball bounds.

All is relative to the ball's centre: d = x − centre, low <= d <= high. Rounding errors do no harm here, see
`Ball`.
"""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

from vnnverify.numerics import gamma

__all__ = ["norm_of", "split", "step_to"]

STEPS = 60
"""Most steps in which a multiplier is looked for."""
FAR = 1e6
"""A multiplier, in units of the largest coefficient, where the box lies outside the ball."""
NEAR = 1e-12
"""The shortest step, in units of one over the largest coefficient."""


def norm_of(x: Tensor, norm: float) -> Tensor:
    """The norm over the last axis in float64: no square overflows or vanishes. Its relative error is at most
    γ of the number of terms and a few more."""
    size = x.abs()
    if norm == inf:
        return size.amax(dim=-1).double()
    if norm == 1.0:
        return size.sum(dim=-1, dtype=torch.float64)
    x = x.double()
    unit = x.detach().abs().amax(dim=-1, keepdim=True)
    unit = torch.where((unit > 0) & torch.isfinite(unit), unit, 1.0)
    square = (x / unit).square().sum(dim=-1)
    # at zero the derivative is zero, a subgradient
    root = torch.where(square > 0, torch.where(square > 0, square, 1.0).sqrt(), square)
    return root * unit[..., 0]


def split(norm: float, a: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """The part p (R, n) of rows a that the ball bounds, and the least point d (R, n) of a.

    Args:
        low, high: (1 or B, 1, n), or (1, n): the box.
        radius: the same shape, one number.
    """
    low, high = low.expand_as(a), high.expand_as(a)
    base = torch.zeros_like(a).clamp(min=low, max=high)  # the point of the box nearest to zero
    end = _end(a, low, high)
    if norm == inf:
        return torch.zeros_like(a), end
    unit = a.abs().amax(dim=-1, keepdim=True)
    unit = torch.where((unit > 0) & torch.isfinite(unit), unit, 1.0)
    part, point = (_split_l1 if norm == 1.0 else _split_l2)(a / unit, low, high, base, end, radius)
    inside = norm_of(end, norm)[..., None] <= radius  # the box alone is enough
    part = torch.where(inside, 0.0, torch.where(part == a / unit, a, part * unit))
    return part, torch.where(inside, end, point)


def _split_l2(
    a: Tensor, low: Tensor, high: Tensor, base: Tensor, end: Tensor, radius: Tensor
) -> tuple[Tensor, Tensor]:
    """d = clip(−t a) with the step t that leads to the sphere; p = −d / t, and a where nothing is clipped.

    A Lagrange multiplier 1/t of (‖d‖² − radius²)/2 makes that d stationary.
    """
    t = _step(a, low, high, radius)
    d = torch.clamp(-t * a, min=low, max=high)
    return torch.where((d > low) & (d < high), a, -d / t), d


def _step(a: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> Tensor:
    """The step t (R, 1) at which ‖clip(−t a)‖₂ = radius, or a large one where it never is.

    The norm grows with t. Between the steps at which more is clipped its square is quadratic in t, and solved
    as such; a step out of the bracket is replaced by its middle.
    """
    square = radius.square()
    first, last = torch.zeros_like(a[..., :1]), torch.full_like(a[..., :1], inf)
    size = a.square().sum(dim=-1, keepdim=True).sqrt()
    t = torch.where(size > 0, radius / size, 1.0).clamp(min=NEAR)
    done = (size == 0) | (_end(a, low, high).square().sum(dim=-1, keepdim=True) <= square)
    close = 4 * torch.finfo(a.dtype).eps
    for _ in range(STEPS):
        d = torch.clamp(-t * a, min=low, max=high)
        free = (d > low) & (d < high)
        found = d.square().sum(dim=-1, keepdim=True)
        done = done | ((found - square).abs() <= close * square) | (t <= NEAR)
        if bool(done.all()):
            break
        last, first = torch.where(found > square, t, last), torch.where(found > square, first, t)
        slope = (a * free).square().sum(dim=-1, keepdim=True)
        fixed = (d * ~free).square().sum(dim=-1, keepdim=True)
        best = ((square - fixed).clamp(min=0) / slope).sqrt()
        middle = torch.where(torch.isfinite(last), (first + last) / 2, 2 * first)
        better = torch.where((slope > 0) & (best > first) & (best < last), best, middle)
        t = torch.where(done, t, better.clamp(min=NEAR))
    return t


def _end(a: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The least point of a in the box; where a is zero, the one nearest to zero."""
    return torch.where(a > 0, low, torch.where(a < 0, high, torch.zeros_like(a).clamp(min=low, max=high)))


def _split_l1(
    a: Tensor, low: Tensor, high: Tensor, base: Tensor, end: Tensor, radius: Tensor
) -> tuple[Tensor, Tensor]:
    """From the point nearest to zero each coordinate goes to its end, the largest |a_j| first, until the
    radius is used up. The coefficient at which that happens is the multiplier: p is clipped to it."""
    budget = radius - base.abs().sum(dim=-1, keepdim=True)
    gain, order = a.abs().sort(dim=-1, descending=True)
    width = (end - base).abs().gather(-1, order)
    used = width.cumsum(dim=-1)
    share = ((budget - (used - width)) / torch.where(width > 0, width, 1.0)).clamp(0, 1)
    d = base + (end - base) * torch.zeros_like(a).scatter(-1, order, share)
    last = (used > budget).byte().argmax(dim=-1, keepdim=True)  # the first that is not paid in full
    limit = torch.where(budget < 0, FAR * gain[..., :1].clamp(min=1.0), gain.gather(-1, last))
    two_sided = torch.maximum(torch.minimum(a, limit), -limit)
    return torch.where(low > 0, -limit, torch.where(high < 0, limit, two_sided)), d


def step_to(norm: float, d: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> Tensor:
    """A point of box and ball near d (S, n): of L2 and L-infinity the nearest.

    On the way from the box's point nearest to zero to one of the box, the norm stays within the radius up to
    the share of it that is left.
    """
    low, high = low.expand_as(d), high.expand_as(d)
    base = torch.zeros_like(d).clamp(min=low, max=high)
    aim = radius * (1 - gamma(d.shape[-1] + 8, d.dtype))
    if norm == 2.0:
        found = norm_of(torch.clamp(d, min=low, max=high), norm)[..., None] > radius
        t = _step(-d, low, high, aim).clamp(max=1.0)
        point = torch.clamp(torch.where(found, t, 1.0) * d, min=low, max=high)
    elif norm == 1.0:
        point = torch.clamp(d.sign() * (d.abs() - _threshold(d, aim)).clamp(min=0), min=low, max=high)
    else:
        point = torch.clamp(torch.maximum(torch.minimum(d, radius), -radius), min=low, max=high)
    left = aim - norm_of(base, norm)[..., None].to(d.dtype)
    way = norm_of(point - base, norm)[..., None].to(d.dtype)
    inside = norm_of(point, norm)[..., None] <= radius
    share = torch.where(inside | (way <= 0), 1.0, (left.clamp(min=0) / way).clamp(max=1.0))
    return base + share * (point - base)


def _threshold(d: Tensor, radius: Tensor) -> Tensor:
    """By how much the elements of d (S, n) come nearer to zero so that their sum is the radius: (S, 1).

    Source: Duchi et al., Efficient projections onto the l1-ball, ICML 2008.
    """
    size, _ = d.abs().sort(dim=-1, descending=True)
    count = torch.arange(1, d.shape[-1] + 1, device=d.device)
    over = (size.cumsum(dim=-1) - radius) / count
    kept = (size > over).sum(dim=-1, keepdim=True).clamp(min=1)
    return over.gather(-1, kept - 1).clamp(min=0)
