# SPDX-License-Identifier: Apache-2.0
"""Chains of operators that only move numbers become one."""

from __future__ import annotations

from vnnverify.ir.graph import Graph, Node
from vnnverify.ops.arrangement import Reshape, Select
from vnnverify.simplify.rewrite import producers

__all__ = ["merge_copies"]


def merge_copies(graph: Graph) -> Graph:
    """Reshape after Reshape, and Select before or after either, as one node.

    An index into a flattened value does not care how that value is shaped.
    """
    made = producers(graph)
    nodes = []
    changed = False
    for node in graph.nodes:
        before = made.get(node.inputs[0]) if len(node.inputs) == 1 else None
        merged = _merged(before, node) if before is not None else None
        nodes.append(merged or node)
        changed |= merged is not None
    return graph.with_nodes(nodes) if changed else graph


def _merged(first: Node, second: Node) -> Node | None:
    match first.op, second.op:
        case (Reshape(), Reshape() | Select()):
            op = second.op
        case (Select(index=index), Reshape(shape=shape)):
            op = Select.of(index, shape)
        case (Select(index=index), Select(index=chosen, shape=shape)):
            op = Select.of(index[chosen], shape)
        case _:
            return None
    return Node(op, first.inputs, second.output, second.name)
