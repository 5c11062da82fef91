# SPDX-License-Identifier: Apache-2.0
"""Operators on quantised numbers that are no products of matrices, as static quantisation exports them.

Functions of one byte are tables, made by onnxruntime itself. Sums, products, means and quotients are computed
by it in float32 in an order of its own: near the edge between two results either may come out, so that bounds
hold for both, unless all that is computed is exact.
"""

from __future__ import annotations

from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
import torch

from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.readers.arithmetic import scaled
from vnnverify.importer.readers.composition import as_onnx
from vnnverify.importer.readers.quantized import REACH, byte_type, scale_of, shifted, zero_of
from vnnverify.importer.registry import reads
from vnnverify.importer.tables import tabulate
from vnnverify.ir import Value
from vnnverify.ops.piecewise import Clip
from vnnverify.ops.requantized import Lookup, NearestWhole

__all__: list[str] = []

DOMAIN = "com.microsoft"
_WIDE = 512.0
"""Where numbers of a byte end, moved by whatever zero point."""
_MOST_REACH = 0.25
"""What may be left open of a number before it is rounded."""


def _single(found: np.ndarray, node: NodeView) -> float:
    if found.size != 1:
        raise node.unsupported("a scale or zero point for each channel")
    return float(found.reshape(()))


def _exact(*numbers: float) -> bool:
    """Whether float32 computes with these and a few numbers of a byte without rounding."""
    return all(_digits(n) <= 4 for n in numbers)


