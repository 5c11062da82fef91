# SPDX-License-Identifier: Apache-2.0
"""What passes need: who uses a value, and graphs with values replaced or neighbouring nodes made one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from vnnverify.ir.graph import Graph, Node, Value

__all__ = ["fuse_pairs", "producers", "rewire", "uses"]


def uses(graph: Graph) -> Counter[Value]:
    """How often each value is read, by nodes and as an output of the graph."""
    count = Counter(v for node in graph.nodes for v in node.inputs)
    count.update(graph.outputs)
    return count


def producers(graph: Graph) -> dict[Value, Node]:
    """The node that computes each value."""
    return {node.output: node for node in graph.nodes}


def rewire(graph: Graph, nodes: Iterable[Node], replaced: Mapping[Value, Value]) -> Graph:
    """The graph of `nodes` in which every reader of a key of `replaced` reads what it maps to."""

    def last(value: Value) -> Value:
        while value in replaced:
            value = replaced[value]
        return value

    wired = (Node(node.op, tuple(map(last, node.inputs)), node.output, node.name) for node in nodes)
    return graph.with_nodes(wired, map(last, graph.outputs))


def fuse_pairs(graph: Graph, fused: Callable[[Node, Node], Node | None]) -> Graph:
    """The graph with one node in place of two neighbours, where nobody else reads what is between them.

    Args:
        fused: the node in place of a node and the only reader of its output, or None if both stay.
    """
    made, count = producers(graph), uses(graph)
    changed: dict[Node, Node | None] = {}
    for node in graph.nodes:
        before = made.get(node.inputs[0]) if len(node.inputs) == 1 else None
        if before is None or before in changed or count[before.output] != 1:
            continue
        new = fused(before, node)
        if new is not None:
            changed[before], changed[node] = None, new
    if not changed:
        return graph
    nodes = (changed.get(node, node) for node in graph.nodes)
    return graph.with_nodes(node for node in nodes if node is not None)
