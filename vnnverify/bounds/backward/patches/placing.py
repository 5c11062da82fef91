# SPDX-License-Identifier: Apache-2.0
"""Patches put where they lie in larger ones, and added up."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from vnnverify.bounds.backward.patches.patches import Patches

__all__ = ["added", "overlapped", "placed"]


def added(a: Patches, b: Patches) -> Patches | None:
    """The sum of rows over one value; None if they did not start at the same places."""
    if a.places is not b.places:
        return None
    corner = torch.minimum(a.corner, b.corner)
    size = [
        max(int((part.corner[:, k] - corner[:, k]).max()) + part.data.shape[1 + k] for part in (a, b))
        for k in (0, 1)
    ]
    total = placed(a, a.corner - corner, size) + placed(b, b.corner - corner, size)
    return dataclasses.replace(a, data=total, corner=corner)


def placed(rows: Patches, at: Tensor, size: Sequence[int]) -> Tensor:
    """The patches in larger ones of this size, at (U, 2) in them: (R, *size, C). What goes over their edges
    is cut off."""
    kinds, kind = torch.unique(at, dim=0, return_inverse=True)
    if len(kinds) == 1:
        return _bordered(rows.data, kinds[0].tolist(), size)
    kind = kind[rows.places.of_row]
    order = kind.argsort(stable=True)
    counts = torch.bincount(kind, minlength=len(kinds)).tolist()
    parts = torch.split(rows.data.index_select(0, order), counts)
    joined = torch.cat([_bordered(p, k.tolist(), size) for p, k in zip(parts, kinds, strict=True)])
    return joined.index_select(0, order.argsort())


def _bordered(data: Tensor, at: Sequence[int], size: Sequence[int]) -> Tensor:
    """Patchess (R, h, w, C) in larger ones, all at the same place."""
    total = data.new_zeros(data.shape[0], *size, data.shape[3])
    kept = [slice(max(a, 0), max(a + n, 0)) for a, n in zip(at, data.shape[1:3], strict=True)]
    room = total[:, kept[0], kept[1]]
    begin = [max(-a, 0) for a in at]
    rows, columns = (slice(b, b + n) for b, n in zip(begin, room.shape[1:3], strict=True))
    room.copy_(data[:, rows, columns])
    return total


def overlapped(parts: Tensor, strides: Sequence[int], dilations: Sequence[int]) -> Tensor:
    """What each pixel and place of the kernel contributes, (R, h, w, kh, kw, C), added up where it falls:
    (R, h', w', C)."""
    R, h, w, kh, kw, C = parts.shape
    if h == w == 1 and min(dilations) == max(dilations) == 1:
        return parts.reshape(R, kh, kw, C)
    total: Tensor = _Overlap.apply(parts, tuple(strides), tuple(dilations))
    return total


class _Overlap(torch.autograd.Function):
    """As one step, since the gradient of each slice alone would fill a tensor as large as all of them."""

    @staticmethod
    def forward(ctx: Any, parts: Tensor, strides: tuple[int, ...], dilations: tuple[int, ...]) -> Tensor:
        """Add up overlapping parts (R, h, w, kh, kw, C) where they lie."""
        ctx.strides, ctx.dilations, ctx.shape = strides, dilations, parts.shape
        R, h, w, kh, kw, C = parts.shape
        high = [(n - 1) * s + 1 for n, s in zip((h, w), strides, strict=True)]  # from the first to the last
        sizes = [n + d * (k - 1) for n, d, k in zip(high, dilations, (kh, kw), strict=True)]
        total = parts.new_zeros(R, *sizes, C)
        for i, j, seen in _places(total, parts.shape, strides, dilations):
            seen += parts[:, :, :, i, j]
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        back = gradients[0].new_empty(ctx.shape)
        for i, j, seen in _places(gradients[0], ctx.shape, ctx.strides, ctx.dilations):
            back[:, :, :, i, j] = seen
        return back, None, None


def _places(
    total: Tensor, shape: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> Iterator[tuple[int, int, Tensor]]:
    """The part of `total` that each place of the kernel reaches."""
    h, w, kh, kw = shape[1:5]
    high, wide = (h - 1) * strides[0] + 1, (w - 1) * strides[1] + 1
    for i in range(kh):
        for j in range(kw):
            top, left = i * dilations[0], j * dilations[1]
            yield i, j, total[:, top : top + high : strides[0], left : left + wide : strides[1]]
