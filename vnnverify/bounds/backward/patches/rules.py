# SPDX-License-Identifier: Apache-2.0
"""Steps of patches backward through the operators that keep them small."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from vnnverify.bounds.backward.patches.patches import Patches, image, is_image
from vnnverify.bounds.backward.patches.placing import overlapped, placed
from vnnverify.bounds.backward.rows import by_sign
from vnnverify.bounds.rounding import long_sum, split_error
from vnnverify.bounds.state import State
from vnnverify.domains import Domain
from vnnverify.ir import Elementwise, Node, flat
from vnnverify.ops.arrangement import Concat, Pad
from vnnverify.ops.conv import Conv, ConvTranspose
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.sums import AveragePool, Sum

__all__ = ["Step", "step"]

Step = tuple[tuple[Patches, ...], Tensor | None, Tensor | None]
"""Rows over the inputs of a node, what is added to their constants, and what roundings cost (R,)."""

_domain: Domain[[Patches, Node, State], Step | None] = Domain("backward linear bounds on patches")


def step(rows: Patches, node: Node, state: State) -> Step | None:
    """One step backward through a node; None if its inputs need whole rows."""
    rule = _domain.find(node.op)
    if rule is None or not all(is_image(v.shape) for v in node.inputs):
        return None
    return rule(node.op, rows, node, state)


def _images(node: Node, state: State) -> tuple[Tensor, ...]:
    """What patches see of a node: the error of its roundings, if any, and of an elementwise node its slopes
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
        known = lines, error, tuple(image(part.expand(batch, *shape)) for part in parts)
        state.images[node] = known
    return known[2]


def _loss(rows: Patches, node: Node, state: State) -> Tensor | None:
    """|rows| times the error of the node's roundings: (R,)."""
    if node not in state.error:
        return None
    (error,) = rows.of(*_images(node, state)[:1])
    return flat(rows.data.abs() * error).sum(dim=1)


def _slid(rows: Patches, data: Tensor, strides: Sequence[int], before: Sequence[int], node: Node) -> Patches:
    """The rows over the input of a node that slides a kernel: from where they now start, and zero outside."""
    device = rows.corner.device
    corner = rows.corner * torch.tensor(strides, device=device) - torch.tensor(before, device=device)
    return Patches(data, corner, rows.places, node.inputs[0].shape).cropped()


def _through(data: Tensor, weight: Tensor, groups: int) -> Tensor:
    """Σ over the output channels o of data (…, O) times weight (O, I / groups, kh, kw): (…, kh, kw, I).

    Where each row is one number, its channel is looked up, unless there are gradients: zeros have them too.
    """
    outputs, inputs, kh, kw = weight.shape
    by_place = weight.permute(0, 2, 3, 1)  # (O, kh, kw, I / groups)
    pixels = data.reshape(-1, outputs)
    if groups == 1:
        single = len(pixels) == data.shape[0] and not data.requires_grad
        if single and bool(((pixels != 0).sum(dim=1) == 1).all()):
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
def _conv(op: Conv, rows: Patches, node: Node, state: State) -> Step:
    offset = state.offset(op)
    add = None if offset is None else long_sum(rows.data * offset.reshape(-1))
    data = overlapped(_through(rows.data, op.weight, op.groups), op.strides, op.dilations)
    return (_slid(rows, data, op.strides, op.before, node),), add, _loss(rows, node, state)


@_domain.rule(ConvTranspose)
def _conv_transpose(op: ConvTranspose, rows: Patches, node: Node, state: State) -> Step | None:
    """Each row's patch is first put where the stride and the kernel meet the inputs."""
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
    spread = placed(rows, start - corner * stride, size)
    (dy, dx), (kh, kw) = op.dilations, op.weight.shape[2:]
    seen = [
        spread[:, i * dy : i * dy + span[0] : op.strides[0], j * dx : j * dx + span[1] : op.strides[1]]
        for i in range(kh)
        for j in range(kw)
    ]
    weight = op.weight.permute(2, 3, 1, 0).reshape(-1, op.weight.shape[0])  # (kh·kw·O, I)
    back = Patches(torch.cat(seen, dim=3) @ weight, corner, rows.places, node.inputs[0].shape)
    return (back.cropped(),), add, _loss(rows, node, state)


@_domain.rule(AveragePool)
def _average(op: AveragePool, rows: Patches, node: Node, state: State) -> Step:
    data = rows.data * rows.of(image(op.weight.reshape(1, 1, 1, *op.weight.shape)))[0]
    each = data[:, :, :, None, None].expand(-1, -1, -1, *op.kernel, -1)
    back = _slid(rows, overlapped(each, op.strides, (1, 1)), op.strides, op.before, node)
    return (back,), None, _loss(rows, node, state)


@_domain.rule(Sum)
def _sum(op: Sum, rows: Patches, node: Node, state: State) -> Step:
    negative = dataclasses.replace(rows, data=-rows.data) if min(op.signs) < 0 else rows
    return tuple(rows if sign > 0 else negative for sign in op.signs), None, _loss(rows, node, state)


@_domain.rule(Concat)
def _concat(op: Concat, rows: Patches, node: Node, state: State) -> Step | None:
    if op.axis != 1:
        return None
    parts = torch.split(rows.data, [v.shape[1] for v in node.inputs], dim=3)
    back = [dataclasses.replace(rows, data=p, shape=v.shape) for p, v in zip(parts, node.inputs, strict=True)]
    return tuple(back), None, None


@_domain.rule(Pad)
def _pad(op: Pad, rows: Patches, node: Node, state: State) -> Step | None:
    """The same patch seen from where the image begins."""
    if any(op.before[:2]) or any(op.after[:2]):
        return None
    corner = rows.corner - torch.tensor(op.before[2:], device=rows.corner.device)
    back = Patches(rows.data, corner, rows.places, node.inputs[0].shape)
    return (back.cropped(),), None, None


@_domain.rule(Elementwise)
def _elementwise(op: Elementwise, rows: Patches, node: Node, state: State) -> Step:
    """A positive coefficient takes the line below, a negative one the line above."""
    error, below, above, above_offset, *below_offset = rows.of(*_images(node, state))
    taken = None
    if state.row_slopes is not None and isinstance(op, Relu):
        below, above, above_offset = state.row_slopes.of(node.output, rows.data, below, above, above_offset)
        taken = state.row_slopes.multiplier(node.output, rows.data)
    positive, negative = by_sign(rows.data)
    back = torch.addcmul(positive * below, negative, above)
    add = negative * above_offset
    if below_offset:
        add = torch.addcmul(add, positive, below_offset[0])
    loss = flat((positive - negative) * error).sum(dim=1)
    if taken is not None:
        (size,) = rows.of(image(state.magnitude(node.inputs[0])))
        loss = loss + split_error(back, taken, size)
        back = back - taken
    return (dataclasses.replace(rows, data=back),), long_sum(add), loss
