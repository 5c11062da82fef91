# SPDX-License-Identifier: Apache-2.0
"""A function of something that takes two values only is affine."""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.ir.graph import Graph, Node, Value
from vnnverify.ir.op import Elementwise
from vnnverify.ops.arrangement import Expand, Reshape, Select, Transpose
from vnnverify.ops.scale import Scale
from vnnverify.ops.steps import Spike, Step

__all__ = ["straighten_two_valued"]

_Pair = tuple[Tensor, Tensor]  # the two values of each element, (*shape)


def straighten_two_valued(graph: Graph) -> Graph:
    """Functions of truth values, of indices below two and the like as scalings, where those are exact."""
    pairs: dict[Value, _Pair] = {}
    nodes: list[Node] = []
    changed = False
    for node in graph.nodes:
        before = pairs.get(node.inputs[0]) if len(node.inputs) == 1 else None
        match node.op:
            case Step() | Spike() if before is None:
                zero = torch.zeros(node.output.shape, dtype=torch.float64)
                pairs[node.output] = zero, zero + 1
            case Reshape() | Select() | Transpose() | Expand() | Scale() if before is not None:
                pairs[node.output] = _through(node, before)
            case Elementwise() if before is not None:
                pairs[node.output] = after = _through(node, before)
                op = _line(before, after)
                if op is not None:
                    node = Node(op, node.inputs, node.output, node.name)
                    changed = True
        nodes.append(node)
    return graph.with_nodes(nodes) if changed else graph


def _through(node: Node, pair: _Pair) -> _Pair:
    first, second = (node.op(end[None])[0] for end in pair)
    return first, second


def _line(before: _Pair, after: _Pair) -> Scale | None:
    """The scaling through two points each, or None if it rounds."""
    (a, b), (f, g) = before, after
    width = torch.where(a == b, 1.0, b - a)
    scale = torch.where(a == b, 0.0, (g - f) / width)
    shift = f - scale * a
    exact = (scale * a + shift == f) & (scale * b + shift == g)
    if not bool(exact.all()):
        return None
    return Scale(_shrunk(scale), _shrunk(shift))


def _shrunk(t: Tensor) -> Tensor:
    """One number, if all are the same, with the rank kept."""
    if t.numel() and bool((t == t.reshape(-1)[0]).all()):
        return t.reshape(-1)[:1].reshape((1,) * t.dim())
    return t
