# SPDX-License-Identifier: Apache-2.0
"""The network as it is over some boxes: without neurons that are zero on all of them, open ones first.

A ReLU whose argument is nowhere positive contributes nothing. Where it lies between two matrices, its row of
the first and its column of the second can go. On small images most neurons of the first layers are such.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.bounds.state import State
from vnnverify.domains.relaxation import Lines
from vnnverify.ir import Graph, Node, Value, flat
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Relu

__all__ = ["without_dead"]


def without_dead(graph: Graph, state: State) -> tuple[Graph, State]:
    """The graph without neurons that are zero over all boxes of the state, and what is known of the rest.
    Those whose sign is open come first in their layers.

    Values are the same over those boxes, and only there. Inputs and outputs keep their shapes. Bounds of
    rounding errors hold on: sums have fewer terms.
    """
    kept = _kept(graph, state)
    if not kept:
        return graph, state
    smaller = {v: v for v in (*graph.inputs, *(node.output for node in graph.nodes))}
    smaller.update({v: Value(v.name, (*v.shape[:-1], index.numel())) for v, index in kept.items()})
    nodes = []
    found = State(state.lower, state.upper, rule=state.rule, region=state.region)
    for v, new in smaller.items():
        low, high = state.interval[v]
        found.interval[new] = (low[..., kept[v]], high[..., kept[v]]) if v in kept else (low, high)
    for node in graph.nodes:
        index = kept.get(node.output)
        op = node.op
        if isinstance(op, Linear):
            op = _cut(op, index, kept.get(node.inputs[0]))
        same = index is None and op is node.op
        inputs = tuple(smaller[v] for v in node.inputs)
        twin = node if same else Node(op, inputs, smaller[node.output], node.name)
        nodes.append(twin)
        if node in state.lines:
            lines = state.lines[node]
            parts = (getattr(lines, name) for name in lines.__slots__)
            found.lines[twin] = Lines(*(t if index is None else t[..., index] for t in parts))
        if node in state.planes:
            found.planes[twin] = state.planes[node]
        if node in state.error:
            found.error[twin] = state.error[node] if index is None else state.error[node][index]
    return graph.with_nodes(nodes), found


def _kept(graph: Graph, state: State) -> dict[Value, Tensor]:
    """Which elements stay (k,) of values that lose some: arguments and values of ReLUs between matrices."""
    made = {node.output: node for node in graph.nodes}
    users: dict[Value, list[Node]] = {}
    for node in graph.nodes:
        for v in node.inputs:
            users.setdefault(v, []).append(node)
    kept: dict[Value, Tensor] = {}
    for node in graph.nodes:
        if not isinstance(node.op, Relu):
            continue
        z, y = node.inputs[0], node.output
        between = isinstance(made[z].op if z in made else None, Linear) and len(users[z]) == 1
        onwards = users.get(y, [])
        linear = bool(onwards) and all(isinstance(user.op, Linear) for user in onwards)
        if not between or not linear or z.size != z.shape[-1] or z in graph.outputs or y in graph.outputs:
            continue
        lower, upper = (flat(end) for end in state.interval[z])
        alive = ~(upper <= 0).all(dim=0)
        if not bool(alive.any()):
            alive[0] = True  # no tensor becomes empty
        open_ = ~((lower >= 0) | (upper <= 0)).all(dim=0)
        order = torch.cat([(alive & open_).nonzero()[:, 0], (alive & ~open_).nonzero()[:, 0]])
        if order.tolist() != list(range(z.size)):
            kept[z] = kept[y] = order
    return kept


def _cut(op: Linear, rows: Tensor | None, columns: Tensor | None) -> Linear:
    weight, bias = op.weight, op.bias
    if rows is not None:
        weight = weight[rows]
        bias = None if bias is None else bias[rows]
    if columns is not None:
        weight = weight[:, columns]
    return op if weight is op.weight else Linear(weight, bias, op.roundings)
