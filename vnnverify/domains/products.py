# SPDX-License-Identifier: Apache-2.0
"""Ranges of products of two intervals, elementwise and of matrices, rounded outward.

An interval is a pair (lower, upper). Where a product of ends is NaN, as 0·∞ is, nothing is known.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.numerics import gamma, round_down, round_up

__all__ = ["matrix_product", "product", "square"]

TERMS = 1 << 22
"""Products of elements that a matrix product may take one by one in each box; midpoints bound larger ones."""

CHUNK = 1 << 23
"""Such products in memory at a time."""


def product(x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Bounds of x·y elementwise: among the products of the ends."""
    low, high = _corners(x, y)
    low, high = round_down(low), round_up(high)
    same = ((x[0] >= 0) & (y[0] >= 0)) | ((x[1] <= 0) & (y[1] <= 0))
    other = ((x[0] >= 0) & (y[1] <= 0)) | ((x[1] <= 0) & (y[0] >= 0))
    low, high = torch.where(same, low.clamp(min=0), low), torch.where(other, high.clamp(max=0), high)
    zero = ((x[0] == 0) & (x[1] == 0)) | ((y[0] == 0) & (y[1] == 0))
    return _known(*(end.masked_fill(zero & ~end.isnan(), 0) for end in (low, high)))


def square(x: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Bounds of x·x for one x in the interval: never negative."""
    lower, upper = x
    low, high = lower * lower, upper * upper
    crossing = (lower <= 0) & (upper >= 0)
    least = round_down(torch.minimum(low, high)).clamp(min=0).masked_fill(crossing, 0)
    return _known(least, round_up(torch.maximum(low, high)))


def matrix_product(x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Bounds of x y for matrices (batch, *lead, a, b) and (batch, *lead, b, c).

    The least sum of products is the sum of the least products, since no two share an element. Where these
    are too many: the product of the midpoints, plus or minus the rest.
    """
    *lead, a, b = x[0].shape[1:]
    terms = a * b * y[0].shape[-1]
    for extent in lead:
        terms *= extent
    low, high = _by_midpoints(x, y) if terms > TERMS else _in_chunks(x, y, terms)
    positive = (x[0] >= 0).all(dim=-1, keepdim=True) & (y[0] >= 0).all(dim=-2, keepdim=True)
    return torch.where(positive, low.clamp(min=0), low), high


def _in_chunks(x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor], terms: int) -> tuple[Tensor, Tensor]:
    """All products one by one, for as many boxes at a time as `CHUNK` allows."""
    batch = max(x[0].shape[0], y[0].shape[0])
    x, y = _spread(x, batch), _spread(y, batch)
    step = max(1, CHUNK // max(1, terms))
    found = []
    for start in range(0, batch, step):
        part = slice(start, start + step)
        found.append(_one_by_one((x[0][part], x[1][part]), (y[0][part], y[1][part])))
    low, high = (torch.cat(ends) for ends in zip(*found, strict=True))
    return low, high


def _one_by_one(x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    columns = x[0].mT[..., :, :, None], x[1].mT[..., :, :, None]  # (batch, *lead, b, a, 1)
    rows = y[0][..., :, None, :], y[1][..., :, None, :]  # (batch, *lead, b, 1, c)
    low, high = _corners(columns, rows)  # (batch, *lead, b, a, c)
    g = gamma(x[0].shape[-1], low.dtype)
    slack = g * torch.maximum(low.abs(), high.abs()).sum(dim=-3) * (1 + 2 * g)
    slack = slack + x[0].shape[-1] * torch.finfo(low.dtype).tiny
    return _known(round_down(low.sum(dim=-3) - slack), round_up(high.sum(dim=-3) + slack))


def _by_midpoints(x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    (a, r), (b, q) = _ball(*x), _ball(*y)
    rest = a.abs() @ q + r @ b.abs() + r @ q
    size = (a.abs() + r) @ (b.abs() + q)
    terms = a.shape[-1]
    g = gamma(terms + 4, a.dtype)
    radius = (rest + g * size) * (1 + 2 * g) + terms * torch.finfo(a.dtype).tiny
    middle = a @ b
    return _known(round_down(middle - radius), round_up(middle + radius))


def _corners(x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Smallest and largest product of ends, NaN where one of them is."""
    first = x[0] * y[0]
    low = high = first
    for end in (x[0] * y[1], x[1] * y[0], x[1] * y[1]):
        low, high = torch.minimum(low, end), torch.maximum(high, end)
    return low, high


def _ball(lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    middle = (lower + upper) / 2
    return middle, round_up(torch.maximum(upper - middle, middle - lower))


def _spread(x: tuple[Tensor, Tensor], batch: int) -> tuple[Tensor, Tensor]:
    shape = (batch, *x[0].shape[1:])
    return x[0].expand(shape), x[1].expand(shape)


def _known(lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    inf = float("inf")
    lost = lower.isnan() | upper.isnan()
    return lower.masked_fill(lost, -inf), upper.masked_fill(lost, inf)
