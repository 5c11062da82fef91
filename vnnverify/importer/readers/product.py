# SPDX-License-Identifier: Apache-2.0
"""Gemm, MatMul, Conv, ConvTranspose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vnnverify.importer.builder import NodeView, Operand, as_tensor
from vnnverify.importer.registry import reads
from vnnverify.ir import Value
from vnnverify.ops.arrangement import Expand, Transpose
from vnnverify.ops.bilinear import MatMul
from vnnverify.ops.conv import Conv, ConvTranspose
from vnnverify.ops.linear import LeftLinear, Linear
from vnnverify.ops.scale import Scale
from vnnverify.ops.sums import Sum

__all__ = ["spatial_pads"]


@reads("Gemm")
def _gemm(node: NodeView) -> Operand:
    """alpha·A'·B' + beta·C, where A' and B' may be transposed."""
    a, b = node.operand(0), node.operand(1)
    alpha, beta = float(node.attribute("alpha", 1.0)), float(node.attribute("beta", 1.0))
    flip_a, flip_b = node.attribute("transA", 0), node.attribute("transB", 0)
    if not isinstance(a, Value) or isinstance(b, Value):
        left, right = node.variable(0), node.variable(1)
        left = node.add(Transpose((1, 0)), left) if flip_a else left
        right = node.add(Transpose((1, 0)), right) if flip_b else right
        product = node.add(MatMul(), left, right)
        if alpha != 1.0:
            product = node.add(Scale(as_tensor(np.array([[alpha]])), None, product.shape), product)
        return _plus(node, product, beta)
    x = node.add(Transpose((1, 0)), a) if flip_a else a
    weight = alpha * np.asarray(b, dtype=np.float64)
    weight = weight if flip_b else weight.T
    c = node.operand(2)
    if c is None or isinstance(c, Value) or np.size(c) not in (1, weight.shape[0]):
        return _plus(node, node.add(Linear(as_tensor(weight)), x), beta)
    bias = np.broadcast_to(beta * np.asarray(c, dtype=np.float64).reshape(-1), (weight.shape[0],))
    return node.add(Linear(as_tensor(weight), as_tensor(bias)), x)


def _plus(node: NodeView, product: Value, beta: float) -> Value:
    c = node.operand(2)
    if c is None or beta == 0.0:
        return product
    if not isinstance(c, Value):
        shift = as_tensor(np.broadcast_to(beta * np.asarray(c, dtype=np.float64), product.shape))
        return node.add(Scale(None, shift, product.shape), product)
    term = c if c.shape == product.shape else node.add(Expand(product.shape), c)
    if beta != 1.0:
        term = node.add(Scale(as_tensor(np.full((1,) * len(term.shape), beta)), None, term.shape), term)
    return node.add(Sum((1, 1)), product, term)


@reads("MatMul")
def _matmul(node: NodeView) -> Operand:
    a, b = node.operand(0), node.operand(1)
    if isinstance(a, Value) and isinstance(b, np.ndarray) and b.ndim == 2:
        return node.add(Linear(as_tensor(b.T)), a)
    if isinstance(b, Value) and isinstance(a, np.ndarray) and a.ndim == 2:
        return node.add(LeftLinear(as_tensor(a)), b)
    left, right = node.variable(0), node.variable(1)
    if min(len(left.shape), len(right.shape)) < 2:
        raise node.error("products of vectors are not supported")
    batch = tuple(np.broadcast_shapes(left.shape[:-2], right.shape[:-2]))
    wide = [
        v if v.shape[:-2] == batch else node.add(Expand((*batch, *v.shape[-2:])), v) for v in (left, right)
    ]
    return node.add(MatMul(), *wide)


def spatial_pads(
    node: NodeView, extent: Sequence[int], reach: Sequence[int], strides: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Padding before and after each spatial axis, from `pads` or `auto_pad`.

    Args:
        extent: input sizes.
        reach: kernel sizes with dilation counted in.
    """
    rank = len(extent)
    auto = node.attribute("auto_pad", "NOTSET")
    if auto == "NOTSET":
        pads = node.attribute("pads", [0] * (2 * rank))
        return tuple(pads[:rank]), tuple(pads[rank:])
    if auto == "VALID":
        return (0,) * rank, (0,) * rank
    total = [max(0, (-(-n // s) - 1) * s + r - n) for n, r, s in zip(extent, reach, strides, strict=True)]
    small = tuple(t // 2 for t in total)
    large = tuple(t - t // 2 for t in total)
    return (small, large) if auto == "SAME_UPPER" else (large, small)


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
    groups = int(node.attribute("group", 1))
    b = None if bias is None else as_tensor(bias)
    return node.add(Conv(as_tensor(weight), b, strides, before, after, dilations, groups), x)


@reads("ConvTranspose")
def _conv_transpose(node: NodeView) -> Operand:
    x, weight, bias = node.variable(), node.constant(1, "the kernel"), _bias(node)
    assert weight is not None
    rank = weight.ndim - 2
    strides = tuple(node.attribute("strides", [1] * rank))
    dilations = tuple(node.attribute("dilations", [1] * rank))
    extra = tuple(node.attribute("output_padding", [0] * rank))
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, weight.shape[2:], strict=True)]
    wanted = node.attribute("output_shape")
    auto = node.attribute("auto_pad", "NOTSET")
    if wanted is None and auto in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [n * s for n, s in zip(x.shape[2:], strides, strict=True)]
    if wanted is not None:
        full = [s * (n - 1) + e + r for n, s, e, r in zip(x.shape[2:], strides, extra, reach, strict=True)]
        total = [f - w for f, w in zip(full, wanted[-rank:], strict=True)]
        half = tuple(t // 2 for t in total)
        rest = tuple(t - t // 2 for t in total)
        before, after = (half, rest) if auto == "SAME_UPPER" else (rest, half)
    else:
        before, after = spatial_pads(node, x.shape[2:], reach, strides)
    after = tuple(a - e for a, e in zip(after, extra, strict=True))
    groups = int(node.attribute("group", 1))
    b = None if bias is None else as_tensor(bias)
    return node.add(ConvTranspose(as_tensor(weight), b, strides, before, after, dilations, groups), x)
