# SPDX-License-Identifier: Apache-2.0
"""ReLUs of equal or opposite arguments become one.

relu(−z) = relu(z) − z, so that a sum over both is a multiple of relu(z) and of z. Where networks copy a
value through a ReLU layer, as relu(z) − relu(−z), nothing nonlinear is left of it, and of the maximum of
two values written with four ReLUs only one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vnnverify.ir.graph import Graph, Node, Value
from vnnverify.ops.linear import Linear, SparseLinear, entries, product
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.sums import Sum
from vnnverify.simplify.exactness import exact_sums, grain
from vnnverify.simplify.products import Product, as_stored, values_of
from vnnverify.simplify.rewrite import producers, uses

__all__ = ["merge_opposite_relus"]

FEW = 16
"""Columns of a large matrix by which its rows are first told apart."""


def merge_opposite_relus(graph: Graph) -> Graph:
    """Linear, Relu, Linear with fewer ReLUs and a linear path beside them, where no sum is rounded."""
    made, count = producers(graph), uses(graph)
    readers: dict[Value, list[Node]] = {}
    for node in graph.nodes:
        for value in node.inputs:
            readers.setdefault(value, []).append(node)
    replaced: dict[Node, list[Node]] = {}
    for relu in reversed(graph.nodes):  # what comes later first: it leaves a product in place of its first
        first = made.get(relu.inputs[0]) if isinstance(relu.op, Relu) else None
        last = readers.get(relu.output, [])
        if first is None or count[first.output] != 1 or count[relu.output] != len(last):
            continue
        products = [node.op for node in last if isinstance(node.op, Product)]
        if len(products) != len(last) or not isinstance(first.op, Product) or replaced.keys() & set(last):
            continue
        found = _merged(first.op, products)
        if found is not None:
            replaced |= _nodes(found, first, relu, last)
    if not replaced:
        return graph
    return graph.with_nodes(new for node in graph.nodes for new in replaced.get(node, [node]))


@dataclass(frozen=True, slots=True, eq=False)
class _Merged:
    """second_i(relu(first(x))) = after_i(relu(before(x))) + beside_i(straight(x)); paths may be missing."""

    before: Product | None
    straight: Product | None
    after: list[Product | None]
    beside: list[Product | None]


def _merged(first: Product, seconds: list[Product]) -> _Merged | None:
    """None if no two rows of `first` are alike, or sums would round."""
    if first.weight.dtype != torch.float64 or not all(map(as_stored, [first, *seconds])):
        return None
    kind, sign = _kinds(first)
    size = int(kind.max()) + 1 if kind.numel() else 0
    if size == kind.numel():
        return None
    one = torch.ones(1, kind.numel(), dtype=torch.float64)
    if not all(exact_sums(grain(values_of(op)), float(op.magnitude(one).max())) for op in seconds):
        return None
    lead = torch.full((size,), kind.numel()).scatter_reduce(0, kind, torch.arange(kind.numel()), "amin")
    sign = sign * sign[lead[kind]]  # relative to the first of each kind
    bent, line = [], []
    for op in seconds:
        weight = op.sparse.coalesce()
        (row, column), values = weight.indices(), weight.values()
        shape = (weight.shape[0], size)
        bent.append(entries(row, kind[column], values, shape))
        turned = sign[column] < 0
        line.append(entries(row[turned], kind[column[turned]], -values[turned], shape))
    hinges, lines = _columns(bent), _columns(line)
    after: list[Product | None] = [None] * len(seconds)
    beside: list[Product | None] = [None] * len(seconds)
    for k, op in enumerate(seconds):
        if hinges.numel():
            after[k] = product(bent[k].index_select(1, hinges), op.bias)
        if lines.numel() or not hinges.numel():
            beside[k] = product(line[k].index_select(1, lines), None if hinges.numel() else op.bias)
    before = _some(first, lead[hinges]) if hinges.numel() else None
    straight = _some(first, lead[lines]) if beside[0] is not None else None
    return _Merged(before, straight, after, beside)


def _columns(matrices: list[Tensor]) -> Tensor:
    """Which columns of some sparse matrices hold anything."""
    columns = torch.cat([matrix.indices()[1] for matrix in matrices])
    return torch.bincount(columns, minlength=matrices[0].shape[1]).nonzero()[:, 0]


def _kinds(op: Product) -> tuple[Tensor, Tensor]:
    """Which rows of [W b] are equal up to their sign: a number (rows,) for each, and that sign (rows,)."""
    size = op.weight.shape[0]
    bias = torch.zeros(size, dtype=torch.float64) if op.bias is None else op.bias
    step = op.weight.shape[1] // FEW
    if size and step > 1 and not isinstance(op, SparseLinear):  # a look at some columns tells most rows apart
        found = _kinds(Linear(op.weight[:, ::step].contiguous(), op.bias))
        if int(found[0].max()) + 1 == size:
            return found
    if isinstance(op, SparseLinear):
        (row, column), values = op.weight.indices(), op.weight.values()
        ends = torch.bincount(row, minlength=size).cumsum(0)
        first = ends - torch.bincount(row, minlength=size)
        leading = torch.where(ends > first, values[first.clamp(max=values.numel() - 1)], bias)
        sign = torch.where(leading < 0, -1.0, 1.0).to(values.dtype)
        signed = (values * sign[row] + 0.0).numpy()
        keys = zip(
            np.split(column.numpy(), ends[:-1].numpy()), np.split(signed, ends[:-1].numpy()), strict=True
        )
        rows = [(c.tobytes(), v.tobytes()) for c, v in keys]
    else:
        rows_ = torch.cat([op.weight, bias[:, None]], 1)
        leading = rows_.gather(1, (rows_ != 0).to(torch.uint8).argmax(dim=1, keepdim=True))[:, 0]
        sign = torch.where(leading < 0, -1.0, 1.0).to(rows_.dtype)
        rows = [(r.tobytes(), b"") for r in (op.weight * sign[:, None] + 0.0).numpy()]
    known: dict[tuple[bytes, bytes, float], int] = {}
    shift = (bias * sign + 0.0).tolist()
    kind = [known.setdefault((*row, b), len(known)) for row, b in zip(rows, shift, strict=True)]
    return torch.tensor(kind, dtype=torch.long), sign


def _some(op: Product, index: Tensor) -> Product:
    bias = None if op.bias is None else op.bias[index]
    if isinstance(op, SparseLinear):
        return product(op.weight.index_select(0, index), bias)
    return Linear(op.weight[index], bias)


def _nodes(found: _Merged, first: Node, relu: Node, last: list[Node]) -> dict[Node, list[Node]]:
    """The nodes in place of each; the last ones compute the same values."""
    lead = first.output.shape[:-1]
    starts: list[Node] = []
    middle: list[Node] = []
    bent = straight = None
    if found.before is not None:
        size = found.before.weight.shape[0]
        z, bent = Value(first.output.name, (*lead, size)), Value(relu.output.name, (*lead, size))
        starts.append(Node(found.before, first.inputs, z, first.name))
        middle.append(Node(relu.op, (z,), bent, relu.name))
    if found.straight is not None:
        straight = Value(f"{first.output.name}/straight", (*lead, found.straight.weight.shape[0]))
        starts.append(Node(found.straight, first.inputs, straight, first.name))
    nodes = {first: starts, relu: middle}
    for node, after, beside in zip(last, found.after, found.beside, strict=True):
        parts = [(op, x) for op, x in ((after, bent), (beside, straight)) if op is not None and x is not None]
        if len(parts) == 1:
            op, x = parts[0]
            nodes[node] = [Node(op, (x,), node.output, node.name)]
            continue
        terms = [Value(f"{node.output.name}/{kind}", node.output.shape) for kind in ("bent", "line")]
        paths = zip(parts, terms, strict=True)
        nodes[node] = [Node(op, (x,), y, node.name) for (op, x), y in paths]
        nodes[node].append(Node(Sum((1, 1)), tuple(terms), node.output, node.name))
    return nodes
