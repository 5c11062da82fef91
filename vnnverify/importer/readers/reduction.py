# SPDX-License-Identifier: Apache-2.0
"""ReduceSum, ReduceMean, ReduceMax, ReduceMin, Max, Min."""

from __future__ import annotations

from math import prod

from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.readers.arithmetic import negated
from vnnverify.importer.registry import reads
from vnnverify.ops.maximum import Max, ReduceMax
from vnnverify.ops.sums import ReduceSum

__all__: list[str] = []


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
    values = node.variables()
    if len(values) == 1:
        return values[0]
    if node.op_type == "Min":
        return negated(node, node.add(Max(), *(negated(node, v) for v in values)))
    return node.add(Max(), *values)
