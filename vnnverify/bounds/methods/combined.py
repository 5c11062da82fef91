# SPDX-License-Identifier: Apache-2.0
"""All plain methods at once, intersected at every value before the next is bounded."""

from __future__ import annotations

from dataclasses import dataclass

from vnnverify.bounds.intervals import intersect
from vnnverify.bounds.method import BoundMethod, Bounds, Record, Resources, ValueBounds
from vnnverify.bounds.methods.crown import from_rows
from vnnverify.bounds.methods.sweep import prepared, start
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.specification import Specification
from vnnverify.domains.interval import graph_dtype
from vnnverify.ir import Graph
from vnnverify.numerics import varies
from vnnverify.query import Region

__all__ = ["Combined"]


@dataclass(frozen=True)
class Combined(BoundMethod):
    """Intervals, forward linear bounds where few inputs vary, and backward rows for those elements only whose
    sign the others leave open. What the searches of this framework start from.

    Args:
        forward_inputs: most varying inputs for which forward linear bounds are kept.
    """

    name: str = "combined"
    forward_inputs: int = 32

    def compute(
        self, graph: Graph, region: Region, spec: Specification, known: Bounds | None, resources: Resources
    ) -> Bounds:
        dtype = graph_dtype(graph)
        begun = start(prepared(graph), region)
        lower, upper = begun.lower, begun.upper
        free = varies(lower, upper).any(dim=0).nonzero()[:, 0]
        few = 0 < free.numel() <= self.forward_inputs
        boxes = begun.region is None
        tool = Propagator(graph, free if few else None, dtype, memory=resources.memory, boxes=boxes)
        state = tool.propagate(lower, upper, resources.deadline, region=begun.region)
        resources.deadline.check()
        linear, _ = tool.margins(state, spec.as_type(dtype))
        values = {}
        for value, ends in state.interval.items():
            origin = "interval ∩ forward" if few else "interval"
            origin = f"{origin} ∩ crown" if value in tool.plan.refine else origin
            earlier = None if known is None else known.values.get(value)
            if earlier is not None:
                ends, origin = intersect(ends, (earlier.lower, earlier.upper)), f"{earlier.origin} ∩ {origin}"
            values[value] = ValueBounds(*ends, origin)
        parents = () if known is None else (known,)
        record = Record(self.name, {**state.lines, **state.planes}, parents=parents)
        return from_rows(linear, spec, values, record)
