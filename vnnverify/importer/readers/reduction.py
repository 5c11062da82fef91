# SPDX-License-Identifier: Apache-2.0
"""Reductions over axes; Max, Min and Mean of several."""

from __future__ import annotations

from math import prod

import numpy as np
import torch

from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.readers.arithmetic import divided, negated, scaled
from vnnverify.importer.registry import reads
from vnnverify.ir import Value
from vnnverify.ops.arrangement import Select
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.maximum import Max, ReduceMax
from vnnverify.ops.piecewise import Abs, Clip, Relu
from vnnverify.ops.smooth import Exp, Log, Power, Sqrt
from vnnverify.ops.sums import ReduceSum, Sum

__all__: list[str] = []

MOST_FACTORS = 256
"""Elements that are multiplied, or summed as exponentials, one after the other."""


def _axes(node: NodeView, rank: int) -> tuple[int, ...]:
    """The axes to reduce, from the attribute (older opsets) or the second input."""
    given = node.attribute("axes")
    if given is None:
        found = node.constant(1, "the list of axes")
        given = None if found is None else found.reshape(-1).tolist()
    if not given:
        return () if node.attribute("noop_with_empty_axes", 0) else tuple(range(rank))
    return tuple(sorted({node.axis(int(a), rank) for a in given}))


@reads("ReduceSum", "ReduceMean")
def _reduce_sum(node: NodeView) -> Operand:
    x = node.variable()
    axes = _axes(node, len(x.shape))
    count = prod(x.shape[a] for a in axes)
    factor = 1.0 / count if node.op_type == "ReduceMean" else 1.0
    return node.add(ReduceSum(axes, bool(node.attribute("keepdims", 1)), factor, count), x)


@reads("ReduceMax", "ReduceMin")
def _reduce_max(node: NodeView) -> Operand:
    x = node.variable()
    axes = _axes(node, len(x.shape))
    if not axes:
        return x
    op = ReduceMax(axes, bool(node.attribute("keepdims", 1)))
    if node.op_type == "ReduceMin":
        return negated(node, node.add(op, negated(node, x)))
    return node.add(op, x)


@reads("Max", "Min")
def _max(node: NodeView) -> Operand:
    """Of a value and a number, the value cut off there."""
    constants = [part for part in node.inputs if isinstance(part, np.ndarray) and part.size == 1]
    if len(node.inputs) == 2 and len(constants) == 1:
        x = node.variable(0 if isinstance(node.operand(0), Value) else 1)
        x = node.expanded(x, node.broadcast(x.shape, constants[0].shape))
        number = float(constants[0].reshape(-1)[0])
        if node.op_type == "Max":
            return node.add(Relu() if number == 0.0 else Clip(number, float("inf")), x)
        return node.add(Clip(-float("inf"), number), x)
    values = node.variables()
    if len(values) == 1:
        return values[0]
    if node.op_type == "Min":
        return negated(node, node.add(Max(), *(negated(node, v) for v in values)))
    return node.add(Max(), *values)


@reads("Mean")
def _mean(node: NodeView) -> Operand:
    values = node.variables()
    total = node.add(Sum((1,) * len(values)), *values)
    return divided(node, total, np.array(len(values)))


@reads("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum")
def _reduce_norm(node: NodeView) -> Operand:
    """A function, a sum, a function."""
    x = node.variable()
    axes = _axes(node, len(x.shape))
    if node.op_type != "ReduceLogSum":
        x = node.add(Abs() if node.op_type == "ReduceL1" else Power(2.0), x)
    count = prod(x.shape[a] for a in axes)
    total = node.add(ReduceSum(axes, bool(node.attribute("keepdims", 1)), 1.0, count), x)
    if node.op_type == "ReduceL2":
        return node.add(Sqrt(), total)
    return node.add(Log(), total) if node.op_type == "ReduceLogSum" else total


def _grouped(node: NodeView, x: Value, axes: tuple[int, ...]) -> tuple[list[Value], tuple[int, ...]]:
    """The elements of each group one by one, (groups, 1) each, and the shape of the result."""
    kept = [k for k in range(len(x.shape)) if k not in axes]
    places = torch.arange(x.size).reshape(x.shape).permute(*kept, *axes)
    places = places.reshape(prod(x.shape[k] for k in kept), -1)
    if places.shape[1] > MOST_FACTORS:
        raise node.unsupported(f"more than {MOST_FACTORS} elements")
    parts = [node.add(Select.of(column, (len(places), 1)), x) for column in places.T.contiguous()]
    if node.attribute("keepdims", 1):
        return parts, tuple(1 if k in axes else n for k, n in enumerate(x.shape))
    return parts, tuple(x.shape[k] for k in kept)


@reads("ReduceProd", "ReduceLogSumExp")
def _reduce_in_turn(node: NodeView) -> Operand:
    """Products one after the other; x_0 + log(1 + Σ exp(x_j − x_0))."""
    x = node.variable()
    axes = _axes(node, len(x.shape))
    if not axes:
        return x
    (first, *rest), shape = _grouped(node, x, axes)
    if node.op_type == "ReduceProd":
        for other in rest:
            first = node.add(Mul(), first, other)
    elif rest:
        terms = [node.add(Exp(), node.add(Sum((1, -1)), other, first)) for other in rest]
        total = node.add(Sum((1,) * len(terms)), *terms)
        first = node.add(Sum((1, 1)), first, node.add(Log(), scaled(node, total, None, np.array(1.0))))
    return node.reshaped(first, shape)
