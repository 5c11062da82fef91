# SPDX-License-Identifier: Apache-2.0
"""Variances as means of squares of what is left without the mean: never negative, and far closer bounds."""

from __future__ import annotations

from collections.abc import Iterator

from vnnverify.ir.graph import Graph, Node, Value
from vnnverify.ir.op import Op
from vnnverify.ops.arrangement import Expand
from vnnverify.ops.smooth import Power
from vnnverify.ops.sums import ReduceSum, Sum
from vnnverify.simplify.rewrite import producers

__all__ = ["centre_variances"]


def centre_variances(graph: Graph) -> Graph:
    """mean(x²) − mean(x)² as mean((x − mean(x))²)."""
    made = producers(graph)
    replaced = {node: list(new) for node in graph.nodes if (new := _centred(made, node)) is not None}
    if not replaced:
        return graph
    return graph.with_nodes(new for node in graph.nodes for new in replaced.get(node, [node]))


def _centred(made: dict[Value, Node], node: Node) -> Iterator[Node] | None:
    if not isinstance(node.op, Sum) or node.op.signs != (1, -1):
        return None
    second, first = made.get(node.inputs[0]), made.get(node.inputs[1])  # moments
    square = made.get(second.inputs[0]) if second is not None and _is_mean(second.op) else None
    mean = made.get(first.inputs[0]) if first is not None and _is_square(first.op) else None
    if second is None or square is None or mean is None or not _is_square(square.op):
        return None
    match second.op, mean.op:
        case ReduceSum() as op, ReduceSum() as other:
            alike = (op.axes, op.keepdims, op.factor) == (other.axes, other.keepdims, other.factor)
            if alike and mean.inputs == square.inputs:
                return _parts(node, op, mean.inputs[0])
    return None


def _is_mean(op: Op) -> bool:
    return isinstance(op, ReduceSum) and op.factor == 1.0 / op.count


def _is_square(op: Op) -> bool:
    return isinstance(op, Power) and op.exponent == 2.0


def _parts(node: Node, op: ReduceSum, x: Value) -> Iterator[Node]:
    one = tuple(1 if k in op.axes else n for k, n in enumerate(x.shape))
    mean, wide, centred, squares = (
        Value(f"{node.output.name}/{part}", shape)
        for part, shape in (("mean", one), ("wide", x.shape), ("centred", x.shape), ("squares", x.shape))
    )
    yield Node(ReduceSum(op.axes, True, op.factor, op.count), (x,), mean, node.name)
    yield Node(Expand.of(one, x.shape), (mean,), wide, node.name)
    yield Node(Sum((1, -1)), (x, wide), centred, node.name)
    yield Node(Power(2.0), (centred,), squares, node.name)
    yield Node(op, (squares,), node.output, node.name)
