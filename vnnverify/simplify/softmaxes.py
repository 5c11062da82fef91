# SPDX-License-Identifier: Apache-2.0
"""Softmax and its logarithm, written out with exponentials and sums, as one node each.

Only differences of the scores count for them, so that a maximum taken off for the sake of range is left out.
"""

from __future__ import annotations

from math import prod

from vnnverify.ir.graph import Graph, Node, Value
from vnnverify.ir.op import Op, Shape
from vnnverify.ops.arrangement import Expand, Reshape
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.smooth import Exp, Log, Reciprocal
from vnnverify.ops.softmax import LogSoftmax, Softmax
from vnnverify.ops.sums import ReduceSum, Sum
from vnnverify.simplify.rewrite import producers

__all__ = ["join_softmaxes"]

_Made = dict[Value, Node]


def join_softmaxes(graph: Graph) -> Graph:
    """exp(z)/Σ exp(z) as Softmax, z − log Σ exp(z) and the logarithm of a softmax as LogSoftmax."""
    made = producers(graph)
    joined = {node: new for node in graph.nodes if (new := _joined(made, node)) is not None}
    return graph.with_nodes(joined.get(node, node) for node in graph.nodes) if joined else graph


def _joined(made: _Made, node: Node) -> Node | None:
    match node.op:
        case Mul():
            for exponential, inverse in (node.inputs, node.inputs[::-1]):
                start = made.get(exponential)
                if start is not None and isinstance(start.op, Exp):
                    axis = _total_over(made, inverse, Reciprocal, start)
                    if axis is not None:
                        return _over(made, node, Softmax(axis), axis, start.inputs[0])
        case Sum(signs=(1, -1)):
            scores, logarithm = node.inputs
            for start in (n for n in made.values() if isinstance(n.op, Exp) and n.inputs[0] is scores):
                axis = _total_over(made, logarithm, Log, start)
                if axis is not None:
                    return _over(made, node, LogSoftmax(axis), axis, scores)
        case Log():
            before = made.get(node.inputs[0])
            if before is not None and isinstance(before.op, Softmax):
                return Node(LogSoftmax(before.op.axis), before.inputs, node.output, node.name)
    return None


def _over(made: _Made, node: Node, op: Op, axis: int, scores: Value) -> Node:
    return Node(op, (_unshifted(made, scores, axis),), node.output, node.name)


def _total_over(made: _Made, value: Value, kind: type[Op], exponential: Node) -> int | None:
    """The axis over which a value is f(Σ exp), f of that kind, repeated along it; None if it is not that.

    It may be reshaped before it is repeated, which keeps its order, but not afterwards.
    """
    shape, applied, repeated = value.shape, 0, False
    before = made.get(value)
    while before is not None and isinstance(before.op, Expand | Reshape | kind):
        if isinstance(before.op, Expand):
            if repeated:
                return None
            shape, repeated = before.inputs[0].shape, True
        elif isinstance(before.op, Reshape) and not repeated:
            return None
        applied += isinstance(before.op, kind)
        before = made.get(before.inputs[0])
    if applied != 1 or before is None or before.inputs != (exponential.output,):
        return None
    match before.op:
        case ReduceSum(axes=(axis,), factor=1.0) if shape == _without(exponential.output.shape, axis, shape):
            return axis if exponential.output.shape[axis] > 1 else None
    return None


def _without(full: Shape, axis: int, like: Shape) -> Shape:
    """A shape with one element along an axis, without ones in front that `like` leaves out."""
    kept = tuple(1 if k == axis else n for k, n in enumerate(full))
    cut = len(full) - len(like)
    return kept[cut:] if cut >= 0 and prod(kept[:cut]) == 1 else ()


def _unshifted(made: _Made, scores: Value, axis: int) -> Value:
    """The scores before something that is the same along the axis was taken off or added."""
    before = made.get(scores)
    if before is None or not isinstance(before.op, Sum) or len(before.inputs) != 2:
        return scores
    for x, shift, sign in zip(before.inputs, before.inputs[::-1], before.op.signs, strict=True):
        repeated = made.get(shift)
        if sign > 0 and repeated is not None and isinstance(repeated.op, Expand):
            source = repeated.inputs[0].shape
            if source == _without(scores.shape, axis, source):
                return _unshifted(made, x, axis)
    return scores
