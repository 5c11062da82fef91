# SPDX-License-Identifier: Apache-2.0
"""Comparisons, truth values (numbers 0 and 1), choices, positions of maxima.

Of whole numbers, comparisons and tests for zero are read as continuous functions that agree with them on
whole numbers: so they have lines and kinks like any other, and no jumps.
"""

from __future__ import annotations

from math import prod

import numpy as np
import torch

from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.readers.arithmetic import fraction, masked, negated, scaled, scaled_by, subtracted
from vnnverify.importer.readers.masked_rows import where_chosen
from vnnverify.importer.registry import reads
from vnnverify.ir import Elementwise, Op, Value
from vnnverify.ops.argmax import ArgMax
from vnnverify.ops.arrangement import Reshape, Select, Transpose
from vnnverify.ops.choice import Choice
from vnnverify.ops.piecewise import Abs, Clip, Tent
from vnnverify.ops.softmax import LogSoftmax, Softmax
from vnnverify.ops.steps import Spike, Step
from vnnverify.ops.sums import Sum

__all__: list[str] = []

_ONE = np.array(1.0)


def _not(node: NodeView, x: Value) -> Value:
    return scaled(node, x, np.array(-1.0), _ONE)


def _is_zero(node: NodeView, x: Value, whole: bool) -> Value:
    return node.add(Tent() if whole else Spike(), x)


@reads("Less", "Greater", "LessOrEqual", "GreaterOrEqual")
def _compare(node: NodeView) -> Operand:
    """a < b as the sign of b − a; of whole numbers, as b − a cut to [0, 1]."""
    swap = node.op_type.startswith("Greater")
    inclusive = node.op_type.endswith("OrEqual")
    gap = subtracted(node, 0, 1) if swap else subtracted(node, 1, 0)
    if node.is_whole(0):
        return node.add(Clip(0.0, 1.0), scaled(node, gap, None, _ONE) if inclusive else gap)
    return node.add(Step(inclusive), gap)


@reads("Equal")
def _equal(node: NodeView) -> Operand:
    return _is_zero(node, subtracted(node, 0, 1), node.is_whole(0))


@reads("Not")
def _negation(node: NodeView) -> Operand:
    return _not(node, node.variable())


@reads("And", "Or", "Xor")
def _connective(node: NodeView) -> Operand:
    """a and b as a + b − 1 cut to [0, 1], a or b as a + b, a xor b as |a − b|."""
    for index in (0, 1):
        known = node.operand(index)
        if node.op_type != "Xor" and isinstance(known, np.ndarray) and known.all() == known.any():
            return _only(node, 1 - index if known.all() == (node.op_type == "And") else index)
    if node.op_type == "Xor":
        return node.add(Abs(), subtracted(node, 0, 1))
    total = node.add(Sum((1, 1)), *node.variables())
    if node.op_type == "And":
        total = scaled(node, total, None, np.array(-1.0))
    return node.add(Clip(0.0, 1.0), total)


@reads("Where")
def _where(node: NodeView) -> Operand:
    """With a constant condition c: c·a + (1 − c)·b."""
    condition = node.operand(0)
    if isinstance(condition, Value):
        return node.add(Choice(), *node.variables())
    chosen = np.asarray(condition, dtype=bool)
    a, b = node.operand(1), node.operand(2)
    if chosen.all() or not chosen.any():
        return _only(node, 1 if chosen.all() else 2)
    a = where_chosen(node, a, chosen) if isinstance(a, Value) else a
    b = where_chosen(node, b, ~chosen) if isinstance(b, Value) else b
    if isinstance(a, Value) and isinstance(b, Value):
        left = scaled(node, a, chosen.astype(np.float64), None)
        right = scaled(node, b, (~chosen).astype(np.float64), None)
        return node.add(Sum((1, 1)), *node.aligned(left, right))
    if isinstance(a, Value):
        return masked(node, a, chosen.astype(np.float64), np.where(chosen, 0.0, np.asarray(b)))
    x = b if isinstance(b, Value) else node.variable(2)
    return masked(node, x, (~chosen).astype(np.float64), np.where(chosen, np.asarray(a), 0.0))


