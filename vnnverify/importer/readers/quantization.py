# SPDX-License-Identifier: Apache-2.0
"""Numbers rounded to few whole ones, and back."""

from __future__ import annotations

import numpy as np

from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.readers.arithmetic import divided, scaled
from vnnverify.importer.registry import reads
from vnnverify.ir import Value
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.piecewise import Clip
from vnnverify.ops.smooth import Reciprocal
from vnnverify.ops.steps import Round
from vnnverify.ops.sums import Sum

__all__: list[str] = []


def _along_axis(node: NodeView, found: np.ndarray | None, rank: int) -> np.ndarray | None:
    """A parameter per channel in a shape that broadcasts, or one number."""
    if found is None or found.size == 1:
        return None if found is None else found.reshape(()).astype(np.float64)
    if found.ndim != 1:
        raise node.unsupported("a scale for each block of elements")
    axis = node.axis(int(node.attribute("axis", 1)), rank)
    return found.astype(np.float64).reshape(-1, *(1,) * (rank - 1 - axis))


def _quantized(node: NodeView, x: Value, scale: Operand, zero: Operand | None, kind: np.dtype) -> Value:
    """round(x / scale) + zero, half to even, cut to the range of the type."""
    if kind.kind not in "iu":
        raise node.unsupported(f"the type {kind}")
    info = np.iinfo(kind)
    if isinstance(scale, Value):
        quotient = node.add(Mul(), *node.aligned(x, node.add(Reciprocal(), scale)))
    else:
        quotient = divided(node, x, scale)
    whole = node.add(Round(), quotient)
    return node.add(Clip(float(info.min), float(info.max)), _moved(node, whole, zero, 1))


def _moved(node: NodeView, x: Value, zero: Operand | None, sign: int) -> Value:
    """x + sign·zero."""
    if isinstance(zero, Value):
        return node.add(Sum((1, sign)), *node.aligned(x, zero))
    return x if zero is None or not zero.any() else scaled(node, x, None, sign * zero)


def _parameter(node: NodeView, index: int, rank: int) -> Operand | None:
    """A scale or zero point; a computed one must be a single number."""
    found = node.operand(index)
    if not isinstance(found, Value):
        return _along_axis(node, found, rank)
    if found.size != 1:
        raise node.unsupported("a computed scale for each channel")
    return node.reshaped(found, ())


@reads("QuantizeLinear")
def _quantize(node: NodeView) -> Operand:
    x = node.variable()
    scale, zero = (_parameter(node, k, len(x.shape)) for k in (1, 2))
    if scale is None:
        raise node.error("the scale is missing")
    kind = node.types[2] if zero is not None else np.dtype(np.uint8)
    assert kind is not None
    return _quantized(node, x, scale, zero, kind)


@reads("DequantizeLinear")
def _dequantize(node: NodeView) -> Operand:
    """(x − zero)·scale."""
    x = node.variable()
    scale, zero = (_parameter(node, k, len(x.shape)) for k in (1, 2))
    if scale is None:
        raise node.error("the scale is missing")
    shifted = _moved(node, x, zero, -1)
    if isinstance(scale, Value):
        return node.add(Mul(), *node.aligned(shifted, scale))
    return scaled(node, shifted, scale, None)
