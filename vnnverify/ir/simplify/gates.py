# SPDX-License-Identifier: Apache-2.0
"""A value times a soft gate of itself is one function of that value, with tighter bounds than a product.

Only what is that function exactly is taken: GELU as exporters write it has a rounded square root of two
inside, and stays a product.
"""

from __future__ import annotations

from vnnverify.ir.graph import Graph, Node, Value
from vnnverify.ir.op import Elementwise
from vnnverify.ir.simplify.rewrite import producers
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.gates import Mish, Silu
from vnnverify.ops.sigmoidal import Sigmoid, Tanh
from vnnverify.ops.smooth import Softplus

__all__ = ["join_gates"]


def join_gates(graph: Graph) -> Graph:
    """x·sigmoid(x) as Silu, x·tanh(softplus(x)) as Mish."""
    made = producers(graph)
    joined: dict[Node, Node] = {}
    for node in graph.nodes:
        if not isinstance(node.op, Mul):
            continue
        for x, gate in (node.inputs, node.inputs[::-1]):
            op = _gated(made, x, gate)
            if op is not None:
                joined[node] = Node(op, (x,), node.output, node.name)
    return graph.with_nodes(joined.get(node, node) for node in graph.nodes) if joined else graph


def _gated(made: dict[Value, Node], x: Value, gate: Value) -> Elementwise | None:
    """The function that x times the gate is, or None."""
    outer = made.get(gate)
    if outer is None:
        return None
    match outer.op:
        case Sigmoid() if outer.inputs[0] is x:
            return Silu()
        case Tanh():
            inner = made.get(outer.inputs[0])
            if inner is not None and isinstance(inner.op, Softplus) and inner.inputs[0] is x:
                return Mish()
    return None
