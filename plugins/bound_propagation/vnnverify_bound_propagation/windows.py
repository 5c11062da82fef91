# SPDX-License-Identifier: Apache-2.0
"""Backward rows that are zero outside a small window of an image, as those of a convolution's outputs are.

A row over one output of a convolution reaches the inputs under its kernel only; one layer further back,
the inputs under the kernels of those. While that window is smaller than the image, computing on the
window alone saves most of the work. Such rows go through convolutions and their transposes, average pools,
sums, borders, joined channels and elementwise operators; anything else turns them into whole rows.

Channels come last: a convolution is then one matrix product for all rows and pixels, and what a row sees of
an image is copied pixel by pixel.

Source: the idea is that of the patches of Xu et al., arXiv:2002.12920.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vnnverify.domains import Domain
from vnnverify.ir import Elementwise, Node, Shape, flat
from vnnverify.numerics import gamma
from vnnverify.ops.arrangement import Concat, Pad
from vnnverify.ops.conv import Conv, ConvTranspose
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.sums import AveragePool, Sum
from vnnverify_bound_propagation.state import State, long_sum, split_error, sum_error

__all__ = ["Step", "Window", "added", "is_image", "narrowed", "step", "units"]

WHOLE = 0.6
"""A window with more than this part of the image's area is no longer worth the trouble."""
NARROW, SMALL_IMAGE = 0.1, 64
"""Whole rows become windows where what is not zero in them lies within this part of the image's area. It is
not looked for in images of less than so many pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where R rows started: the box of each of U different places, and which of them each row has."""

    box: Tensor  # (U,)
    of_row: Tensor  # (R,)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
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

    def cropped(self) -> Window:
        """The same rows, zero outside the image."""
        _, inside = self.pixels()
        if bool(inside.all()):
            return self
        seen = inside.to(self.data.dtype)[self.places.of_row, :, :, None]
        return dataclasses.replace(self, data=self.data * seen)

    def small(self) -> bool:
        """Whether the window is so much smaller than the image that it pays."""
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
        (part,) = self.of(_image(per_element.reshape(1, *self.shape)))
        return flat(self.data.abs() * part).sum(dim=1)

    def least(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """The least value of each row over the box [lower, upper], (B, *shape) each, and what roundings of it
        and of two sums with it cost: (R,) each."""
        low, high = self.of(_image(lower), _image(upper))
        positive = self.data.clamp(min=0)
        negative = self.data - positive
        size = flat((positive - negative) * torch.maximum(low.abs(), high.abs())).sum(dim=1)
        count = prod(self.data.shape[1:]) + 6
        error = sum_error(count, size.dtype) * (1 + 2 * gamma(count, size.dtype)) * size
        return long_sum(torch.addcmul(positive * low, negative, high)), error


def _image(part: Tensor) -> Tensor:
    """Images (B, 1, C, H, W) pixel by pixel, channels last, and a pixel of zeros for all that lies outside:
    (B, H·W + 1, C)."""
    return functional.pad(part[:, 0].flatten(2).transpose(1, 2), (0, 0, 0, 1))


def is_image(shape: Shape) -> bool:
    """Whether rows over a value of this shape can be windows."""
    return len(shape) == 4 and shape[0] == 1 and shape[2] * shape[3] > 1


def units(shape: Shape, box: Tensor, element: Tensor, sign: Tensor) -> Window:
    """Rows sign·z_element (R,) over a value of an image's shape."""
    _, C, H, W = shape
    channel, pixel = element // (H * W), element % (H * W)
    data = sign.new_zeros(element.numel(), 1, 1, C)
    data[torch.arange(element.numel(), device=element.device), 0, 0, channel] = sign
    return _started(data, box, pixel, shape)


def _started(data: Tensor, box: Tensor, pixel: Tensor, shape: Shape) -> Window:
    """Rows whose top left element lies at these pixels (R,) over these boxes (R,)."""
    area, width = prod(shape[2:]), shape[3]
    both, of_row = torch.unique(box * area + pixel, return_inverse=True)
    at = both % area
    return Window(data, torch.stack([at // width, at % width], dim=1), Places(both // area, of_row), shape)


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
    data = rows.reshape(-1, C, H * W).gather(2, index).transpose(1, 2).reshape(-1, h, w, C)
    return _started(data, box, top * W + left, (1, C, H, W))


def _extent(used: Tensor) -> tuple[Tensor, int]:
    """The first place used (R, n) in each row, and how many from there on hold all that any row uses."""
    count = used.shape[1]
    first = used.byte().argmax(dim=1)
    last = count - 1 - used.flip(1).byte().argmax(dim=1)
    length = torch.where(used.any(dim=1), last - first + 1, 1)
    return first, int(length.max())


def added(a: Window, b: Window) -> Window | None:
    """The sum of rows over one value; None if they did not start at the same places."""
    if a.places is not b.places:
        return None
    corner = torch.minimum(a.corner, b.corner)
    size = [
        max(int((part.corner[:, k] - corner[:, k]).max()) + part.data.shape[1 + k] for part in (a, b))
        for k in (0, 1)
    ]
    total = _placed(a, a.corner - corner, size) + _placed(b, b.corner - corner, size)
    return dataclasses.replace(a, data=total, corner=corner)


def _placed(rows: Window, at: Tensor, size: Sequence[int]) -> Tensor:
    """The windows in larger ones of this size, at (U, 2) in them: (R, *size, C). What goes over their edges
    is cut off."""
    kinds, kind = torch.unique(at, dim=0, return_inverse=True)
    if len(kinds) == 1:
        return _bordered(rows.data, kinds[0].tolist(), size)
    kind = kind[rows.places.of_row]
    order = kind.argsort(stable=True)
    counts = torch.bincount(kind, minlength=len(kinds)).tolist()
    parts = rows.data.index_select(0, order).split(counts)
    joined = torch.cat([_bordered(p, k.tolist(), size) for p, k in zip(parts, kinds, strict=True)])
    return joined.index_select(0, order.argsort())


def _bordered(data: Tensor, at: Sequence[int], size: Sequence[int]) -> Tensor:
    """Windows (R, h, w, C) in larger ones, all at the same place."""
    total = data.new_zeros(data.shape[0], *size, data.shape[3])
    kept = [slice(max(a, 0), max(a + n, 0)) for a, n in zip(at, data.shape[1:3], strict=True)]
    room = total[:, kept[0], kept[1]]
    begin = [max(-a, 0) for a in at]
    rows, columns = (slice(b, b + n) for b, n in zip(begin, room.shape[1:3], strict=True))
    room.copy_(data[:, rows, columns])
    return total


def _overlapped(parts: Tensor, strides: Sequence[int], dilations: Sequence[int]) -> Tensor:
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


Step = tuple[tuple[Window, ...], Tensor | None, Tensor | None]
"""Rows over the inputs of a node, what is added to their constants, and what roundings cost (R,)."""

_domain: Domain[Window] = Domain("backward linear bounds on windows")


def step(rows: Window, node: Node, state: State) -> Step | None:
    """One step backward through a node; None if its inputs need whole rows."""
    rule = _domain.find(node.op)
    if rule is None or not all(is_image(v.shape) for v in node.inputs):
        return None
    found: Step | None = rule(node.op, rows, node, state)
    return found


def _images(node: Node, state: State) -> tuple[Tensor, ...]:
    """What windows see of a node: the error of its roundings, if any, and of an elementwise node its slopes
    below and above, the offset above, and the offset below if there is one. Kept as long as they hold."""
    lines, error = state.lines.get(node), state.error.get(node)
    known = state.images.get(node)
    if known is None or known[0] is not lines or known[1] is not error:
        shape = node.output.shape
        parts = [state.lower.new_zeros(1, *shape) if error is None else error.reshape(1, *shape)]
        if lines is not None:
            parts += [lines.below_slope, lines.above_slope, lines.above_offset]
            if bool(lines.below_offset.any()):
                parts.append(lines.below_offset)
        batch = state.batch if lines is not None else 1
        known = lines, error, tuple(_image(part.expand(batch, *shape)) for part in parts)
        state.images[node] = known
    return known[2]


def _loss(rows: Window, node: Node, state: State) -> Tensor | None:
    """|rows| times the error of the node's roundings: (R,)."""
    if node not in state.error:
        return None
    (error,) = rows.of(*_images(node, state)[:1])
    return flat(rows.data.abs() * error).sum(dim=1)


def _slid(rows: Window, data: Tensor, strides: Sequence[int], before: Sequence[int], node: Node) -> Window:
    """The rows over the input of a node that slides a kernel: from where they now start, and zero outside."""
    device = rows.corner.device
    corner = rows.corner * torch.tensor(strides, device=device) - torch.tensor(before, device=device)
    return Window(data, corner, rows.places, node.inputs[0].shape).cropped()


def _through(data: Tensor, weight: Tensor, groups: int) -> Tensor:
    """Σ over the output channels o of data (…, O) times weight (O, I / groups, kh, kw): (…, kh, kw, I)."""
    outputs, inputs, kh, kw = weight.shape
    by_place = weight.permute(0, 2, 3, 1)  # (O, kh, kw, I / groups)
    pixels = data.reshape(-1, outputs)
    if groups == 1:
        if len(pixels) == data.shape[0] and bool(((pixels != 0).sum(dim=1) == 1).all()):  # unit rows
            channel = pixels.abs().argmax(dim=1)
            found = by_place.reshape(outputs, -1).index_select(0, channel) * pixels.gather(
                1, channel[:, None]
            )
        else:
            found = pixels @ by_place.reshape(outputs, -1)
        return found.reshape(*data.shape[:-1], kh, kw, inputs)
    grouped = pixels.reshape(-1, groups, outputs // groups).transpose(0, 1)
    found = grouped @ by_place.reshape(groups, outputs // groups, -1)  # (groups, pixels, kh·kw·I / groups)
    found = found.reshape(groups, -1, kh, kw, inputs).permute(1, 2, 3, 0, 4)
    return found.reshape(*data.shape[:-1], kh, kw, groups * inputs)


@_domain.rule(Conv)
def _conv(op: Conv, rows: Window, node: Node, state: State) -> Step:
    offset = state.offset(op)
    add = None if offset is None else long_sum(rows.data * offset.reshape(-1))
    data = _overlapped(_through(rows.data, op.weight, op.groups), op.strides, op.dilations)
    return (_slid(rows, data, op.strides, op.before, node),), add, _loss(rows, node, state)


@_domain.rule(ConvTranspose)
def _conv_transpose(op: ConvTranspose, rows: Window, node: Node, state: State) -> Step | None:
    """Each row's window is first put where the stride and the kernel meet the inputs."""
    if op.groups > 1:
        return None
    offset = state.offset(op)
    add = None if offset is None else long_sum(rows.data * offset.reshape(-1))
    device = rows.corner.device
    stride = torch.tensor(op.strides, device=device)
    reach = [d * (k - 1) for d, k in zip(op.dilations, op.weight.shape[2:], strict=True)]
    start = rows.corner + torch.tensor(op.before, device=device)  # before anything is cropped
    corner = -((torch.tensor(reach, device=device) - start) // stride)  # the first input that reaches it
    last = (start + torch.tensor(rows.data.shape[1:3], device=device) - 1) // stride
    count = [max(1, int(n)) for n in (last - corner + 1).amax(dim=0)]
    span = [(n - 1) * s + 1 for n, s in zip(count, op.strides, strict=True)]
    size = [n + r for n, r in zip(span, reach, strict=True)]
    placed = _placed(rows, start - corner * stride, size)
    (dy, dx), (kh, kw) = op.dilations, op.weight.shape[2:]
    seen = [
        placed[:, i * dy : i * dy + span[0] : op.strides[0], j * dx : j * dx + span[1] : op.strides[1]]
        for i in range(kh)
        for j in range(kw)
    ]
    weight = op.weight.permute(2, 3, 1, 0).reshape(-1, op.weight.shape[0])  # (kh·kw·O, I)
    back = Window(torch.cat(seen, dim=3) @ weight, corner, rows.places, node.inputs[0].shape)
    return (back.cropped(),), add, _loss(rows, node, state)


@_domain.rule(AveragePool)
def _average(op: AveragePool, rows: Window, node: Node, state: State) -> Step:
    data = rows.data * rows.of(_image(op.weight.reshape(1, 1, 1, *op.weight.shape)))[0]
    each = data[:, :, :, None, None].expand(-1, -1, -1, *op.kernel, -1)
    back = _slid(rows, _overlapped(each, op.strides, (1, 1)), op.strides, op.before, node)
    return (back,), None, _loss(rows, node, state)


@_domain.rule(Sum)
def _sum(op: Sum, rows: Window, node: Node, state: State) -> Step:
    negative = dataclasses.replace(rows, data=-rows.data) if min(op.signs) < 0 else rows
    return tuple(rows if sign > 0 else negative for sign in op.signs), None, _loss(rows, node, state)


@_domain.rule(Concat)
def _concat(op: Concat, rows: Window, node: Node, state: State) -> Step | None:
    if op.axis != 1:
        return None
    parts = rows.data.split([v.shape[1] for v in node.inputs], dim=3)
    back = [dataclasses.replace(rows, data=p, shape=v.shape) for p, v in zip(parts, node.inputs, strict=True)]
    return tuple(back), None, None


@_domain.rule(Pad)
def _pad(op: Pad, rows: Window, node: Node, state: State) -> Step | None:
    """The same window seen from where the image begins."""
    if any(op.before[:2]) or any(op.after[:2]):
        return None
    corner = rows.corner - torch.tensor(op.before[2:], device=rows.corner.device)
    back = Window(rows.data, corner, rows.places, node.inputs[0].shape)
    return (back.cropped(),), None, None


@_domain.rule(Elementwise)
def _elementwise(op: Elementwise, rows: Window, node: Node, state: State) -> Step:
    """A positive coefficient takes the line below, a negative one the line above."""
    error, below, above, above_offset, *below_offset = rows.of(*_images(node, state))
    taken = None
    if state.row_slopes is not None and isinstance(op, Relu):
        below, above, above_offset = state.row_slopes.of(node.output, rows.data, below, above, above_offset)
        taken = state.row_slopes.multiplier(node.output, rows.data)
    positive, negative = rows.data.clamp(min=0), rows.data.clamp(max=0)
    back = torch.addcmul(positive * below, negative, above)
    add = negative * above_offset
    if below_offset:
        add = torch.addcmul(add, positive, below_offset[0])
    loss = flat((positive - negative) * error).sum(dim=1)
    if taken is not None:
        (size,) = rows.of(_image(state.magnitude(node.inputs[0])))
        loss = loss + split_error(back, taken, size)
        back = back - taken
    return (dataclasses.replace(rows, data=back),), long_sum(add), loss
