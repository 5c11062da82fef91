# SPDX-License-Identifier: Apache-2.0
"""What is divided by its own norm is cut to what it can be at most, which changes nothing.

Products of bounds do not know of that limit: where a norm may be small they explode, from layer to layer.
"""

from __future__ import annotations

from math import sqrt

from vnnverify.ir.graph import Graph, Node, Value
from vnnverify.ops.arrangement import Expand, Reshape
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.piecewise import Clip
from vnnverify.ops.scale import Scale
from vnnverify.ops.smooth import InverseSqrt, Power
from vnnverify.ops.sums import ReduceSum
from vnnverify.simplify.rewrite import producers

__all__ = ["limit_quotients"]

_SPARE = 1e-6
"""Relative width that is added to a limit, far above any rounding of it."""
_REACH = 1e100
"""Largest size of f and 1/f: their roundings are relative to them."""


def limit_quotients(graph: Graph) -> Graph:
    """x/sqrt(f·Σx² + t) for t >= 0 cut to ±1/sqrt(f): no x_i² exceeds the sum."""
    made = producers(graph)
    cut = {v for node in graph.nodes if isinstance(node.op, Clip) for v in node.inputs}
    nodes: list[Node] = []
    for node in graph.nodes:
        limit = _limit(made, node) if isinstance(node.op, Mul) and node.output not in cut else None
        if limit is None:
            nodes.append(node)
            continue
        whole = Value(f"{node.output.name}/whole", node.output.shape)
        nodes.append(Node(node.op, node.inputs, whole, node.name))
        nodes.append(Node(Clip(-limit, limit), (whole,), node.output, node.name))
    return graph.with_nodes(nodes) if len(nodes) > len(graph.nodes) else graph


def _limit(made: dict[Value, Node], node: Node) -> float | None:
    """The largest size of a product that is such a quotient; None for others."""
    for x, inverse in (node.inputs, node.inputs[::-1]):
        factor = _factor(made, x, inverse)
        if factor is not None and 1 / _REACH < factor < _REACH:
            return (1 + _SPARE) / sqrt(factor)
    return None


def _factor(made: dict[Value, Node], x: Value, inverse: Value) -> float | None:
    """f, if the other factor is 1/sqrt(f·Σx² + t), repeated along the axes of the sum.

    It may be reshaped before it is repeated, which keeps its order, but not afterwards.
    """
    shape, factor, inverted, repeated = inverse.shape, 1.0, False, False
    before = made.get(inverse)
    while before is not None:
        match before.op:
            case Expand() if not repeated:
                shape, repeated = before.inputs[0].shape, True
            case Reshape() if repeated:
                pass
            case InverseSqrt() if not inverted:
                inverted = True
            case Scale(scale=scale, shift=shift) if inverted:
                least = 1.0 if scale is None else float(scale.min())
                if least <= 0 or (shift is not None and bool((shift < 0).any())):
                    return None
                factor *= least
            case ReduceSum(axes=axes, factor=f) if inverted and f > 0:
                kept = tuple(1 if k in axes else n for k, n in enumerate(x.shape))
                square = made.get(before.inputs[0])
                squared = square is not None and isinstance(square.op, Power) and square.op.exponent == 2.0
                same = squared and square is not None and square.inputs[0] is x
                return factor * f if same and (1,) * (len(kept) - len(shape)) + shape == kept else None
            case _:
                return None
        before = made.get(before.inputs[0])
    return None
