# SPDX-License-Identifier: Apache-2.0
"""α-CROWN: backward linear bounds with slopes that are optimised for each row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from vnnverify.bounds.backward.margins import margin_rows
from vnnverify.bounds.backward.rows import Linear
from vnnverify.bounds.backward.units import unit_bounds
from vnnverify.bounds.intermediate.by_lines import optimise_ends
from vnnverify.bounds.intermediate.by_row_slopes import refine_by_row_slopes
from vnnverify.bounds.intermediate.by_slopes import optimise_ends_of_relus, optimise_rows_of_relus
from vnnverify.bounds.intervals import uncross
from vnnverify.bounds.method import BoundMethod, Bounds, Record, Resources
from vnnverify.bounds.methods.crown import element_bounds, from_rows, rows_of_pass
from vnnverify.bounds.methods.sweep import Interval, prepared, start, sweep
from vnnverify.bounds.optimise.lines import optimise
from vnnverify.bounds.optimise.settings import RowSlopeSettings
from vnnverify.bounds.plan import Plan
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.relaxation import LEAST_AREA, SlopeRule
from vnnverify.bounds.specification import Specification
from vnnverify.bounds.state import State, in_type
from vnnverify.deadline import Deadline
from vnnverify.ir import Affine, Graph, Node, Value, flat
from vnnverify.ops.piecewise import Relu
from vnnverify.query import Region

__all__ = ["AlphaCrown"]

NARROW = 4
"""How many times as many numbers as a patch the largest value must have for rows to be patches."""


@dataclass(frozen=True)
class AlphaCrown(BoundMethod):
    """CROWN whose lines below and above each operator are chosen by gradient ascent, for every row of the
    specification and for every open element inside the network by itself.

    In networks of ReLUs over boxes the slopes below them are chosen, with gradients that are written by hand
    where rows are whole; in others the lines on both sides of every operator, and the planes of products.

    Args:
        slopes: where the ascent starts.
        steps: gradient steps of each ascent.
        intermediate: whether bounds inside the network are optimised too.

    Source: Xu et al., arXiv:2011.13824.
    """

    name: str = "alpha-crown"
    slopes: SlopeRule = LEAST_AREA
    steps: int = 20
    intermediate: bool = True

    def compute(
        self, graph: Graph, region: Region, spec: Specification, known: Bounds | None, resources: Resources
    ) -> Bounds:
        graph = prepared(graph)
        state = start(graph, region, self.slopes)
        tool = Propagator(graph, None, state.lower.dtype, memory=resources.memory)
        tool.plan = plan = Plan.of(graph, boxes=state.region is None)
        at_once = rows_of_pass(graph, state, resources)

        def better(node: Node, state: State) -> tuple[Interval, str] | None:
            value = node.output
            if value not in plan.refine:
                return None
            ends = element_bounds(plan.below[value], value, state, at_once)
            if not self.intermediate:
                return ends, "crown"
            state.interval[value] = ends
            self._refine(tool, state, value, at_once, resources.deadline)
            return state.interval[value], self.name

        values = sweep(graph, state, known, resources.deadline, better)
        spec = spec.as_type(state.lower.dtype)
        B, S, m = spec.C.shape
        box = torch.arange(B, device=state.lower.device).repeat_interleave(S)
        C, d = spec.C.reshape(B * S, m), spec.d.reshape(-1)
        parts, states = [], []
        ascend = self._ascend_relus if _of_relus(graph, state) else self._ascend_lines
        for rows in torch.split(torch.arange(B * S, device=box.device), tool.rows_optimised(graph)):
            linear, proof = ascend(graph, state, C[rows], d[rows], box[rows], resources.deadline)
            resources.deadline.check()
            parts.append(linear)
            states.append(proof)
        joined = State.stacked(states)
        parents = () if known is None else (known,)
        record = Record(self.name, {**joined.lines, **joined.planes}, parents=parents)
        return from_rows(Linear.joined(parts), spec, values, record)

    def _refine(self, tool: Propagator, state: State, value: Value, at_once: int, deadline: Deadline) -> None:
        """Better bounds of those elements of a value that are open."""
        graph, open_of = tool.plan.below[value], partial(tool.open_elements, value)
        relus = _of_relus(graph, state)
        if relus and _narrow(graph, value, state):
            refine_by_row_slopes(tool, state, value, open_of, self.steps, 0, deadline, RowSlopeSettings())
            return
        lower, upper = (flat(end).clone() for end in state.interval[value])
        ends, open_ = (lower, upper), open_of(lower, upper)
        if relus:
            optimise_ends_of_relus(graph, value, state, ends, open_, at_once, self.steps, deadline)
        else:
            count = tool.rows_optimised(graph)
            optimise_ends(graph, value, state, ends, open_, count, self.steps, deadline)
        state.interval[value] = uncross(*(end.reshape(-1, *value.shape) for end in ends))

    def _ascend_relus(
        self, graph: Graph, state: State, C: Tensor, d: Tensor, box: Tensor, deadline: Deadline
    ) -> tuple[Linear, State]:
        """Optimised bounds of C y − d (R,) over the boxes of the rows, and what attains them."""
        return optimise_rows_of_relus(graph, state, C, d, box, self.steps, deadline)

    def _ascend_lines(
        self, graph: Graph, state: State, C: Tensor, d: Tensor, box: Tensor, deadline: Deadline
    ) -> tuple[Linear, State]:
        """As above, with lines of every operator."""
        begun, const = margin_rows(graph, state, C, d)
        part, fast = in_type(torch.float32, graph, state)
        found = optimise((graph, part), (state, fast), begun, const, box, self.steps, deadline)
        return found.linear, found.state


def _of_relus(graph: Graph, state: State) -> bool:
    """Whether rows are those of a network of ReLUs alone, over boxes."""
    return state.region is None and all(isinstance(node.op, Affine | Relu) for node in graph.nodes)


def _narrow(graph: Graph, value: Value, state: State) -> bool:
    """Whether rows over a value are patches all the way down."""
    zero = torch.zeros(1, dtype=torch.long, device=state.lower.device)
    one = unit_bounds(graph, value, state, (zero, zero + value.size // 2, state.lower.new_ones(1)))
    return NARROW * one.widest <= max(node.output.size for node in graph.nodes)
