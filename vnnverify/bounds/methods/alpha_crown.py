# SPDX-License-Identifier: Apache-2.0
"""α-CROWN: backward linear bounds with slopes that are optimised for each row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.bounds.backward.margins import margin_rows
from vnnverify.bounds.backward.rows import Linear
from vnnverify.bounds.intermediate.by_lines import optimise_ends
from vnnverify.bounds.intervals import uncross
from vnnverify.bounds.method import BoundMethod, Bounds, Record, Resources
from vnnverify.bounds.methods.crown import element_bounds, from_rows, rows_of_pass
from vnnverify.bounds.methods.sweep import Interval, prepared, start, sweep
from vnnverify.bounds.optimise.lines import optimise
from vnnverify.bounds.plan import Plan
from vnnverify.bounds.relaxation import LEAST_AREA, SlopeRule
from vnnverify.bounds.specification import Specification
from vnnverify.bounds.state import State, in_type
from vnnverify.deadline import Deadline
from vnnverify.ir import Graph, Node, Value, flat
from vnnverify.numerics import varies
from vnnverify.query import Region

__all__ = ["AlphaCrown"]

LIVE_COPIES = 12
"""Copies of a row's slopes that are alive in an ascent."""


@dataclass(frozen=True)
class AlphaCrown(BoundMethod):
    """CROWN whose lines below and above each operator are chosen by gradient ascent, for every row of the
    specification and for every open element inside the network by itself.

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
        plan = Plan.of(graph, boxes=state.region is None)
        at_once = rows_of_pass(graph, state, resources)

        def better(node: Node, state: State) -> tuple[Interval, str] | None:
            value = node.output
            if value not in plan.refine:
                return None
            ends = element_bounds(plan.below[value], value, state, at_once)
            if not self.intermediate:
                return ends, "crown"
            open_ = (ends[0] < 0) & (ends[1] > 0) if value in plan.signs else varies(*ends)
            return self._better_ends(plan.below[value], value, state, ends, open_, resources), self.name

        values = sweep(graph, state, known, resources.deadline, better)
        spec = spec.as_type(state.lower.dtype)
        B, S, m = spec.C.shape
        box = torch.arange(B, device=state.lower.device).repeat_interleave(S)
        C, d = spec.C.reshape(B * S, m), spec.d.reshape(-1)
        parts, states = [], []
        for rows in torch.split(torch.arange(B * S, device=box.device), _rows_optimised(graph, resources)):
            begun, const = margin_rows(graph, state, C[rows], d[rows])
            linear, chosen = self._ascend(graph, state, begun, const, box[rows], resources.deadline)
            parts.append(linear)
            states.append(chosen)
        joined = State.stacked(states)
        parents = () if known is None else (known,)
        record = Record(self.name, {**joined.lines, **joined.planes}, parents=parents)
        return from_rows(Linear.joined(parts), spec, values, record)

    def _ascend(
        self,
        graph: Graph,
        state: State,
        begun: dict[Value, Tensor],
        const: Tensor,
        box: Tensor,
        deadline: Deadline,
    ) -> tuple[Linear, State]:
        """Optimised bounds of the rows, and the lines that attain them."""
        fast, rough = in_type(torch.float32, graph, state)
        found = optimise((graph, fast), (state, rough), begun, const, box, self.steps, deadline)
        return found.linear, found.state

    def _better_ends(
        self, graph: Graph, value: Value, state: State, ends: Interval, open_: Tensor, resources: Resources
    ) -> Interval:
        """The ends (B, *shape) with those of open elements optimised."""
        lower, upper = (flat(end).clone() for end in ends)
        at_once = _rows_optimised(graph, resources)
        optimise_ends(
            graph, value, state, (lower, upper), flat(open_), at_once, self.steps, resources.deadline
        )
        return uncross(lower.reshape(ends[0].shape), upper.reshape(ends[1].shape))


def _rows_optimised(graph: Graph, resources: Resources) -> int:
    """Rows of one ascent: each has lines of its own at every node."""
    numbers = sum(v.size for node in graph.nodes for v in (node.output, *node.inputs))
    return max(1, min(512, resources.memory // (LIVE_COPIES * 4 * max(numbers, 1))))
