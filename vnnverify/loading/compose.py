# SPDX-License-Identifier: Apache-2.0
"""Several graphs as one: side by side, and with inputs that are the same."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vnnverify.ir.graph import Graph, Node, Value
from vnnverify.ops.arrangement import Concat, Reshape, Select

__all__ = ["side_by_side", "with_shared_inputs"]


def side_by_side(graphs: Sequence[Graph], names: Sequence[str]) -> Graph:
    """One graph with all inputs and all outputs, each in turn. A graph may appear more than once: its
    operators are shared, its values are not. Values and nodes are called `name/…`."""
    inputs: list[Value] = []
    outputs: list[Value] = []
    nodes: list[Node] = []
    for graph, name in zip(graphs, names, strict=True):
        wire = {value: Value(f"{name}/{value.name}", value.shape) for value in graph.inputs}
        inputs.extend(wire[value] for value in graph.inputs)
        for node in graph.nodes:
            wire[node.output] = Value(f"{name}/{node.output.name}", node.output.shape)
            own = tuple(wire[value] for value in node.inputs)
            nodes.append(Node(node.op, own, wire[node.output], f"{name}/{node.name}"))
        outputs.extend(wire[value] for value in graph.outputs)
    return Graph(tuple(inputs), tuple(outputs), tuple(nodes))


def with_shared_inputs(graph: Graph, columns: Sequence[int]) -> Graph:
    """The graph in which flat input k is the new flat input `columns[k]`.

    New inputs are numbered in the order in which `columns` first names them. An input tensor of which all
    elements are new stays as it is; one that repeats another takes its place; any other is gathered.
    """
    inputs: list[Value] = []
    owner: dict[int, Value] = {}  # the input tensor that holds a new flat input
    first: dict[Value, int] = {}  # where its elements start among the new flat inputs
    wire: dict[Value, Value] = {}
    gathering: list[Node] = []
    start = 0
    for value in graph.inputs:
        own = list(columns[start : start + value.size])
        start += value.size
        new = list(dict.fromkeys(column for column in own if column not in owner))
        if len(new) == value.size:
            kept = value
        elif new:
            kept = Value(f"{value.name}#own", (len(new),))
        if new:
            inputs.append(kept)
            first[kept] = new[0]
            owner.update((column, kept) for column in new)
        if len(new) < value.size:
            wire[value] = _gathered(value, own, owner, first, gathering)
    nodes = [
        Node(node.op, tuple(wire.get(v, v) for v in node.inputs), node.output, node.name)
        for node in graph.nodes
    ]
    outputs = tuple(wire.get(value, value) for value in graph.outputs)
    return Graph(tuple(inputs), outputs, (*gathering, *nodes))


def _gathered(
    value: Value, own: list[int], owner: dict[int, Value], first: dict[Value, int], nodes: list[Node]
) -> Value:
    """A value of the shape of `value` with the new flat inputs `own`; what it takes is added to `nodes`."""
    sources = list(dict.fromkeys(owner[column] for column in own))
    if len(sources) == 1 and sources[0].shape == value.shape:
        only = sources[0]
        if own == list(range(first[only], first[only] + only.size)):
            return only
    offsets: dict[Value, int] = {}
    parts: list[Value] = []
    size = 0
    for source in sources:
        offsets[source] = size
        size += source.size
        flat = source
        if len(source.shape) != 1:
            flat = Value(f"{value.name}#{len(parts)}", (source.size,))
            nodes.append(Node(Reshape(flat.shape), (source,), flat, "equal inputs"))
        parts.append(flat)
    joined = parts[0]
    if len(parts) > 1:
        joined = Value(f"{value.name}#joined", (size,))
        nodes.append(Node(Concat(0), tuple(parts), joined, "equal inputs"))
    index = torch.tensor([offsets[owner[c]] + c - first[owner[c]] for c in own])
    result = Value(f"{value.name}#shared", value.shape)
    nodes.append(Node(Select.of(index, value.shape), (joined,), result, "equal inputs"))
    return result
