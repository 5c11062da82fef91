# SPDX-License-Identifier: Apache-2.0
"""Nodes whose output nobody reads."""

from __future__ import annotations

from vnnverify.ir.graph import Graph

__all__ = ["remove_dead_code"]


def remove_dead_code(graph: Graph) -> Graph:
    """The graph without the nodes that no output depends on."""
    needed = set(graph.outputs)
    kept = []
    for node in reversed(graph.nodes):
        if node.output in needed:
            needed.update(node.inputs)
            kept.append(node)
    return graph.with_nodes(reversed(kept)) if len(kept) < len(graph.nodes) else graph
