# SPDX-License-Identifier: Apache-2.0
"""Rows over an image that are zero outside a small patch of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor
from torch.nn import functional

from vnnverify.bounds.backward.rows import by_sign
from vnnverify.bounds.rounding import long_sum, sum_error
from vnnverify.ir import Shape, flat
from vnnverify.numerics import gamma

__all__ = ["Patches", "Places", "image", "is_image", "narrowed", "units"]

WHOLE = 0.6
"""A patch with more than this part of the image's area is no longer worth the trouble."""
NARROW, SMALL_IMAGE = 0.1, 64
"""Whole rows become patches where what is not zero in them lies within this part of the image's area. It is
not looked for in images of less than so many pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where R rows started: the box of each of U different places, and which of them each row has."""

    box: Tensor  # (U,)
    of_row: Tensor  # (R,)


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """R rows over an image value (1, C, H, W): row r is `data[r]` with its top left element at the pixel
    `corner[places.of_row[r]]`, and zero elsewhere. What lies outside the image is zero."""

    data: Tensor  # (R, h, w, C)
    corner: Tensor  # (U, 2)
    places: Places
    shape: Shape  # (1, C, H, W)

    def pixels(self) -> tuple[Tensor, Tensor]:
        """The pixels that each place sees, and which of them lie inside the image: (U, h, w), those outside
        numbered H·W."""
        h, w = self.data.shape[1:3]
        H, W = self.shape[2:]
        y = self.corner[:, :1] + torch.arange(h, device=self.corner.device)  # (U, h)
        x = self.corner[:, 1:] + torch.arange(w, device=self.corner.device)
        inside = ((y >= 0) & (y < H))[:, :, None] & ((x >= 0) & (x < W))[:, None]
        return torch.where(inside, y[:, :, None] * W + x[:, None], H * W), inside

    def of(self, *images: Tensor) -> list[Tensor]:
        """The part that each row sees of what `_image` makes, (B or 1, H·W + 1, k): (R, h, w, k) each."""
        pixel, _ = self.pixels()
        if images[0].shape[0] > 1:
            pixel = pixel + self.places.box[:, None, None] * images[0].shape[1]
        place = [image.reshape(-1, image.shape[2]).index_select(0, pixel.reshape(-1)) for image in images]
        return [seen.reshape(*pixel.shape, -1).index_select(0, self.places.of_row) for seen in place]

    def cropped(self) -> Patches:
        """The same rows, zero outside the image."""
        _, inside = self.pixels()
        if bool(inside.all()):
            return self
        seen = inside.to(self.data.dtype)[self.places.of_row, :, :, None]
        return dataclasses.replace(self, data=self.data * seen)

    def small(self) -> bool:
        """Whether the patch is so much smaller than the image that it pays."""
        h, w = self.data.shape[1:3]
        H, W = self.shape[2:]
        return h <= H and w <= W and h * w <= WHOLE * H * W

    def dense(self) -> Tensor:
        """The whole rows: (R, *shape)."""
        R, C = self.data.shape[0], self.data.shape[3]
        area = prod(self.shape[2:])
        first = torch.arange(R, device=self.data.device) * (area + 1)
        index = self.pixels()[0][self.places.of_row] + first[:, None, None]
        rows = self.data.new_zeros(R * (area + 1), C)
        rows = rows.index_copy(0, index.reshape(-1), self.data.reshape(-1, C)).reshape(R, area + 1, C)
        return rows[:, :area].transpose(1, 2).reshape(R, *self.shape)

    def loss(self, per_element: Tensor) -> Tensor:
        """|rows| @ per_element (N,): (R,)."""
        (part,) = self.of(image(per_element.reshape(1, *self.shape)))
        return flat(self.data.abs() * part).sum(dim=1)

    def least(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """The least value of each row over the box [lower, upper], (B, *shape) each, and what roundings of it
        and of two sums with it cost: (R,) each."""
        low, high = self.of(image(lower), image(upper))
        positive, negative = by_sign(self.data)
        size = flat((positive - negative) * torch.maximum(low.abs(), high.abs())).sum(dim=1)
        count = prod(self.data.shape[1:]) + 6
        error = sum_error(count, size.dtype) * (1 + 2 * gamma(count, size.dtype)) * size
        return long_sum(torch.addcmul(positive * low, negative, high)), error


def image(part: Tensor) -> Tensor:
    """Images (B, 1, C, H, W) pixel by pixel, channels last, and a pixel of zeros for all that lies outside:
    (B, H·W + 1, C)."""
    return functional.pad(part[:, 0].flatten(2).transpose(1, 2), (0, 0, 0, 1))


def is_image(shape: Shape) -> bool:
    """Whether rows over a value of this shape can be patches."""
    return len(shape) == 4 and shape[0] == 1 and shape[2] * shape[3] > 1


def units(shape: Shape, box: Tensor, element: Tensor, sign: Tensor) -> Patches:
    """Rows sign·z_element (R,) over a value of an image's shape."""
    _, C, H, W = shape
    channel, pixel = element // (H * W), element % (H * W)
    data = sign.new_zeros(element.numel(), 1, 1, C)
    data[torch.arange(element.numel(), device=element.device), 0, 0, channel] = sign
    return _started(data, box, pixel, shape)


def _started(data: Tensor, box: Tensor, pixel: Tensor, shape: Shape) -> Patches:
    """Rows whose top left element lies at these pixels (R,) over these boxes (R,)."""
    area, width = prod(shape[2:]), shape[3]
    both, of_row = torch.unique(box * area + pixel, return_inverse=True)
    at = both % area
    return Patches(data, torch.stack([at // width, at % width], dim=1), Places(both // area, of_row), shape)


def narrowed(rows: Tensor, box: Tensor) -> Patches | None:
    """Whole rows (R, 1, C, H, W) over the boxes (R,) as patches around what is not zero in them; None if the
    largest patch is too large to pay. Gradients of numbers that are zero are lost."""
    _, _, C, H, W = rows.shape
    used = (rows[:, 0] != 0).any(dim=1)  # (R, H, W)
    top, h = _extent(used.any(dim=2))
    left, w = _extent(used.any(dim=1))
    if h * w > NARROW * H * W:
        return None
    top, left = top.clamp(max=H - h), left.clamp(max=W - w)
    y = top[:, None] + torch.arange(h, device=rows.device)  # (R, h)
    x = left[:, None] + torch.arange(w, device=rows.device)
    index = (y[:, :, None] * W + x[:, None]).reshape(-1, 1, h * w).expand(-1, C, -1)
    data = rows.reshape(-1, C, H * W).gather(2, index).transpose(1, 2).reshape(-1, h, w, C)
    return _started(data, box, top * W + left, (1, C, H, W))


def _extent(used: Tensor) -> tuple[Tensor, int]:
    """The first place used (R, n) in each row, and how many from there on hold all that any row uses."""
    count = used.shape[1]
    first = used.byte().argmax(dim=1)
    last = count - 1 - used.flip(1).byte().argmax(dim=1)
    length = torch.where(used.any(dim=1), last - first + 1, 1)
    return first, int(length.max())
