# SPDX-License-Identifier: Apache-2.0
"""A value times itself is one function of that value, with tighter bounds than a product of two."""

from __future__ import annotations

from vnnverify.ir.graph import Graph, Node
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.smooth import Power

__all__ = ["square_products"]


def square_products(graph: Graph) -> Graph:
    """x·x as the square of x."""
    nodes = [
        Node(Power(2.0), node.inputs[:1], node.output, node.name) if _is_square(node) else node
        for node in graph.nodes
    ]
    return graph.with_nodes(nodes) if any(map(_is_square, graph.nodes)) else graph


def _is_square(node: Node) -> bool:
    return isinstance(node.op, Mul) and node.inputs[0] is node.inputs[1]
