# SPDX-License-Identifier: Apache-2.0
"""Two matrix products in a row become one, where that is exact and smaller.

Networks made of selections, differences and maxima (two-level lattices, say) hold large matrices of
zeros and ones next to small ones; their product is small, and no sum in it is rounded.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.ir.graph import Graph, Node
from vnnverify.ops.linear import Linear, SparseLinear, entries, product
from vnnverify.simplify.exactness import exact_sums, grain, largest
from vnnverify.simplify.rewrite import fuse_pairs

__all__ = ["Product", "as_stored", "fuse_products", "values_of"]

Product = Linear | SparseLinear
LARGE = 1 << 22
"""Elements of a product of which one factor is dense, beyond which it is not computed."""


def fuse_products(graph: Graph) -> Graph:
    """W2 (W1 x + b1) + b2 as (W2 W1) x + (W2 b1 + b2), where nobody else reads W1 x + b1."""
    return fuse_pairs(graph, _fused)


def _fused(before: Node, node: Node) -> Node | None:
    if not isinstance(before.op, Product) or not isinstance(node.op, Product):
        return None
    op = _product(before.op, node.op)
    return None if op is None else Node(op, before.inputs, node.output, node.name)


def _product(first: Product, second: Product) -> Product | None:
    """second ∘ first, or None if that is larger than both together or would round."""
    middle, inputs = first.weight.shape
    outputs = second.weight.shape[0]
    if first.weight.dtype != torch.float64 or not (as_stored(first) and as_stored(second)):
        return None
    both_dense = isinstance(first, Linear) and isinstance(second, Linear)
    if both_dense and outputs * inputs > middle * (outputs + inputs):
        return None
    if not both_dense and outputs * inputs > LARGE and not isinstance(first, SparseLinear):
        return None
    left, right = values_of(second), values_of(first)
    fine = grain(left)
    reach = float(second.magnitude(torch.ones(1, middle, dtype=torch.float64)).max())
    if not exact_sums(fine + grain(right), reach * largest(right)):
        return None
    bias = second.bias
    if first.bias is not None:
        bias = second.linear(first.bias[None])[0]
        least, most = fine + grain(first.bias), reach * largest(first.bias)
        if second.bias is not None:
            least, most = min(least, grain(second.bias)), most + largest(second.bias)
            bias = bias + second.bias
        if not exact_sums(least, most):
            return None
    if both_dense:
        return Linear(second.weight @ first.weight, bias)
    weight = _composed(second.sparse, first.sparse)
    if weight.values().numel() > left.numel() + right.numel():
        return None
    return product(weight, bias)


def _composed(second: Tensor, first: Tensor) -> Tensor:
    """The product of two sparse matrices: every entry (i, k) of the first factor meets row k of the other."""
    second, first = second.coalesce(), first.coalesce()
    (i, k), (row, column) = second.indices(), first.indices()
    count = torch.bincount(row, minlength=first.shape[0])
    start = count.cumsum(0) - count
    each = count[k]
    mine = torch.arange(k.numel()).repeat_interleave(each)
    place = torch.arange(mine.numel()) - (each.cumsum(0) - each)[mine] + start[k[mine]]
    values = second.values()[mine] * first.values()[place]
    return entries(i[mine], column[place], values, (second.shape[0], first.shape[1]))


def as_stored(op: Product) -> bool:
    """Whether the weights are exact: sums of rounded ones may cancel, and be nothing but their errors."""
    return op.roundings == 0


def values_of(op: Product) -> Tensor:
    """The weights of a product that are stored."""
    return op.weight.values() if isinstance(op, SparseLinear) else op.weight
