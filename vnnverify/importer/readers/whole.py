# SPDX-License-Identifier: Apache-2.0
"""Whole numbers keep within the range of their type: what leaves it comes round from the other end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isnan
from typing import Any

import numpy as np
import torch

from vnnverify.importer.builder import Builder, NodeView
from vnnverify.importer.element_types import fits, is_whole, whole_range
from vnnverify.importer.readers.arithmetic import scaled
from vnnverify.ir import Elementwise, Value
from vnnverify.ops.argmax import ArgMax
from vnnverify.ops.arrangement import Concat, Constant, Expand, Reshape, Select, Transpose
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.piecewise import Abs, Clip, Relu
from vnnverify.ops.rounding import Within
from vnnverify.ops.scale import Scale
from vnnverify.ops.steps import Ceil, Floor, Round, Trunc
from vnnverify.ops.sums import Sum

__all__ = ["held", "reach", "rounding_problem", "wrapped"]

Range = tuple[float, float]

_WRAPPED = ("Abs", "Add", "Mul", "Neg", "Sub")
"""Operators whose results may leave the range of their type, and then come round from its other end."""
_LIMITED = (
    *("CumSum", "Einsum", "Gemm", "MatMul", "Pow", "ReduceL1", "ReduceProd", "ReduceSum", "ReduceSumSquare"),
    "Sum",
)
"""Operators of whose results nothing is known if they leave it: in what order and type they add is open."""
_ROUNDED = ("ReduceMean", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp")
"""Operators whose results are cut to whole numbers, of whole numbers."""
_COPIES = (Concat, Expand, Reshape, Select, Transpose)
_RISING = (Ceil, Clip, Floor, Relu, Round, Trunc)
_UNKNOWN = (-float("inf"), float("inf"))
_DEPTH = 8
"""Operators in a row that are looked through: each may double the work."""


def rounding_problem(op_type: str, attributes: Mapping[str, Any], kind: np.dtype) -> str | None:
    """What a node with such results does to whole numbers and the graph, which computes with reals, does not.

    None if it does the same, up to overflow.
    """
    if not is_whole(kind) or kind.kind == "b":
        return None
    interpolated = op_type in ("Resize", "Upsample") and attributes.get("mode", "nearest") != "nearest"
    return "rounding to whole numbers" if op_type in _ROUNDED or interpolated else None


def held(node: NodeView, x: Value, kind: np.dtype) -> Value:
    """What the node makes of whole numbers, kept within the range of its type as processors do."""
    if not is_whole(kind) or kind.kind == "b":
        return x
    if node.op_type in _LIMITED and not fits(*reach(node.builder, x), kind):
        return _limited(node, x, kind)
    return wrapped(node, x, kind) if node.op_type in _WRAPPED else x


def wrapped(node: NodeView, x: Value, kind: np.dtype) -> Value:
    """Whole numbers as ones of a whole type: the lowest binary digits. Of 64, only what fits."""
    if fits(*reach(node.builder, x), kind):
        return x
    low, high = whole_range(kind)
    count = high - low + 1
    if count > 1 << 32:
        return _limited(node, x, kind)
    turns = node.add(Floor(), scaled(node, x, np.array(1 / count), np.array((0.5 - low) / count)))
    found = node.add(Sum((1, 1)), x, scaled(node, turns, np.array(-float(count)), None))
    return node.add(Clip(float(low), float(high)), found)


def _limited(node: NodeView, x: Value, kind: np.dtype) -> Value:
    low, high = whole_range(kind)
    return node.add(Within(float(low - 1), float(high + 1)), x)


def reach(builder: Builder, x: Value, depth: int = _DEPTH) -> Range:
    """Numbers between which a value lies whatever the inputs are, as far as types and operators tell."""
    kind = builder.types.get(x)
    if kind is not None and is_whole(kind):
        return whole_range(kind)
    node = builder.producer(x)
    if node is None or depth == 0:
        return _UNKNOWN
    op = node.op
    if isinstance(op, ArgMax):
        return 0, node.inputs[0].shape[op.axis] - 1
    if isinstance(op, Constant):
        return (float(op.value.min()), float(op.value.max())) if op.value.numel() else (0, 0)
    parts = [reach(builder, part, depth - 1) for part in node.inputs]
    if isinstance(op, _COPIES):
        return min(low for low, _ in parts), max(high for _, high in parts)
    if isinstance(op, Scale):
        return _scaled_range(op, parts[0])
    if isinstance(op, Sum):
        turned = [p if sign > 0 else (-p[1], -p[0]) for sign, p in zip(op.signs, parts, strict=True)]
        return sum(low for low, _ in turned), sum(high for _, high in turned)
    if isinstance(op, Mul):
        return _hull(a * b for a in parts[0] for b in parts[1])
    if isinstance(op, Elementwise):
        return _image(op, parts[0])
    return _UNKNOWN


def _scaled_range(op: Scale, given: Range) -> Range:
    low, high = given
    if op.scale is not None:
        ends = float(op.scale.min()), float(op.scale.max())
        low, high = _hull(s * x for s in ends for x in given)
    if op.shift is not None:
        low, high = low + float(op.shift.min()), high + float(op.shift.max())
    return low, high


def _image(op: Elementwise, given: Range) -> Range:
    """Of functions that rise, from end to end; of others, what they can be anywhere."""
    if isinstance(op, _RISING):
        low, high = op(torch.tensor(given, dtype=torch.float64)).tolist()
        return low, high
    if isinstance(op, Within):
        return int(op.low) + 1, int(op.high) - 1
    if isinstance(op, Abs):
        return 0.0, max(abs(end) for end in given)
    return op.image


def _hull(numbers: Iterable[float]) -> Range:
    """From the least to the largest; unknown if one of them is not a number, as zero times infinity."""
    found = list(numbers)
    return _UNKNOWN if any(isnan(x) for x in found) else (min(found), max(found))
