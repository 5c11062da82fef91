# SPDX-License-Identifier: Apache-2.0
"""Softmax of scores of which some are masked by minus infinity: a softmax of the others alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

import torch
from torch import Tensor

from vnnverify.ir.graph import Graph, Node, Value
from vnnverify.ir.op import Op, Shape
from vnnverify.ops.arrangement import Concat, Constant, Reshape, Select
from vnnverify.ops.masked import Masked
from vnnverify.ops.softmax import Softmax
from vnnverify.simplify.rewrite import producers

__all__ = ["leave_out_masked", "masked_scores"]


def leave_out_masked(graph: Graph) -> Graph:
    """Each row's softmax over what is not masked, and zero elsewhere.

    Rows with the same mask share a node. A row of which all is masked has no softmax; such nodes stay.
    """
    made = producers(graph)
    replaced: dict[Node, list[Node]] = {}
    for node in graph.nodes:
        found = masked_scores(made, node) if isinstance(node.op, Softmax) else None
        if found is not None:
            replaced[node] = list(_parts(node, *found))
    if not replaced:
        return graph
    return graph.with_nodes(new for node in graph.nodes for new in replaced.get(node, [node]))


def masked_scores(made: Mapping[Value, Node], softmax: Node) -> tuple[Value, Tensor] | None:
    """The scores before they were masked, and the mask in the shape of the softmax; None without any."""
    before = made.get(softmax.inputs[0])
    while before is not None and isinstance(before.op, Reshape):
        before = made.get(before.inputs[0])
    if before is None or not isinstance(before.op, Masked):
        return None
    mask = before.op.mask.reshape(softmax.output.shape)
    assert isinstance(softmax.op, Softmax)
    return None if bool(mask.all(dim=softmax.op.axis).any()) else (before.inputs[0], mask)


def _parts(node: Node, scores: Value, mask: Tensor) -> Iterator[Node]:
    """Softmaxes of rows that are masked alike, joined with a zero and a one and put in place."""
    assert isinstance(node.op, Softmax)
    axis, name = node.op.axis, node.output.name
    shape = mask.movedim(axis, -1).shape
    places = torch.arange(mask.numel()).reshape(mask.shape).movedim(axis, -1).reshape(-1, shape[-1])
    masks = mask.movedim(axis, -1).reshape(-1, shape[-1])
    patterns, which = torch.unique(masks, dim=0, return_inverse=True)
    joined: list[Value] = []

    def added(op: Op, output_shape: Shape, *inputs: Value) -> Node:
        kind = f"{name}/{op.kind}#{len(joined)}"
        return Node(op, inputs, Value(kind, output_shape), node.name)

    target = torch.zeros(mask.numel(), dtype=torch.long)
    count = 2  # a zero and a one come first
    yield (ends := added(Constant(torch.tensor([0.0, 1.0], dtype=torch.float64)), (2,)))
    joined.append(ends.output)
    for index, pattern in enumerate(patterns):
        chosen = places[which == index][:, ~pattern]  # (rows, kept)
        if chosen.shape[1] == 1:
            target[chosen.reshape(-1)] = 1
            continue
        rows = tuple(chosen.shape)
        yield (picked := added(Select.of(chosen, rows), rows, scores))
        yield (soft := added(Softmax(1), rows, picked.output))
        yield (line := added(Reshape((prod(rows),)), (prod(rows),), soft.output))
        target[chosen.reshape(-1)] = torch.arange(count, count + chosen.numel())
        count += chosen.numel()
        joined.append(line.output)
    yield (whole := added(Concat(0), (count,), *joined))
    yield Node(Select.of(target, node.output.shape), (whole.output,), node.output, node.name)
