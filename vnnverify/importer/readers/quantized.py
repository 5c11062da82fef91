# SPDX-License-Identifier: Apache-2.0
"""Products of quantised numbers: MatMulInteger, ConvInteger, QLinearMatMul, QLinearConv, QGemm.

Sums of whole numbers are exact. What they stand for, divided by the scale of the result, is a product with
one float32 number, which onnxruntime computes from the scales in this order.
"""

from __future__ import annotations

from math import prod

import numpy as np

from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.readers.arithmetic import scaled
from vnnverify.importer.readers.composition import as_onnx
from vnnverify.importer.registry import reads
from vnnverify.ir import Value
from vnnverify.ops.piecewise import Clip
from vnnverify.ops.requantized import NearestWhole
from vnnverify.ops.sums import Sum

__all__ = ["REACH", "byte_type", "requantized", "scale_of", "shifted", "zero_of"]

REACH = 2.0**-23
"""Relative error of a float32 operation and of what it is given, each rounded once."""
_EXACT = 2.0**24
"""Whole numbers up to this size are float32 numbers."""
_WRAPPED = 2.0**31
"""Sums of this size come round from the other end of 32 bits."""
_CLIPPED = 512.0
"""Where numbers of a byte, and whatever zero point, end."""


def scale_of(node: NodeView, index: int) -> np.ndarray:
    """A constant scale, of float32.

    Raises:
        UnsupportedModelError: it is computed, or of another type.
    """
    found = node.constant(index, "a scale")
    if found is None:
        raise node.error("a scale is missing")
    if found.dtype != np.float32:
        raise node.unsupported(f"a scale of type {found.dtype}")
    return found


def zero_of(node: NodeView, index: int) -> np.ndarray:
    """A constant zero point; 0 if it is left out."""
    found = node.constant(index, "a zero point")
    return np.zeros((), np.float64) if found is None else found.astype(np.float64)


def byte_type(node: NodeView, *indices: int) -> np.dtype:
    """The type of the first of these inputs that is there, which must be int8 or uint8.

    Raises:
        UnsupportedModelError: it is another one.
    """
    kinds = [node.types[k] for k in indices if k < len(node.types) and node.types[k] is not None]
    kind = kinds[0] if kinds else None
    if kind not in (np.dtype(np.int8), np.dtype(np.uint8)):
        raise node.unsupported(f"quantised numbers of type {kind}")
    assert kind is not None
    return kind


def shifted(node: NodeView, index: int, zero: Operand | None, *, rows: bool = False) -> Operand:
    """Input `index` less its zero point.

    Args:
        rows: one for each of the first axis; otherwise for each of the last.
    """
    x = node.operand(index)
    if x is None:
        raise node.error(f"input {index} is missing")
    if isinstance(zero, Value):
        if zero.size != 1:
            raise node.unsupported("a computed zero point for each channel")
        return node.add(Sum((1, -1)), *node.aligned(node.variable(index), node.reshaped(zero, ())))
    offset = np.zeros(()) if zero is None else np.asarray(zero, dtype=np.float64)
    if offset.size == 1:
        offset = offset.reshape(())
    elif rows:
        offset = offset.reshape(-1, *(1,) * (len(x.shape) - 1))
    if not isinstance(x, Value):
        return np.asarray(x.astype(np.float64) - offset)
    return scaled(node, x, None, -offset) if offset.any() else x


def _largest(node: NodeView, index: int, zero: Operand | None) -> float:
    """The largest size of a number of input `index` less its zero point."""
    x = node.operand(index)
    if isinstance(x, np.ndarray):
        low, high = float(x.min(initial=0)), float(x.max(initial=0))
    else:
        info = np.iinfo(byte_type(node, index))
        low, high = float(info.min), float(info.max)
    if isinstance(zero, Value):
        return high - low
    points = np.zeros(1) if zero is None else np.asarray(zero, dtype=np.float64)
    return max(abs(end - float(point)) for end in (low, high) for point in (points.min(), points.max()))


def _limit(node: NodeView, first: float, second: float, terms: int, bias: np.ndarray | None = None) -> float:
    """The largest size of a sum of so many products, and a bias.

    Raises:
        UnsupportedModelError: it may not fit into 32 bits.
    """
    most = first * second * terms + (
        0.0 if bias is None else float(np.abs(bias.astype(np.float64)).max(initial=0))
    )
    if most >= _WRAPPED:
        raise node.unsupported("a sum of whole numbers that may overflow 32 bits")
    return most


def requantized(
    node: NodeView, total: Value, factor: np.ndarray, zero: np.ndarray, kind: np.dtype, most: float
) -> Value:
    """round(total·factor) + zero, cut to the range of the type; `most` is the largest size of the total."""
    if zero.size != 1:
        raise node.unsupported("a zero point for each row or column of the result")
    reach = 0.0 if most <= _EXACT else 2 * REACH * _CLIPPED
    near = node.add(NearestWhole(reach), scaled(node, total, factor.astype(np.float64), None))
    info, point = np.iinfo(kind), float(zero.reshape(()))
    cut = node.add(Clip(float(info.min) - point, float(info.max) - point), near)
    return scaled(node, cut, None, zero.reshape(())) if point else cut


def _terms(node: NodeView, index: int, axis: int) -> int:
    x = node.operand(index)
    assert x is not None
    return int(x.shape[axis])


