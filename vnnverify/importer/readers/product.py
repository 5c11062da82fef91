# SPDX-License-Identifier: Apache-2.0
"""Gemm, MatMul, Conv, ConvTranspose."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor

from vnnverify.importer.builder import NodeView, Operand, as_tensor
from vnnverify.importer.readers.arithmetic import scaled
from vnnverify.importer.registry import reads
from vnnverify.importer.runtime import computed
from vnnverify.ir import Shape, Value
from vnnverify.ops.arrangement import Transpose
from vnnverify.ops.bilinear import MatMul
from vnnverify.ops.conv import Conv, ConvTranspose
from vnnverify.ops.linear import LeftLinear, Linear, SparseLinear, entries, is_sparse, product
from vnnverify.ops.sums import Sum

__all__ = ["spatial_pads", "stacked"]


@reads("Gemm")
def _gemm(node: NodeView) -> Operand:
    """alpha·A'·B' + beta·C, where A' and B' may be transposed."""
    a, b, c = node.operand(0), node.operand(1), node.operand(2)
    alpha, beta = float(node.attribute("alpha", 1.0)), float(node.attribute("beta", 1.0))
    turn_a, turn_b = bool(node.attribute("transA", 0)), bool(node.attribute("transB", 0))
    if isinstance(a, Value) and isinstance(b, np.ndarray):
        weight = b if turn_b else b.T
        if isinstance(c, np.ndarray) and c.shape in _rows(weight.shape[0]):
            bias = np.broadcast_to(beta * np.asarray(c, dtype=np.float64).reshape(-1), weight.shape[:1])
            return node.add(_linear(weight, alpha, as_tensor(bias), beta), _turned(node, a, turn_a))
        return _plus(node, node.add(_linear(weight, alpha), _turned(node, a, turn_a)), beta)
    if isinstance(b, Value) and isinstance(a, np.ndarray):
        weight = alpha * np.asarray(a, dtype=np.float64)
        weight = weight.T if turn_a else weight
        return _plus(node, node.add(LeftLinear(as_tensor(weight)), _turned(node, b, turn_b)), beta)
    left, right = _turned(node, node.variable(0), turn_a), _turned(node, node.variable(1), turn_b)
    product = node.add(MatMul(), left, right)
    return _plus(node, product if alpha == 1.0 else scaled(node, product, np.array(alpha), None), beta)


def _rows(n: int) -> tuple[tuple[int, ...], ...]:
    """Shapes of what is added to every row of n numbers alike."""
    return (), (1,), (n,), (1, 1), (1, n)


def _linear(
    weight: np.ndarray, alpha: float = 1.0, bias: Tensor | None = None, beta: float = 1.0
) -> Linear | SparseLinear:
    """x (alpha W)^T + b; a large matrix of few weights is never copied whole. Products of what is stored as
    float32 are exact, others, and with `beta` the bias, are rounded."""
    roundings = int(weight.dtype == np.float64 and (alpha, beta) != (1.0, 1.0))
    if not is_sparse(weight.size, int(np.count_nonzero(weight))):
        return Linear(as_tensor(alpha * np.asarray(weight, dtype=np.float64)), bias, roundings)
    rows, columns = weight.nonzero()
    values = alpha * weight[rows, columns].astype(np.float64)
    i, j, v = (torch.from_numpy(part) for part in (rows, columns, values))
    shape = (weight.shape[0], weight.shape[1])
    return product(entries(i, j, v, shape), bias, roundings)


def _turned(node: NodeView, x: Value, turn: bool) -> Value:
    return node.add(Transpose((1, 0)), x) if turn else x


def _plus(node: NodeView, product: Value, beta: float) -> Value:
    c = node.operand(2)
    if c is None or beta == 0.0:
        return product
    if node.broadcast(c.shape, product.shape) != product.shape:
        raise node.error(f"C of shape {c.shape} does not fit a product of shape {product.shape}")
    if not isinstance(c, Value):
        source = ("multiples", beta, c.tobytes()) if c.dtype == np.float64 and beta != 1.0 else None
        return scaled(node, product, None, beta * np.asarray(c, dtype=np.float64), source)
    term = c if beta == 1.0 else scaled(node, c, np.array(beta), None)
    return node.add(Sum((1, 1)), product, node.expanded(term, product.shape))


@reads("MatMul")
def _matmul(node: NodeView) -> Operand:
    """As numpy: a vector counts as a row on the left and as a column on the right, and is squeezed after."""
    a, b = node.operand(0), node.operand(1)
    if a is None or b is None or not a.shape or not b.shape:
        raise node.error("a factor is missing or has no axes")
    if isinstance(a, Value) and isinstance(b, np.ndarray) and b.ndim <= 2:
        z = node.add(_linear(b.reshape(len(b), -1).T), a)
        return z if b.ndim == 2 else node.reshaped(z, z.shape[:-1])
    if isinstance(b, Value) and isinstance(a, np.ndarray) and a.ndim <= 2:
        weight = a.reshape(-1, a.shape[-1])
        z = node.add(_linear(weight) if len(b.shape) == 1 else LeftLinear(as_tensor(weight)), b)
        if a.ndim == 2:
            return z
        return node.reshaped(z, () if len(b.shape) == 1 else b.shape[:-2] + b.shape[-1:])
    left = _as_matrix(node, a, (1, *a.shape)) if len(a.shape) == 1 else a
    right = _as_matrix(node, b, (*b.shape, 1)) if len(b.shape) == 1 else b
    z = stacked(node, left, right)
    rows = () if len(a.shape) == 1 else z.shape[-2:-1]
    columns = () if len(b.shape) == 1 else z.shape[-1:]
    return node.reshaped(z, z.shape[:-2] + rows + columns)


def _as_matrix(node: NodeView, x: Operand, shape: tuple[int, ...]) -> Operand:
    return node.reshaped(x, shape) if isinstance(x, Value) else x.reshape(shape)


def stacked(node: NodeView, left: Operand, right: Operand) -> Value:
    """The product of two stacks of matrices, at least one of them variable."""
    lead = node.broadcast(left.shape[:-2], right.shape[:-2])
    node.within_limit([*lead, left.shape[-2], right.shape[-1]])
    if isinstance(left, Value) and isinstance(right, Value):
        wide = (node.expanded(v, (*lead, *v.shape[-2:])) for v in (left, right))
        return node.add(MatMul(), *wide)
    if isinstance(right, Value):
        weight = np.broadcast_to(np.asarray(left), (*lead, *left.shape[-2:]))
        return node.add(LeftLinear(as_tensor(weight)), node.expanded(right, (*lead, *right.shape[-2:])))
    assert isinstance(left, Value)
    flip = (*range(len(lead)), len(lead) + 1, len(lead))  # x W is (W^T x^T)^T
    x = node.add(Transpose(flip), node.expanded(left, (*lead, *left.shape[-2:])))
    weight = np.broadcast_to(np.swapaxes(right, -1, -2), (*lead, right.shape[-1], right.shape[-2]))
    return node.add(Transpose(flip), node.add(LeftLinear(as_tensor(weight)), x))


def spatial_pads(
    node: NodeView,
    extent: Sequence[int],
    reach: Sequence[int],
    strides: Sequence[int],
    *,
    crops: bool = False,
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Padding before and after each spatial axis, from `pads` or `auto_pad`.

    Args:
        extent: input sizes.
        reach: kernel sizes with dilation counted in.
        crops: whether `auto_pad` takes off what strides beyond the kernel pass over at the ends.
    """
    rank = len(extent)
    auto = node.attribute("auto_pad", "NOTSET")
    if auto == "NOTSET":
        pads = node.attribute("pads", [0] * (2 * rank))
        return tuple(pads[:rank]), tuple(pads[rank:])
    if auto == "VALID":
        return (0,) * rank, (0,) * rank
    total = [(-(-n // s) - 1) * s + r - n for n, r, s in zip(extent, reach, strides, strict=True)]
    total = total if crops else [max(0, t) for t in total]
    before = tuple(int((t if auto == "SAME_UPPER" else t + 1) / 2) for t in total)
    return before, tuple(t - b for t, b in zip(total, before, strict=True))


def _bias(node: NodeView) -> np.ndarray | None:
    return node.constant(2, "the bias")


@reads("Conv")
def _conv(node: NodeView) -> Operand:
    x, weight, bias = node.variable(), node.constant(1, "the kernel"), _bias(node)
    assert weight is not None
    rank = weight.ndim - 2
    strides = tuple(node.attribute("strides", [1] * rank))
    dilations = tuple(node.attribute("dilations", [1] * rank))
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, weight.shape[2:], strict=True)]
    before, after = spatial_pads(node, x.shape[2:], reach, strides)
    padded = [n + b + a for n, b, a in zip(x.shape[2:], before, after, strict=True)]
    node.within_limit([*x.shape[:2], *padded])
    node.within_limit([x.shape[0], weight.shape[0], *padded])
    groups = int(node.attribute("group", 1))
    b = None if bias is None else as_tensor(bias)
    found = Conv(as_tensor(weight), b, strides, before, after, dilations, groups)
    if any(r < s for r, s in zip(reach, strides, strict=True)) and node.attribute("auto_pad", "").startswith(
        "SAME"
    ):
        cropped = spatial_pads(node, x.shape[2:], reach, strides, crops=True)
        found = _agreed(
            node, x.shape, weight, found, dataclasses.replace(found, before=cropped[0], after=cropped[1])
        )
    return node.add(found, x)


def _agreed(node: NodeView, shape: Shape, weight: np.ndarray, *found: Conv) -> Conv:
    """The convolution that does to some numbers what onnxruntime does: with strides beyond the kernel
    `auto_pad` leaves out elements at either end, or does not.

    Raises:
        UnsupportedModelError: none does.
    """
    sample = np.random.default_rng(0).uniform(1.0, 2.0, shape).astype(np.float32)
    attributes = node.attributes
    theirs = computed(node.op_type, [sample, weight.astype(np.float32)], attributes, node.opset, node.title)
    for conv in found:
        ours = conv.linear(torch.from_numpy(sample.astype(np.float64))[None])[0].numpy()
        if ours.shape == theirs.shape and np.allclose(
            ours, theirs, 1e-4, 1e-4 * np.abs(theirs).max(initial=0)
        ):
            return conv
    raise node.unsupported("what `auto_pad` makes of strides beyond the kernel")


@reads("ConvTranspose")
def _conv_transpose(node: NodeView) -> Operand:
    x, weight, bias = node.variable(), node.constant(1, "the kernel"), _bias(node)
    assert weight is not None
    rank = weight.ndim - 2
    strides = tuple(node.attribute("strides", [1] * rank))
    dilations = tuple(node.attribute("dilations", [1] * rank))
    extra = tuple(node.attribute("output_padding", [0] * rank))
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, weight.shape[2:], strict=True)]
    node.within_limit(
        [
            x.shape[0],
            weight.shape[1],
            *(n * s + r for n, s, r in zip(x.shape[2:], strides, reach, strict=True)),
        ]
    )
    wanted = node.attribute("output_shape")
    auto = node.attribute("auto_pad", "NOTSET")
    full = [s * (n - 1) + e + r for n, s, e, r in zip(x.shape[2:], strides, extra, reach, strict=True)]
    if wanted is None and auto not in ("SAME_UPPER", "SAME_LOWER"):
        before, after = spatial_pads(node, x.shape[2:], reach, strides)
        sizes = [f - b - a for f, b, a in zip(full, before, after, strict=True)]
    else:  # what is too much is cut off; what is missing is never put in front
        aim = [n * s for n, s in zip(x.shape[2:], strides, strict=True)] if wanted is None else wanted[-rank:]
        total = [max(0, f - w) for f, w in zip(full, aim, strict=True)]
        half = tuple(t // 2 for t in total)
        before = half if auto == "SAME_UPPER" else tuple(t - h for t, h in zip(total, half, strict=True))
        sizes = [f - t for f, t in zip(full, total, strict=True)] if wanted is None else list(aim)
    after = tuple(f - e - b - n for f, e, b, n in zip(full, extra, before, sizes, strict=True))
    groups = int(node.attribute("group", 1))
    b = None if bias is None else as_tensor(bias)
    return node.add(ConvTranspose(as_tensor(weight), b, strides, before, after, dilations, groups), x)


@reads("Col2Im", since=18)
def _col2im(node: NodeView) -> Operand:
    """Blocks (N, C·elements, places) added up where they lie: a transposed convolution with ones."""
    x, image, block = node.variable(), node.constant(1, "the image's shape"), node.constant(2, "the block's")
    if image is None or block is None:
        raise node.error("the shape of the image or of a block is missing")
    extent, kernel = ([int(n) for n in part.reshape(-1)] for part in (image, block))
    rank, size = len(kernel), prod(kernel)
    strides, dilations = (tuple(node.attribute(key, [1] * rank)) for key in ("strides", "dilations"))
    pads = node.attribute("pads", [0] * (2 * rank))
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    before, behind = tuple(pads[:rank]), pads[rank:]
    places = [
        (n + b + a - r) // s + 1 for n, b, a, r, s in zip(extent, before, behind, reach, strides, strict=True)
    ]
    full = [s * (n - 1) + r for n, s, r in zip(places, strides, reach, strict=True)]
    after = tuple(f - b - n for f, b, n in zip(full, before, extent, strict=True))
    channels = x.shape[1] // size
    if x.shape[1:] != (channels * size, prod(places)):
        raise node.error(f"blocks of shape {x.shape} do not make an image of {extent} by {kernel}")
    ones = torch.eye(size, dtype=torch.float64).repeat(channels, 1).reshape(channels * size, 1, *kernel)
    blocks = node.reshaped(x, (x.shape[0], x.shape[1], *places))
    return node.add(ConvTranspose(ones, None, strides, before, after, dilations, channels), blocks)
