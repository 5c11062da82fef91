# SPDX-License-Identifier: Apache-2.0
"""CROWN: backward linear bounds, of the specification and of everything that nonlinear operators take."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vnnverify.bounds.backward.budget import rows_at_once
from vnnverify.bounds.backward.margins import margin_bounds
from vnnverify.bounds.backward.rows import Linear, Rows
from vnnverify.bounds.backward.units import unit_bounds
from vnnverify.bounds.backward.walk import lower_bounds
from vnnverify.bounds.intervals import intersect, uncross
from vnnverify.bounds.method import BoundMethod, Bounds, LinearFunction, Record, Resources, ValueBounds
from vnnverify.bounds.methods.sweep import Interval, prepared, start, sweep
from vnnverify.bounds.plan import Plan
from vnnverify.bounds.relaxation import ADAPTIVE, JointRows, JointRule, SlopeRule
from vnnverify.bounds.specification import Specification
from vnnverify.bounds.state import State
from vnnverify.ir import Elementwise, Graph, Node, Value, flat
from vnnverify.query import Region

__all__ = ["Crown", "element_bounds", "from_rows", "rows_of_pass"]


@dataclass(frozen=True)
class Crown(BoundMethod):
    """Rows go back through the network, at each nonlinear operator over the line below or above it.

    Args:
        name: what records call it: with another slope rule it is another method of the literature.
        slopes: which lines.
        joint: finds inequalities over several neurons, which rows take where they are better than lines.
        intermediate: what bounds the inputs of nonlinear operators: backward rows ("backward"), or intervals
            alone ("interval", as in CROWN-IBP).

    Source: Zhang et al., arXiv:1811.00866; with parallel lines Weng et al., arXiv:1804.09699 (Fast-Lin); with
    those of least area Singh et al., POPL 2019 (DeepPoly); Zhang et al., arXiv:1906.06316 (CROWN-IBP).
    """

    name: str = "crown"
    slopes: SlopeRule = ADAPTIVE
    intermediate: str = "backward"
    joint: JointRule | None = None
    differentiable: ClassVar[bool] = True

    def compute(
        self, graph: Graph, region: Region, spec: Specification, known: Bounds | None, resources: Resources
    ) -> Bounds:
        graph = prepared(graph)
        state = start(graph, region, self.slopes)
        plan = Plan.of(graph, boxes=state.region is None)
        at_once = rows_of_pass(graph, state, resources)

        def better(node: Node, state: State) -> tuple[Interval, str] | None:
            value = node.output
            if self.joint is not None and isinstance(node.op, Elementwise):
                rows = _joint_rows(self.joint, graph, node, node.op, state)
                state.joint |= {} if rows is None else {node: rows}
            if self.intermediate == "interval" or value not in plan.refine:
                return None
            ends = element_bounds(plan.below[value], value, state, at_once)
            if state.joint:
                alone = dataclasses.replace(state, joint={})
                ends = intersect(ends, element_bounds(plan.below[value], value, alone, at_once))
            return ends, self.name

        values = sweep(graph, state, known, resources.deadline, better)
        spec = spec.as_type(state.lower.dtype)
        linear = margin_bounds(graph, state, spec, at_once)
        if state.joint:
            alone = dataclasses.replace(state, joint={})
            linear = linear.or_better(margin_bounds(graph, alone, spec, at_once))
        parents = () if known is None else (known,)
        record = Record(self.name, {**state.lines, **state.planes}, joint=state.joint, parents=parents)
        return from_rows(linear, spec, values, record)


def rows_of_pass(graph: Graph, state: State, resources: Resources) -> int:
    """Rows that one backward pass over the graph may carry."""
    widest = max((v.size for node in graph.nodes for v in (node.output, *node.inputs)), default=1)
    return rows_at_once(resources.memory, widest, state.lower.dtype, state.lower.device)


def element_bounds(graph: Graph, value: Value, state: State, at_once: int) -> Interval:
    """Backward bounds (B, *shape) of all elements of a value; `graph` ends there."""
    B, N = state.batch, value.size
    device = state.lower.device
    box = torch.arange(B, device=device).repeat_interleave(N).repeat(2)
    element = torch.arange(N, device=device).repeat(2 * B)
    sign = state.lower.new_ones(2 * B * N)
    sign[B * N :] = -1.0
    found: list[Tensor] = []
    for rows in torch.split(torch.arange(2 * B * N, device=device), at_once):
        found.append(unit_bounds(graph, value, state, (box[rows], element[rows], sign[rows])).lower)
    lower, minus_upper = torch.cat(found).reshape(2, B, *value.shape)
    return uncross(lower, -minus_upper)


def _joint_rows(rule: JointRule, graph: Graph, node: Node, op: Elementwise, state: State) -> JointRows | None:
    """What a rule finds for one operator."""
    value = node.inputs[0]

    def least(C: Tensor) -> Tensor:
        """Lower bounds (B, K) of C z on each box."""
        B, K = state.batch, len(C)
        start = {value: C.expand(B, *C.shape).reshape(B * K, *value.shape)}
        rows = Rows(B * K, per_box=K)
        return lower_bounds(graph, state, start, rows, C.new_zeros(B * K)).lower.reshape(B, K)

    lower, upper = (flat(end) for end in state.interval[value])
    return rule.rows(op, lower, upper, least)


def from_rows(
    linear: Linear, spec: Specification, values: Mapping[Value, ValueBounds], record: Record
) -> Bounds:
    """What backward rows over the margins of `spec` have come to."""
    B, S = spec.d.shape
    function = LinearFunction(linear.A.reshape(B, S, -1), linear.c.reshape(B, S))
    return Bounds(linear.lower.reshape(B, S), function, values, record)
