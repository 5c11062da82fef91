# SPDX-License-Identifier: Apache-2.0
"""Nodes that compute what another one has computed already."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable

from torch import Tensor

from vnnverify.ir.graph import Graph, Value
from vnnverify.ir.op import Op
from vnnverify.simplify.rewrite import rewire

__all__ = ["merge_duplicates"]

_COMPARED = 1 << 12
"""Elements of a parameter up to which it is compared; a larger one is equal to itself alone."""


def merge_duplicates(graph: Graph) -> Graph:
    """One node for all that apply the same operator to the same values."""
    known: dict[Hashable, Value] = {}
    replaced: dict[Value, Value] = {}
    for node in graph.nodes:
        inputs = tuple(replaced.get(v, v) for v in node.inputs)
        first = known.setdefault((*_identity(node.op), inputs, node.output.shape), node.output)
        if first is not node.output:
            replaced[node.output] = first
    if not replaced:
        return graph
    return rewire(graph, (node for node in graph.nodes if node.output not in replaced), replaced)


def _identity(op: Op) -> tuple[Hashable, ...]:
    """Equal for operators that are the same function: rounded parameters may be equal where others were not,
    and a difference of two such functions can be multiplied by any number."""
    if getattr(op, "roundings", 0):
        return (id(op),)
    fields = (getattr(op, field.name) for field in dataclasses.fields(op))
    return type(op), *map(_key, fields)


def _key(value: object) -> Hashable:
    if not isinstance(value, Tensor):
        return value if isinstance(value, Hashable) else id(value)
    if value.is_sparse or value.numel() > _COMPARED:
        return id(value)
    return value.dtype, tuple(value.shape), value.contiguous().numpy().tobytes()
