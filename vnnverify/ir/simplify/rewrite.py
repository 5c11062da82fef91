# SPDX-License-Identifier: Apache-2.0
"""What every pass needs: who uses a value, and a graph with some values replaced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from vnnverify.ir.graph import Graph, Node, Value

__all__ = ["producers", "rewire", "uses"]


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
