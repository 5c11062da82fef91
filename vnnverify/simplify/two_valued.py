# SPDX-License-Identifier: Apache-2.0
"""A function of something that takes two values only is affine.

Both values and what becomes of them must be exact: a number that is a rounding of another one may lie on the
other side of a jump.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.ir.graph import Graph, Node, Value
from vnnverify.ir.op import Elementwise, Op
from vnnverify.ops.arrangement import Expand, Reshape, Select, Transpose
from vnnverify.ops.piecewise import Tent
from vnnverify.ops.scale import Scale
from vnnverify.ops.steps import Spike, Step
from vnnverify.simplify.exactness import product_roundings, sum_is_exact

__all__ = ["straighten_two_valued"]

_Pair = tuple[Tensor, Tensor]  # the two values of each element, (*shape)


def straighten_two_valued(graph: Graph) -> Graph:
    """Functions of truth values, of indices below two and the like as scalings, where those are exact."""
    pairs: dict[Value, _Pair | None] = {}
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
                op = None if after is None else _line(before, after)
                if op is not None:
                    node = Node(op, node.inputs, node.output, node.name)
                    changed = True
        nodes.append(node)
    return graph.with_nodes(nodes) if changed else graph


def _through(node: Node, pair: _Pair) -> _Pair | None:
    """The two values after a node; None if they are rounded."""
    if not all(_is_exact(node.op, end) for end in pair):
        return None
    first, second = (node.op(end[None])[0] for end in pair)
    return first, second


def _is_exact(op: Op, x: Tensor) -> bool:
    """Whether op(x) is computed without rounding."""
    match op:
        case Scale(scale=scale, shift=shift, source=None):
            return _computes(scale, x, shift)
        case Tent():
            return sum_is_exact(torch.ones_like(x), -x.abs())
        case Elementwise():
            return op.ulps == 0
    return not isinstance(op, Scale)


def _computes(scale: Tensor | None, x: Tensor, shift: Tensor | None) -> bool:
    """Whether scale·x + shift is computed without rounding."""
    product = x if scale is None else scale * x
    exact = scale is None or product_roundings(scale, x) == 0
    return exact and bool(torch.isfinite(product).all()) and (shift is None or sum_is_exact(product, shift))


def _line(before: _Pair, after: _Pair) -> Scale | None:
    """The scaling through two points each, or None if it rounds."""
    (a, b), (f, g) = before, after
    width = torch.where(a == b, 1.0, b - a)
    scale = torch.where(a == b, 0.0, (g - f) / width)
    shift = f - scale * a
    same = (scale * a + shift == f) & (scale * b + shift == g)
    if not bool(same.all()) or not (_computes(scale, a, shift) and _computes(scale, b, shift)):
        return None
    return Scale(_shrunk(scale), _shrunk(shift))


def _shrunk(t: Tensor) -> Tensor:
    """One number, if all are the same, with the rank kept."""
    if t.numel() and bool((t == t.reshape(-1)[0]).all()):
        return t.reshape(-1)[:1].reshape((1,) * t.dim())
    return t
