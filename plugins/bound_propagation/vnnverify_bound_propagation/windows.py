# SPDX-License-Identifier: Apache-2.0
"""Backward rows that are zero outside a small window of an image, as those of a convolution's outputs are.

A row over one output of a convolution reaches the inputs under its kernel only; one layer further back,
the inputs under the kernels of those. While that window is smaller than the image, computing on the
window alone saves most of the work. Such rows go through convolutions, average pools, sums and elementwise
operators; anything else turns them into whole rows.

Source: the idea is that of the patches of Xu et al., arXiv:2002.12920.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vnnverify.domains import Domain
from vnnverify.ir import Elementwise, Node, Shape, flat
from vnnverify.ops.conv import Conv
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.sums import AveragePool, Sum
from vnnverify_bound_propagation.state import State, long_sum

__all__ = ["Window", "added", "domain", "is_image", "narrowed", "units"]

WHOLE = 0.6
"""A window with more than this part of the image's area is no longer worth the trouble."""
NARROW, SMALL_IMAGE = 0.1, 64
"""Whole rows become windows where what is not zero in them lies within this part of the image's area. It is
not looked for in images of less than so many pixels."""

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where R rows start: U different places (box and pixel), and which of them each row has."""

    box: Tensor  # (U,)
    pixel: Tensor  # (U, 2)
    of_row: Tensor  # (R,)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """R rows over an image value (1, C, H, W): row r is `data[r]` with its top left element at the pixel
    `pixel·scale + shift`, and zero elsewhere. What lies outside the image is zero."""

    data: Tensor  # (R, C, h, w)
    places: Places
    scale: Pair
    shift: Pair
    shape: Shape  # (1, C, H, W)

    def corner(self) -> Tensor:
        """Top left pixel for each place: (U, 2)."""
        device = self.data.device
        return self.places.pixel * torch.tensor(self.scale, device=device) + torch.tensor(
            self.shift, device=device
        )

    def of(self, image: Tensor) -> Tensor:
        """The part of image (B or 1, *shape) that each row sees, zero outside the image: (R, C, h, w)."""
        h, w = self.data.shape[2:]
        padded = functional.pad(image[:, 0], (w, w, h, h))
        parts = padded.unfold(2, h, 1).unfold(3, w, 1)  # (B, C, H + h + 1, W + w + 1, h, w)
        corner = self.corner()
        y = (corner[:, 0] + h).clamp(0, parts.shape[2] - 1)
        x = (corner[:, 1] + w).clamp(0, parts.shape[3] - 1)
        box = self.places.box if image.shape[0] > 1 else torch.zeros_like(self.places.box)
        return parts[box, :, y, x].index_select(0, self.places.of_row)

    def inside(self) -> Tensor:
        """1 where an element lies inside the image, else 0: (R, 1, h, w)."""
        ones = self.data.new_ones(1, 1, 1, *self.shape[2:])
        return self.of(ones)

    def small(self) -> bool:
        """Whether the window is so much smaller than the image that it pays."""
        h, w = self.data.shape[2:]
        H, W = self.shape[2:]
        return h <= H and w <= W and h * w <= WHOLE * H * W

    def dense(self) -> Tensor:
        """The whole rows: (R, *shape)."""
        R, C, h, w = self.data.shape
        H, W = self.shape[2:]
        corner = self.corner()[self.places.of_row]
        y = corner[:, :1] + torch.arange(h, device=corner.device)  # (R, h)
        x = corner[:, 1:] + torch.arange(w, device=corner.device)
        index = y.clamp(0, H - 1)[:, :, None] * W + x.clamp(0, W - 1)[:, None]  # (R, h, w)
        rows = self.data.new_zeros(R, C, H * W)
        rows.scatter_add_(2, index.reshape(R, 1, -1).expand(R, C, -1), self.data.reshape(R, C, -1))
        return rows.reshape(R, *self.shape)

    def loss(self, per_element: Tensor) -> Tensor:
        """|rows| @ per_element (N,): (R,)."""
        part = self.of(per_element.reshape(1, *self.shape))
        return flat(self.data.abs() * part).sum(dim=1)


def is_image(shape: Shape) -> bool:
    """Whether rows over a value of this shape can be windows."""
    return len(shape) == 4 and shape[0] == 1 and shape[2] * shape[3] > 1


def units(shape: Shape, box: Tensor, element: Tensor, sign: Tensor) -> Window:
    """Rows sign·z_element (R,) over a value of an image's shape."""
    _, C, H, W = shape
    channel, pixel = element // (H * W), element % (H * W)
    data = sign.new_zeros(element.numel(), C, 1, 1)
    data[torch.arange(element.numel(), device=element.device), channel, 0, 0] = sign
    both, of_row = torch.unique(box * (H * W) + pixel, return_inverse=True)
    at = both % (H * W)
    places = Places(both // (H * W), torch.stack([at // W, at % W], dim=1), of_row)
    return Window(data, places, (1, 1), (0, 0), shape)


def narrowed(rows: Tensor, box: Tensor) -> Window | None:
    """Whole rows (R, 1, C, H, W) over the boxes (R,) as windows around what is not zero in them; None if the
    largest window is too large to pay."""
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
    data = rows.reshape(-1, C, H * W).gather(2, index).reshape(-1, C, h, w)
    both, of_row = torch.unique(box * (H * W) + top * W + left, return_inverse=True)
    at = both % (H * W)
    places = Places(both // (H * W), torch.stack([at // W, at % W], dim=1), of_row)
    return Window(data, places, (1, 1), (0, 0), (1, C, H, W))


def _extent(used: Tensor) -> tuple[Tensor, int]:
    """The first place used (R, n) in each row, and how many from there on hold all that any row uses."""
    count = used.shape[1]
    first = used.byte().argmax(dim=1)
    last = count - 1 - used.flip(1).byte().argmax(dim=1)
    length = torch.where(used.any(dim=1), last - first + 1, 1)
    return first, int(length.max())


def added(a: Window, b: Window) -> Window | None:
    """The sum of rows over one value that started at the same places; None if the windows do not move
    with them in step."""
    if a.places is not b.places or a.scale != b.scale:
        return None
    start = [min(s, t) for s, t in zip(a.shift, b.shift, strict=True)]
    stop = [
        max(s + m, t + n)
        for s, m, t, n in zip(a.shift, a.data.shape[2:], b.shift, b.data.shape[2:], strict=True)
    ]

    def widened(window: Window) -> Tensor:
        before = [s - t for s, t in zip(window.shift, start, strict=True)]
        sizes = zip(stop, window.shift, window.data.shape[2:], strict=True)
        after = [t - s - n for t, s, n in sizes]
        return functional.pad(window.data, (before[1], after[1], before[0], after[0]))

    return dataclasses.replace(a, data=widened(a) + widened(b), shift=(start[0], start[1]))


def _moved(rows: Window, data: Tensor, strides: Sequence[int], before: Sequence[int], node: Node) -> Window:
    """The rows over the input of a node that slides a kernel: from where they now start, and zero outside."""
    scale = rows.scale[0] * strides[0], rows.scale[1] * strides[1]
    shift = rows.shift[0] * strides[0] - before[0], rows.shift[1] * strides[1] - before[1]
    window = Window(data, rows.places, scale, shift, node.inputs[0].shape)
    return dataclasses.replace(window, data=data * window.inside())


Step = tuple[tuple[Window, ...], Tensor | None]

domain: Domain[Window] = Domain("backward linear bounds on windows")


@domain.rule(Conv)
def _conv(op: Conv, rows: Window, node: Node, state: State) -> Step:
    offset = state.offset(op)
    add = None if offset is None else long_sum(rows.data * offset)
    data = functional.conv_transpose2d(
        rows.data, op.weight, stride=op.strides, dilation=op.dilations, groups=op.groups
    )
    return (_moved(rows, data, op.strides, op.before, node),), add


@domain.rule(AveragePool)
def _average(op: AveragePool, rows: Window, node: Node, state: State) -> Step:
    data = rows.data * rows.of(op.weight.reshape(1, 1, 1, *op.weight.shape))
    ones = data.new_ones(1, 1, *op.kernel)
    single = data.reshape(-1, 1, *data.shape[2:])
    spread = functional.conv_transpose2d(single, ones, stride=op.strides)
    data = spread.reshape(*data.shape[:2], *spread.shape[2:])
    return (_moved(rows, data, op.strides, op.before, node),), None


@domain.rule(Sum)
def _sum(op: Sum, rows: Window, node: Node, state: State) -> Step:
    negative = dataclasses.replace(rows, data=-rows.data) if min(op.signs) < 0 else rows
    return tuple(rows if sign > 0 else negative for sign in op.signs), None


@domain.rule(Elementwise)
def _elementwise(op: Elementwise, rows: Window, node: Node, state: State) -> Step:
    lines = state.lines[node]
    positive, negative = rows.data.clamp(min=0), rows.data.clamp(max=0)
    back = positive * rows.of(lines.below_slope) + negative * rows.of(lines.above_slope)
    add = positive * rows.of(lines.below_offset) + negative * rows.of(lines.above_offset)
    return (dataclasses.replace(rows, data=back),), long_sum(add)


@domain.rule(Relu)
def _relu(op: Relu, rows: Window, node: Node, state: State) -> Step:
    if state.centre and bool(state.lines[node].below_offset.any()):
        return _elementwise(op, rows, node, state)
    lines = state.lines[node]
    add = long_sum(rows.data.clamp(max=0) * rows.of(lines.above_offset))
    slope = torch.where(rows.data > 0, rows.of(lines.below_slope), rows.of(lines.above_slope))
    return (dataclasses.replace(rows, data=rows.data * slope),), add
