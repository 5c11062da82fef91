# SPDX-License-Identifier: Apache-2.0
"""The sweep that methods have in common: from the inputs to the outputs, node by node."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vnnverify.bounds import backward
from vnnverify.bounds.intervals import intersect
from vnnverify.bounds.method import Bounds, ValueBounds
from vnnverify.bounds.relaxation import LEAST_AREA, SlopeRule
from vnnverify.bounds.state import State
from vnnverify.deadline import Deadline
from vnnverify.domains import interval
from vnnverify.domains.interval import graph_dtype
from vnnverify.ir import Graph, Node, Value
from vnnverify.numerics import lower_as, upper_as
from vnnverify.query import Region

__all__ = ["Interval", "prepared", "start", "sweep"]

Interval = tuple[Tensor, Tensor]


def prepared(graph: Graph) -> Graph:
    """The graph with every operator replaced by parts that both intervals and backward rows know.

    Raises:
        UnsupportedOperator: an operator cannot be bounded.
    """
    return backward.domain.prepare(interval.domain.prepare(graph))


def start(graph: Graph, region: Region, rule: SlopeRule = LEAST_AREA) -> State:
    """The state that knows only the regions, rounded outward to the graph's float type. One without a batch
    axis is a batch of one."""
    dtype = graph_dtype(graph)
    region = region if region.batched else region.take(None)
    if region.is_box:
        state = State.of(graph, lower_as(region.lower, dtype), upper_as(region.upper, dtype), rule)
    else:
        region = region.to(region.lower.device, dtype)
        state = State.of(graph, region.lower, region.upper, rule, region)
    state.differentiated = torch.is_grad_enabled()
    return state


def sweep(
    graph: Graph,
    state: State,
    known: Bounds | None,
    deadline: Deadline,
    better: Callable[[Node, State], tuple[Interval, str] | None],
) -> dict[Value, ValueBounds]:
    """Bound every value in topological order, and note what backward rows need of each node.

    Args:
        graph: prepared.
        state: knows the inputs; is filled.
        known: earlier bounds that hold here too; they are intersected with.
        better: bounds of a node's output that take the place of its interval, and the name of what found
            them; None: the interval stays.

    Raises:
        OutOfTime: the deadline came.
    """
    found: dict[Value, ValueBounds] = {}
    for value in graph.inputs:
        found[value] = ValueBounds(*state.interval[value], "input")
    for node in graph.nodes:
        deadline.check()
        value, B = node.output, state.batch
        low, high = interval.domain.rule_for(node)(node.op, [state.interval[v] for v in node.inputs], node)
        state.interval[value] = low.expand(B, *value.shape), high.expand(B, *value.shape)
        state.note(node)
        origin = "interval"
        refined = better(node, state)
        if refined is not None:
            state.interval[value], origin = refined
        earlier = None if known is None else known.values.get(value)
        if earlier is not None:
            state.interval[value] = intersect(state.interval[value], (earlier.lower, earlier.upper))
            origin = f"{earlier.origin} ∩ {origin}"
        found[value] = ValueBounds(*state.interval[value], origin)
    return found


def finite_or_lost(lower: Tensor) -> Tensor:
    """Bounds, minus infinity where they are no finite numbers."""
    return torch.where(torch.isfinite(lower), lower, -torch.inf)
