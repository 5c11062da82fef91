# SPDX-License-Identifier: Apache-2.0
"""Which values inside a graph deserve better bounds than intervals, whatever the boxes."""

from __future__ import annotations

from dataclasses import dataclass

from vnnverify.ir import Affine, Elementwise, Graph, Op, Value
from vnnverify.ops.scale import Scale

__all__ = ["Plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What does not depend on the boxes: which values deserve refinement, which nodes they need."""

    nonlinear: frozenset[Value]  # inputs of nonlinear nodes
    refine: frozenset[Value]  # what they are copied from, where intervals of that are not exact
    signs: frozenset[Value]  # those of them of which only the sign matters: with it the operator is linear
    below: dict[Value, Graph]  # the graph cut down to the ancestors of a value

    @classmethod
    def of(cls, graph: Graph, *, boxes: bool = True) -> Plan:
        """The plan of a prepared graph.

        Args:
            boxes: inputs range over boxes, of which intervals through one affine map are exact.
        """
        exact = dict.fromkeys(graph.inputs, 0)  # sums that led to values of which intervals are exact
        source: dict[Value, Value] = {}  # copies, and what they are copied from
        shifted: set[Value] = set()  # copies whose signs are not those of their source
        users: dict[Value, list[Op | None]] = {}  # nonlinear operators, by what their inputs are copied from
        nonlinear: set[Value] = set()
        for node in graph.nodes:
            if isinstance(node.op, Affine):
                if all(v in exact for v in node.inputs):
                    sums = max((exact[v] for v in node.inputs), default=0) + (node.op.fan_in > 1)
                    if sums <= boxes:
                        exact[node.output] = sums
                if len(node.inputs) == 1 and node.inputs[0].size <= node.output.size:
                    first = source.get(node.inputs[0], node.inputs[0])
                    if node.op.fan_in == 0 or (isinstance(node.op, Scale) and first.size < node.output.size):
                        source[node.output] = first
                        if node.op.fan_in or node.inputs[0] in shifted:
                            shifted.add(node.output)
            else:
                nonlinear.update(node.inputs)
                for v in node.inputs:
                    users.setdefault(source.get(v, v), []).append(None if v in shifted else node.op)
        refine = frozenset(v for v in users if v not in exact)
        signs = frozenset(v for v in refine if all(_linear_by_sign(op) for op in users[v]))
        return cls(frozenset(nonlinear), refine, signs, {v: _ancestors(graph, v) for v in refine})


def _linear_by_sign(op: Op | None) -> bool:
    """Whether the operator is linear on either side of zero."""
    return isinstance(op, Elementwise) and op.kinks in ((), (0.0,))


def _ancestors(graph: Graph, value: Value) -> Graph:
    needed = {value}
    nodes = []
    for node in reversed(graph.nodes):
        if node.output in needed:
            needed.update(node.inputs)
            nodes.append(node)
    return graph.with_nodes(reversed(nodes), [value])
