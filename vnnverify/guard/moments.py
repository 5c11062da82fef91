# SPDX-License-Identifier: Apache-2.0
"""Deviations from a mean and their squares, which a runtime rounds more than the graph does."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vnnverify.ir import Graph, Node, Value
from vnnverify.ops.arrangement import Expand, Reshape
from vnnverify.ops.smooth import Power
from vnnverify.ops.sums import ReduceSum, Sum

__all__ = ["cancelled"]


def cancelled(graph: Graph, values: Mapping[Value, Tensor]) -> dict[int, float]:
    """How large the numbers are whose difference a runtime takes, for those nodes (by index) that hold it.

    The graph has x − E[x] and E[(x − E[x])²]. Runtimes compute a·x + (b − a·E[x]) and E[x²] − E[x]² instead:
    the rounding of the deviation is then relative to x, that of the variance to x².
    """
    makers = {node.output: (index, node) for index, node in enumerate(graph.nodes)}
    sizes: dict[int, float] = {}
    centred: dict[Value, float] = {}
    for index, node in enumerate(graph.nodes):
        if _is_deviation(node, makers):
            centred[node.output] = sizes[index] = _largest(values[node.inputs[0]])
        elif isinstance(node.op, ReduceSum):
            square = makers.get(node.inputs[0])
            if square and isinstance(square[1].op, Power) and square[1].op.exponent == 2.0:
                size = centred.get(square[1].inputs[0])
                if size is not None:
                    sizes[index] = size**2 * abs(node.op.factor) * node.op.count
    return sizes


def _is_deviation(node: Node, makers: Mapping[Value, tuple[int, Node]]) -> bool:
    """Whether a node computes x less a mean of x."""
    if not isinstance(node.op, Sum) or node.op.signs != (1, -1):
        return False
    x, mean = node.inputs
    made = makers.get(mean)
    while made and isinstance(made[1].op, Expand | Reshape):
        made = makers.get(made[1].inputs[0])
    return bool(made and isinstance(made[1].op, ReduceSum) and made[1].inputs == (x,))


def _largest(z: Tensor) -> float:
    finite = torch.where(torch.isfinite(z), z.abs(), 0.0)
    return float(finite.amax()) if finite.numel() else 0.0