def _only(node: NodeView, index: int) -> Operand:
    """Input `index` in the shape of all together."""
    parts = [part for part in node.inputs if part is not None]
    shape = node.broadcast(*(part.shape for part in parts))
    taken = parts[index]
    return node.expanded(taken, shape) if isinstance(taken, Value) else np.broadcast_to(taken, shape)


@reads("ArgMax", "ArgMin")
def _argmax(node: NodeView) -> Operand:
    """Of two, the sign of their difference."""
    x = node.variable()
    axis = node.axis(int(node.attribute("axis", 0)), len(x.shape))
    x = _in_order(node, x, axis)
    keepdims, last = bool(node.attribute("keepdims", 1)), bool(node.attribute("select_last_index", 0))
    if node.op_type == "ArgMin":
        x = negated(node, x)
    if x.shape[axis] == 2:
        first, second = (_at(node, x, axis, k) for k in (0, 1))
        found = node.add(Step(last), node.add(Sum((-1, 1)), first, second))
        return found if keepdims else node.reshaped(found, found.shape[:axis] + found.shape[axis + 1 :])
    return node.add(ArgMax(axis, keepdims, last), x)


def _in_order(node: NodeView, x: Value, axis: int) -> Value:
    """What x is the softmax of, where that is in the same order along the axis; else x."""
    moved: list[Op] = []
    made = node.builder.producer(x)
    while made is not None and isinstance(made.op, Reshape | Select | Transpose):
        moved.append(made.op)
        made = node.builder.producer(made.inputs[0])
    if made is None or not isinstance(made.op, Softmax | LogSoftmax):
        return x
    shape = made.output.shape
    place = torch.arange(prod(shape), dtype=torch.float64).reshape(1, *shape)
    group = place.narrow(made.op.axis + 1, 0, 1).expand_as(place)
    for op in reversed(moved):
        place, group = op(place), op(group)
    if bool((group != group.narrow(axis + 1, 0, 1)).any()):
        return x
    return node.add(Select.of(place.long(), x.shape), made.inputs[0])


def _at(node: NodeView, x: Value, axis: int, position: int) -> Value:
    """x at one position of an axis, which is kept."""
    places = torch.arange(x.size).reshape(x.shape).narrow(axis, position, 1).contiguous()
    return node.add(Select.of(places, tuple(places.shape)), x)


@reads("OneHot")
def _one_hot(node: NodeView) -> Operand:
    """off + (on − off)·[index = k] for k along a new axis; a negative index counts from the end, and one that
    is no whole number, as floats may hold, is equal to none."""
    depth, values = node.constant(1, "the depth"), node.constant(2, "the values")
    assert depth is not None and values is not None
    index, whole = node.variable(0), node.is_whole(0)
    n = int(depth.reshape(-1)[0])
    off, on = (float(v) for v in values.reshape(-1))
    rank = len(index.shape) + 1
    axis = node.axis(int(node.attribute("axis", -1)), rank)
    node.within_limit([*index.shape, n])
    wide = node.reshaped(index, (*index.shape[:axis], 1, *index.shape[axis:]))
    places = np.arange(n, dtype=np.float64).reshape(-1, *(1,) * (rank - 1 - axis))
    gap = scaled(node, wide, None, -places)
    hit = _is_zero(node, gap, whole)
    if not _never_negative(node, index):
        from_end = _is_zero(node, scaled(node, gap, None, np.array(float(n))), whole)
        hit = node.add(Sum((1, 1)), hit, from_end)
    least = fraction(node, off)
    return scaled_by(node, hit, fraction(node, on) - least, least)


def _never_negative(node: NodeView, x: Value) -> bool:
    made = node.builder.producer(x)
    while made is not None and isinstance(made.op, Reshape | Select | Transpose):
        made = node.builder.producer(made.inputs[0])
    if made is None:
        return False
    return isinstance(made.op, ArgMax) or (isinstance(made.op, Elementwise) and made.op.image[0] >= 0)
