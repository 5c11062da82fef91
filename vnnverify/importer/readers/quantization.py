# SPDX-License-Identifier: Apache-2.0
"""Numbers rounded to few whole ones, and back."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.element_types import is_whole, whole_range
from vnnverify.importer.readers.arithmetic import divided, negated, scaled, scaled_by
from vnnverify.importer.readers.casts import named_type, rounded
from vnnverify.importer.readers.composition import as_onnx
from vnnverify.importer.registry import reads
from vnnverify.ir import Shape, Value
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.piecewise import Clip, Relu
from vnnverify.ops.requantized import NearestWhole
from vnnverify.ops.rounding import Within
from vnnverify.ops.smooth import Reciprocal
from vnnverify.ops.sums import Sum

__all__: list[str] = []

_SINGLE = np.dtype(np.float32)
_LARGEST = float(np.finfo(np.float32).max)
_ERROR = 2.0**-21
"""Relative error of a quotient in float32 whose divisor is computed: four roundings, of which the last counts
twice."""


def _along_axis(node: NodeView, found: np.ndarray, shape: Shape) -> np.ndarray:
    """A parameter per channel, or per block of elements, in a shape that broadcasts; or one number."""
    numbers = found.astype(np.float64)
    size = int(node.attribute("block_size", 0))
    if numbers.size == 1:
        return numbers.reshape(())
    axis = node.axis(int(node.attribute("axis", 1)), len(shape))
    if size:
        return np.repeat(numbers, size, axis=axis).take(np.arange(shape[axis]), axis=axis)
    if numbers.ndim != 1:
        raise node.error("gives a scale for each block without telling the size of a block")
    return numbers.reshape(_channels(numbers.size, axis, len(shape)))


def _channels(count: int, axis: int, rank: int) -> Shape:
    return (count, *(1,) * (rank - 1 - axis))


def _parameter(node: NodeView, index: int, shape: Shape) -> Operand | None:
    """A scale or zero point for an input of the given shape."""
    found = node.operand(index)
    if not isinstance(found, Value):
        return None if found is None else _along_axis(node, found, shape)
    if found.size == 1:
        return node.reshaped(found, ())
    if node.attribute("block_size", 0):
        raise node.unsupported("a computed scale for each block")
    axis = node.axis(int(node.attribute("axis", 1)), len(shape))
    return node.reshaped(found, _channels(found.size, axis, len(shape)))


def _quantized(node: NodeView, x: Value, scale: Operand, zero: Operand | None, kind: np.dtype) -> Value:
    """round(x / scale) + zero, half to even, cut to the range of the type; or the nearest float of 8 bits."""
    if isinstance(scale, Value):
        quotient = node.add(Mul(), *node.aligned(x, node.add(Reciprocal(), scale)))
    else:
        quotient = divided(node, x, scale)
    if not is_whole(kind):  # whose zero points onnxruntime takes no notice of
        return rounded(node, quotient, _SINGLE, kind, bool(node.attribute("saturate", 1)))
    low, high = whole_range(kind)
    reach = (high - low) * _ERROR if isinstance(scale, Value) else 0.0
    whole = node.add(NearestWhole(reach), quotient)
    if high - low < 16:  # which onnxruntime first makes whole numbers of 32 bits of
        whole = node.add(Within(-(2.0**31), 2.0**31), whole)
    return node.add(Clip(float(low), float(high)), _moved(node, whole, zero, 1))


def _moved(node: NodeView, x: Value, zero: Operand | None, sign: int) -> Value:
    """x + sign·zero."""
    if isinstance(zero, Value):
        return node.add(Sum((1, sign)), *node.aligned(x, zero))
    return x if zero is None or not zero.any() else scaled(node, x, None, sign * zero)


@reads("QuantizeLinear")
def _quantize(node: NodeView) -> Operand:
    x = node.variable()
    scale, zero = (_parameter(node, k, x.shape) for k in (1, 2))
    if scale is None:
        raise node.error("the scale is missing")
    kind = node.types[2] if zero is not None else named_type(node, "output_dtype", np.dtype(np.uint8))
    assert kind is not None
    return _quantized(node, x, scale, zero, kind)


@reads("DequantizeLinear")
def _dequantize(node: NodeView) -> Operand:
    """(x − zero)·scale, in the type of the scale unless another is named."""
    x = node.variable()
    scale, zero = (_parameter(node, k, x.shape) for k in (1, 2))
    kind = node.types[1]
    if scale is None or kind is None:
        raise node.error("the scale is missing")
    shifted = _moved(node, x, zero, -1)
    if isinstance(scale, Value):
        found = node.add(Mul(), *node.aligned(shifted, scale))
    else:
        found = scaled(node, shifted, scale, None)
    return rounded(node, found, _SINGLE, named_type(node, "output_dtype", kind))


@reads("DynamicQuantizeLinear")
def _quantize_by_range(node: NodeView) -> list[Operand]:
    """Bytes over the range of all elements and zero. Of elements that are all zero nothing is known.

    The quotients are rounded to float32 more than once, and often lie in the middle between two bytes: as
    the zero point of a range that is symmetric.
    """
    x = node.variable()
    high = node.add(Relu(), as_onnx(node, "ReduceMax", x, keepdims=0))
    below = node.add(Relu(), negated(node, as_onnx(node, "ReduceMin", x, keepdims=0)))
    span = node.add(Within(0.0, _LARGEST), node.add(Sum((1, 1)), high, below))
    scale = scaled_by(node, span, Fraction(1, 255))
    inverse = node.add(Reciprocal(), scale)
    nearest, byte = NearestWhole(256 * _ERROR), Clip(0.0, 255.0)
    zero = node.add(byte, node.add(nearest, node.add(Mul(), below, inverse)))
    near = node.add(nearest, node.add(Mul(), *node.aligned(x, inverse)))
    return [node.add(byte, _moved(node, near, zero, 1)), scale, zero]
