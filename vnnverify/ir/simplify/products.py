# SPDX-License-Identifier: Apache-2.0
"""Two matrix products in a row become one, where that is exact and smaller.

Networks made of selections, differences and maxima (two-level lattices, say) hold large matrices of
zeros and ones next to small ones; their product is small, and no sum in it is rounded.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.ir.graph import Graph, Node
from vnnverify.ir.simplify.rewrite import producers, uses
from vnnverify.ops.linear import Linear

__all__ = ["fuse_products"]

_MANTISSA = 53  # bits of a float64


def fuse_products(graph: Graph) -> Graph:
    """W2 (W1 x + b1) + b2 as (W2 W1) x + (W2 b1 + b2), where nobody else reads W1 x + b1."""
    made, count = producers(graph), uses(graph)
    fused: dict[Node, Node | None] = {}
    for node in graph.nodes:
        before = made.get(node.inputs[0]) if len(node.inputs) == 1 else None
        if before is None or before in fused or count[before.output] != 1:
            continue
        if isinstance(before.op, Linear) and isinstance(node.op, Linear):
            op = _product(before.op, node.op)
            if op is not None:
                fused[before] = None
                fused[node] = Node(op, before.inputs, node.output, node.name)
    if not fused:
        return graph
    nodes = (fused.get(node, node) for node in graph.nodes)
    return graph.with_nodes(node for node in nodes if node is not None)


def _product(first: Linear, second: Linear) -> Linear | None:
    """second ∘ first, or None if that is larger than both together or would round."""
    middle, inputs = first.weight.shape
    outputs = second.weight.shape[0]
    if first.weight.dtype != torch.float64 or outputs * inputs > middle * (outputs + inputs):
        return None
    grain = _grain(second.weight)
    reach = float(second.weight.abs().sum(dim=1).max())
    if not _exact(grain + _grain(first.weight), reach * _largest(first.weight)):
        return None
    bias = second.bias
    if first.bias is not None:
        bias = second.weight @ first.bias
        least, most = grain + _grain(first.bias), reach * _largest(first.bias)
        if second.bias is not None:
            least, most = min(least, _grain(second.bias)), most + _largest(second.bias)
            bias = bias + second.bias
        if not _exact(least, most):
            return None
    return Linear(second.weight @ first.weight, bias)


def _exact(grain: int, most: float) -> bool:
    """Whether float64 holds every multiple of 2^grain up to `most`, hence every partial sum of such."""
    return most <= 2.0 ** min(grain + _MANTISSA, 1000) and grain > -1000


def _grain(t: Tensor) -> int:
    """The largest g such that every element is a multiple of 2^g; 0 if there are only zeros."""
    values = t[t != 0]
    if values.numel() == 0:
        return 0
    mantissa, exponent = torch.frexp(values)
    whole = (mantissa * 2.0**_MANTISSA).to(torch.int64)
    lowest = torch.frexp((whole & -whole).to(torch.float64)).exponent - 1
    return int((exponent - _MANTISSA + lowest).min())


def _largest(t: Tensor) -> float:
    return float(t.abs().max()) if t.numel() else 0.0
