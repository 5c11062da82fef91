# SPDX-License-Identifier: Apache-2.0
"""Quantised models: numbers rounded to few whole ones, and whole numbers multiplied."""

from __future__ import annotations

import dataclasses

import numpy as np

from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.readers.arithmetic import scaled
from vnnverify.importer.registry import find_reader, reads
from vnnverify.ir import Value
from vnnverify.ops.piecewise import Clip
from vnnverify.ops.steps import Round

__all__: list[str] = []


def _along_axis(node: NodeView, found: np.ndarray | None, rank: int) -> np.ndarray | None:
    """A parameter per channel in a shape that broadcasts, or one number."""
    if found is None or found.size == 1:
        return None if found is None else found.reshape(()).astype(np.float64)
    if found.ndim != 1:
        raise node.unsupported("a scale for each block of elements")
    axis = node.axis(int(node.attribute("axis", 1)), rank)
    return found.astype(np.float64).reshape(-1, *(1,) * (rank - 1 - axis))


def _quantized(node: NodeView, x: Value, scale: np.ndarray, zero: np.ndarray | None, kind: np.dtype) -> Value:
    """round(x / scale) + zero, half to even, cut to the range of the type."""
    if kind.kind not in "iu":
        raise node.unsupported(f"the type {kind}")
    info = np.iinfo(kind)
    whole = node.add(Round(), scaled(node, x, 1.0 / scale, None))
    shifted = whole if zero is None or not zero.any() else scaled(node, whole, None, zero)
    return node.add(Clip(float(info.min), float(info.max)), shifted)


@reads("QuantizeLinear")
def _quantize(node: NodeView) -> Operand:
    x = node.variable()
    scale = _along_axis(node, node.constant(1, "the scale"), len(x.shape))
    given = node.constant(2, "the zero point")
    assert scale is not None
    kind = np.dtype(np.uint8) if given is None else given.dtype
    return _quantized(node, x, scale, _along_axis(node, given, len(x.shape)), kind)


@reads("DequantizeLinear")
def _dequantize(node: NodeView) -> Operand:
    """(x − zero)·scale."""
    x = node.variable()
    scale = _along_axis(node, node.constant(1, "the scale"), len(x.shape))
    zero = _along_axis(node, node.constant(2, "the zero point"), len(x.shape))
    shifted = x if zero is None or not zero.any() else scaled(node, x, None, -zero)
    return scaled(node, shifted, scale, None)


def _shifted(node: NodeView, index: int, zero_index: int) -> Operand:
    """Input `index` less its zero point."""
    x, zero = node.operand(index), node.constant(zero_index, "a zero point")
    assert x is not None
    if zero is None or not zero.any():
        return x
    if zero.size > 1:
        raise node.unsupported("a zero point for each channel")
    shift = float(zero.reshape(-1)[0])
    return scaled(node, x, None, np.array(-shift)) if isinstance(x, Value) else x.astype(np.float64) - shift


def _as_real(node: NodeView, op_type: str, *inputs: Operand) -> Value:
    """A product of real numbers in place of one of whole numbers."""
    reader = find_reader("", op_type, node.opset)
    assert reader is not None
    found = reader(dataclasses.replace(node, op_type=op_type, inputs=inputs))
    assert isinstance(found, Value)
    return found


@reads("MatMulInteger", "ConvInteger")
def _integer_product(node: NodeView) -> Operand:
    return _as_real(node, node.op_type.removesuffix("Integer"), _shifted(node, 0, 2), _shifted(node, 1, 3))


@reads("QLinearMatMul", "QLinearConv")
def _quantized_product(node: NodeView) -> Operand:
    """The product of what both quantised inputs stand for, quantised; all scales are single numbers."""
    scales = [node.constant(k, "a scale") for k in (1, 4, 6)]
    zero = node.constant(7, "the zero point")
    assert zero is not None and all(s is not None for s in scales)
    first, second, result = (np.asarray(s, dtype=np.float64) for s in scales)
    inputs = [_shifted(node, 0, 2), _shifted(node, 3, 5)]
    if node.op_type == "QLinearConv" and node.operand(8) is not None:
        inputs.append(np.asarray(node.constant(8, "the bias"), dtype=np.float64))
    found = _as_real(node, node.op_type.removeprefix("QLinear"), *inputs)
    if second.size > 1 and node.op_type == "QLinearConv":
        second = second.reshape(-1, *(1,) * (len(found.shape) - 2))
    elif second.size > 1 or first.size > 1 or result.size > 1:
        raise node.unsupported("a scale for each row or column")
    real = scaled(node, found, first.reshape(()) * second, None)
    return _quantized(node, real, result.reshape(()), zero.reshape(-1)[:1].astype(np.float64), zero.dtype)
