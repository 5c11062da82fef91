# SPDX-License-Identifier: Apache-2.0
"""Least values of rows over a box that linear rows cut.

    min {a·x : x in the box, G x <= h}  >=  min {(a + y G)·x : x in the box} − y·h     for every y >= 0

The right side is concave and piecewise linear in each y_k alone. Each is set to its best value in turn: where
the derivative G_k x − h_k changes its sign, which the sorted values −q_j / G_kj tell, at which coordinate j
moves from one end of the box to the other. The best of one row alone is the exact minimum.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.numerics import gamma
from vnnverify.query.polytope import Polytope
from vnnverify.query.region.region import Least
from vnnverify.query.region.sums import below, total

__all__ = ["least_in_rows"]

ROUNDS = 3
"""Times that each multiplier is set."""


def least_in_rows(rows: Tensor, lower: Tensor, upper: Tensor, linear: Polytope) -> Least:
    """Lower bounds of rows (R, n) over boxes whose ends go with them, cut by `linear`; multipliers y
    (R, rows of linear). Worked out in float64. No minimiser is given.

    The derivative in the rows is exact where at most one multiplier is positive; else it is that of the
    right side above at fixed y.
    """
    G, h = (t.to(rows.device, torch.float64) for t in (linear.A, linear.b))
    dtype, rows, lower, upper = rows.dtype, rows.double(), lower.double(), upper.double()
    with torch.no_grad():
        a, ends = rows.detach(), (lower.detach(), upper.detach())
        y, point = _multipliers(a, ends, G, h)
    q = rows + y @ G
    q = torch.where(torch.isnan(point), q, q - q.detach())  # where it is zero but for rounding
    x = torch.where(torch.isnan(point), torch.where(q > 0, lower, upper), point)
    size = torch.maximum(lower.abs(), upper.abs()).detach()
    terms = a.abs() + y @ G.abs()
    dropped = (a + y @ G).abs().masked_fill(torch.isnan(point), 0.0)
    g = gamma(rows.shape[-1] + G.shape[0] + 6, torch.float64)
    error = 2 * g * (total(terms, size) + y @ h.abs()) + 2 * total(dropped, size)
    return Least(*below(total(q, x) - y @ h, error, dtype), y, None)


def _multipliers(a: Tensor, ends: tuple[Tensor, Tensor], G: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """The multipliers y (R, K), and where a + y G is zero but for rounding the coordinate of the minimiser:
    (R, n), else NaN."""
    K = len(h)
    y = a.new_zeros(*a.shape[:-1], K)
    point = torch.full_like(a, torch.nan)
    for k in [k for _ in range(ROUNDS if K > 1 else 1) for k in range(K)]:
        q = a + y @ G - y[..., k, None] * G[k]
        y[..., k], coordinate, value = _best(q, ends, G[k], h[k])
        if K == 1:
            point.scatter_(-1, coordinate[..., None], value[..., None])
    return y, point


def _best(q: Tensor, ends: tuple[Tensor, Tensor], g: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The multiplier (R,) of the row g·x <= h that makes the bound of q largest, the coordinate (R,) that
    moves there, and its value in the minimiser, NaN where none moves."""
    lower, upper = ends
    jump = g.abs() * (upper - lower)  # by which the derivative falls where coordinate j moves
    at = torch.where((g * q < 0) & (jump > 0), -q / g, torch.inf)
    x = torch.where((q > 0) | ((q == 0) & (g > 0)), lower, upper)
    slope = (g * x).sum(dim=-1) - h  # the derivative at y = 0, from the right
    at, order = at.sort(dim=-1)
    fallen = torch.where(torch.isfinite(at), jump.expand_as(order).gather(-1, order), 0.0).cumsum(dim=-1)
    stop = (slope[..., None] - fallen <= 0).byte().argmax(dim=-1, keepdim=True)
    reached = (slope > 0) & (slope <= fallen[..., -1])
    last = torch.isfinite(at).sum(dim=-1, keepdim=True).clamp(min=1) - 1  # nothing of the box is within
    y = at.gather(-1, torch.where(reached[..., None], stop, last))[..., 0]
    y = torch.where((slope > 0) & torch.isfinite(y), y, 0.0)
    coordinate = order.gather(-1, stop)[..., 0]
    x = torch.where(q + y[..., None] * g > 0, lower, upper)
    own = x.gather(-1, coordinate[..., None])[..., 0]
    gj = g[coordinate]
    value = own + (h - (g * x).sum(dim=-1)) / gj
    low, high = (end.expand_as(q).gather(-1, coordinate[..., None])[..., 0] for end in ends)
    value = torch.minimum(torch.maximum(value, low), high)
    return y, coordinate, torch.where(reached & (y > 0), value, torch.nan)