@reads("MatMulInteger")
def _matmul_integer(node: NodeView) -> Operand:
    """(A − a)·(B − b), with a single a, and b for each column."""
    zeros = node.operand(2), node.operand(3)
    if zeros[0] is not None and zeros[0].size > 1:
        raise node.unsupported("a zero point for each row")
    _limit(node, _largest(node, 0, zeros[0]), _largest(node, 1, zeros[1]), _terms(node, 0, -1))
    return as_onnx(node, "MatMul", shifted(node, 0, zeros[0]), shifted(node, 1, zeros[1]))


@reads("ConvInteger")
def _conv_integer(node: NodeView) -> Operand:
    """The convolution of x − x0 with W − w0, which may be one for each output channel."""
    zeros, kernel = (node.operand(2), node.operand(3)), node.constant(1, "the kernel")
    if kernel is None:
        raise node.error("the kernel is missing")
    if zeros[0] is not None and zeros[0].size > 1:
        raise node.unsupported("a zero point for each channel of the input")
    _limit(node, _largest(node, 0, zeros[0]), _largest(node, 1, zeros[1]), prod(kernel.shape[1:]))
    weight = shifted(node, 1, zeros[1], rows=True)
    return as_onnx(node, "Conv", shifted(node, 0, zeros[0]), weight, **node.attributes)


@reads("QLinearMatMul")
@reads("QLinearMatMul", domain="com.microsoft")
def _quantized_matmul(node: NodeView) -> Operand:
    a, b, y = (scale_of(node, k) for k in (1, 4, 6))
    zeros = zero_of(node, 2), zero_of(node, 5)
    if a.size > 1 or y.size > 1 or zeros[0].size > 1:
        raise node.unsupported("a scale or zero point for each row")
    _one_per_column(node, 3, b, zeros[1])
    most = _limit(node, _largest(node, 0, zeros[0]), _largest(node, 3, zeros[1]), _terms(node, 0, -1))
    total = as_onnx(node, "MatMul", shifted(node, 0, zeros[0]), shifted(node, 3, zeros[1]))
    factor = a.reshape(()) * _flat(b) / y.reshape(())
    return requantized(node, total, factor, zero_of(node, 7), byte_type(node, 7, 0), most)


def _one_per_column(node: NodeView, index: int, *parameters: np.ndarray) -> None:
    columns = _terms(node, index, -1)
    if any(p.size not in (1, columns) or p.shape[-1:] not in ((), (p.size,)) for p in parameters):
        raise node.unsupported("scales or zero points that differ otherwise than by column")


def _flat(found: np.ndarray) -> np.ndarray:
    return found.reshape(()) if found.size == 1 else found.reshape(-1)


@reads("QLinearConv")
@reads("QLinearConv", domain="com.microsoft")
def _quantized_conv(node: NodeView) -> Operand:
    if node.attribute("channels_last", 0):
        raise node.unsupported("channels as the last axis")
    x, w, y = (scale_of(node, k) for k in (1, 4, 6))
    zeros, kernel = (zero_of(node, 2), zero_of(node, 5)), node.constant(3, "the kernel")
    if kernel is None:
        raise node.error("the kernel is missing")
    if x.size > 1 or y.size > 1 or zeros[0].size > 1:
        raise node.unsupported("a scale or zero point for each channel of the input or the result")
    if zeros[1].size > 1 and np.unique(zeros[1]).size > 1:
        raise node.unsupported("zero points of the kernel that differ")
    bias = node.constant(8, "the bias")
    most = _limit(
        node, _largest(node, 0, zeros[0]), _largest(node, 3, zeros[1]), prod(kernel.shape[1:]), bias
    )
    parts = [shifted(node, 0, zeros[0]), shifted(node, 3, zeros[1].reshape(-1)[:1])]
    if bias is not None:
        parts.append(bias.astype(np.float64))
    own = {key: value for key, value in node.attributes.items() if key != "channels_last"}
    total = as_onnx(node, "Conv", *parts, **own)
    factor = x.reshape(()) * _flat(w) / y.reshape(())
    channels = factor.reshape(-1, *(1,) * (kernel.ndim - 2))
    return requantized(node, total, channels, zero_of(node, 7), byte_type(node, 7, 0), most)


@reads("QGemm", domain="com.microsoft")
def _quantized_gemm(node: NodeView) -> Operand:
    """alpha·(A' − a)·(B' − b) + C, quantised if the result has a scale, else as floats."""
    a, b = scale_of(node, 1), scale_of(node, 4)
    zeros, bias = (zero_of(node, 2), zero_of(node, 5)), node.constant(6, "the bias")
    turns = {key: int(node.attribute(key, 0)) for key in ("transA", "transB")}
    if a.size > 1 or zeros[0].size > 1:
        raise node.unsupported("a scale or zero point for each row")
    terms = _terms(node, 0, 0 if turns["transA"] else 1)
    most = _limit(node, _largest(node, 0, zeros[0]), _largest(node, 3, zeros[1]), terms, bias)
    second = shifted(node, 3, zeros[1], rows=bool(turns["transB"]))
    added = [] if bias is None else [bias.astype(np.float64)]
    total = as_onnx(node, "Gemm", shifted(node, 0, zeros[0]), second, *added, **turns)
    factor = np.float32(node.attribute("alpha", 1.0)) * a.reshape(()) * _flat(b)
    if node.operand(7) is None:
        return scaled(node, total, factor.astype(np.float64), None)
    factor = factor / scale_of(node, 7).reshape(())
    return requantized(node, total, factor, zero_of(node, 8), byte_type(node, 8, 0), most)