def _digits(number: float) -> int:
    """Binary digits of the number without trailing zeros."""
    part = abs(Fraction(number).numerator)
    return (part // (part & -part)).bit_length() if part else 0


def _finished(node: NodeView, x: Value, zero: float, kind: np.dtype, reach: float, *, before: bool) -> Value:
    """round(x) + zero, or round(x + zero) if `before`, cut to the range of the type."""
    if not reach < _MOST_REACH:
        raise node.unsupported("scales so different that float32 does not tell two results apart")
    info = np.iinfo(kind)
    if before:
        moved = scaled(node, x, None, np.array(zero)) if zero else x
        return node.add(Clip(float(info.min), float(info.max)), node.add(NearestWhole(reach), moved))
    near = node.add(NearestWhole(reach), x)
    cut = node.add(Clip(float(info.min) - zero, float(info.max) - zero), near)
    return scaled(node, cut, None, np.array(zero)) if zero else cut


@reads("QLinearAdd", "QLinearMul", domain=DOMAIN)
def _binary(node: NodeView) -> Operand:
    """The sum or product of what two quantised inputs stand for."""
    a, b, c = (np.float32(_single(scale_of(node, k), node)) for k in (1, 4, 6))
    zeros = [_single(zero_of(node, k), node) for k in (2, 5, 7)]
    kind = byte_type(node, 0, 3)
    parts = [shifted(node, k, np.array(z)) for k, z in zip((0, 3), zeros, strict=False)]
    if node.op_type == "QLinearAdd":
        factors = float(a / c), float(b / c)
        first, second = (_times(node, part, f) for part, f in zip(parts, factors, strict=True))
        total = as_onnx(node, "Add", first, second)
        size = sum(f * (255 + abs(z)) for f, z in zip(factors, zeros, strict=False)) + abs(zeros[2])
        exact = _exact(float(a), float(b), float(c), *factors)
    else:
        factor = float(a * b / c)
        total = scaled(node, as_onnx(node, "Mul", *parts), np.array(factor), None)
        size, exact = _WIDE, _exact(float(a), float(b), float(c), factor)
    return _finished(node, total, zeros[2], kind, 0.0 if exact else 4 * REACH * size, before=True)


def _times(node: NodeView, x: Operand, factor: float) -> Operand:
    return scaled(node, x, np.array(factor), None) if isinstance(x, Value) else x * factor


@reads("QLinearAveragePool", "QLinearGlobalAveragePool", domain=DOMAIN)
def _average(node: NodeView) -> Operand:
    """Means of what the numbers stand for, over windows or everything."""
    if node.attribute("channels_last", 0):
        raise node.unsupported("channels as the last axis")
    x, y = (_single(scale_of(node, k), node) for k in (1, 3))
    zeros = [_single(zero_of(node, k), node) for k in (2, 4)]
    value = shifted(node, 0, np.array(zeros[0]))
    own = {key: found for key, found in node.attributes.items() if key != "channels_last"}
    if node.op_type == "QLinearAveragePool":
        if own.get("ceil_mode") and own.get("count_include_pad"):
            raise node.unsupported("counting the padding of windows that reach beyond it")
        kernel = tuple(own["kernel_shape"])
        count, mean = prod(kernel), as_onnx(node, "AveragePool", value, **own)
        padded = any(own.get("pads", ())) or prod(mean.shape[2:]) > 1
        everything = kernel == value.shape[2:] and not padded  # which goes the way of the other operator
    else:
        count, everything = prod(value.shape[2:]), True
        mean = as_onnx(node, "GlobalAveragePool", value)
    real = scaled(node, mean, np.array(x / y), None)
    exact = _exact(x, y) and _digits(y) == 1 and _digits(count) == 1 and not own.get("pads")
    reach = 0.0 if exact else (count + 6) * REACH * _WIDE * max(1.0, x / y)
    return _finished(node, real, zeros[1], byte_type(node, 0), reach, before=not everything)


@reads("QLinearSoftmax", domain=DOMAIN)
def _softmax(node: NodeView) -> Operand:
    """Softmax of what the numbers stand for, times the whole part of the inverse scale."""
    x, rank = node.variable(), len(node.variable().shape)
    old = int(node.attribute("opset", 13)) < 13
    axis = node.axis(int(node.attribute("axis", -1)), rank)
    scales = [_single(scale_of(node, k), node) for k in (1, 3)]
    inverse = float(np.floor(np.float32(1.0) / np.float32(scales[1])))
    real = scaled(node, x, np.array(scales[0]), None)
    count = prod(x.shape[axis:]) if old else x.shape[axis]
    flat = node.reshaped(real, (prod(x.shape[:axis]), count)) if old else real
    share = node.reshaped(as_onnx(node, "Softmax", flat, axis=-1 if old else axis), x.shape)
    reach = (count + 8) * REACH * inverse
    part = scaled(node, share, np.array(inverse), None)
    return _finished(node, part, _single(zero_of(node, 4), node), byte_type(node, 0), reach, before=False)


def _looked_up(
    node: NodeView,
    x: Operand,
    kind: np.dtype,
    place: int,
    inputs: list[np.ndarray | None],
    **attributes: Any,
) -> Operand:
    """x of a byte's type through the node with these constants and x as input `place`, as a table."""
    info = np.iinfo(kind)
    numbers = np.arange(info.min, info.max + 1).astype(kind).reshape(1, -1)
    given = [numbers if k == place else part for k, part in enumerate(inputs)]
    made = tabulate(node.op_type, DOMAIN, attributes, given, node.title).reshape(-1)
    if not isinstance(x, Value):
        return np.asarray(made[x.astype(np.int64) - info.min])
    if (made == numbers[0]).all():
        return x
    return node.add(Lookup(int(info.min), torch.from_numpy(made.astype(np.float64))), x)


def _given(node: NodeView, index: int) -> Operand:
    found = node.operand(index)
    if found is None:
        raise node.error(f"input {index} is missing")
    return found


def _parameters(node: NodeView, *indices: int) -> list[np.ndarray | None]:
    return [node.constant(k, "a scale or zero point") for k in indices]


@reads("QLinearSigmoid", "QLinearLeakyRelu", domain=DOMAIN)
def _function(node: NodeView) -> Operand:
    constants = [None, *_parameters(node, *range(1, len(node.inputs)))]
    return _looked_up(node, _given(node, 0), byte_type(node, 0), 0, constants, **node.attributes)


@reads("QLinearConcat", domain=DOMAIN)
def _concat(node: NodeView) -> Operand:
    """Each input, quantised anew as the result is, one behind the other."""
    kind, result, parts = byte_type(node, 1), _parameters(node, 0, 1), []
    for k in range(2, len(node.inputs), 3):
        own = _parameters(node, k + 1, k + 2)
        parts.append(_looked_up(node, _given(node, k), kind, 2, [*result, None, *own], axis=1))
    axis = node.axis(int(node.attribute("axis", 1)), len(parts[0].shape))
    return as_onnx(node, "Concat", *parts, axis=axis)


@reads("QLinearWhere", domain=DOMAIN)
def _where(node: NodeView) -> Operand:
    """Where of both inputs, each quantised anew as the result is."""
    kind, parts = byte_type(node, 1, 4), []
    for k in (1, 4):
        constants = _parameters(node, 2, 3, 5, 6, 7, 8)
        other = np.zeros((1, 1), dtype=kind)
        numbers = [None, other] if k == 1 else [other, None]
        inputs = [np.array([[k == 1]]), numbers[0], *constants[:2], numbers[1], *constants[2:]]
        parts.append(_looked_up(node, _given(node, k), kind, k, inputs))
    return as_onnx(node, "Where", node.operand(0), *parts)
