# SPDX-License-Identifier: Apache-2.0
"""Where in a network bounds get loose: widths of intervals against widths seen at sampled inputs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vnnverify.deadline import Deadline
from vnnverify.domains import Domain, interval
from vnnverify.errors import UnsupportedOperator
from vnnverify.ir import Affine, Bilinear, Composite, Elementwise, Graph, Maximum, Node, Op
from vnnverify.ir.graph import Value
from vnnverify.query import Region

__all__ = ["Loosest", "affordable", "loosest_node", "readable", "sample"]

WORK = 5e8
"""Multiplications that sampled inputs may cost in all: a tenth of a second on one core."""
BYTES = 1 << 26
"""Memory that one value may take at all sampled inputs together."""
FEWEST, MOST = 16, 256
"""Inputs sampled."""
ROUNDING = 1e-9
"""Width, relative to the values, below which samples show nothing but rounding."""


@dataclass(frozen=True, slots=True)
class Loosest:
    """The nonlinear node at which the looseness of interval bounds grows most.

    Looseness is the width of the bounds of a value over the width at samples, both summed over its
    elements. Samples miss the ends of a range, so it is above one also where bounds are exact; how it
    grows from node to node is what tells.
    """

    node: str
    operator: str
    looseness: float = math.inf  # infinite: the bounds are, or there is no rule for the operator
    before: float = 1.0  # the largest at the nonlinear nodes before it; at its input if there are none


class _Widths(Domain[[Sequence[interval.Interval], Node], interval.Interval]):
    """Intervals, also of products of two variables: without a care for rounding, nothing is proved here."""

    def find(self, op: Op) -> Callable[[Any, Sequence[interval.Interval], Node], interval.Interval] | None:
        rule = interval.domain.find(op)
        return _product if rule is None and isinstance(op, Bilinear) else rule


def _product(op: Op, inputs: Sequence[interval.Interval], node: Node) -> interval.Interval:
    """c d ± (|c| s + r |d| + r s) for boxes c ± r and d ± s."""
    (c, r), (d, s) = (((upper + lower) / 2, (upper - lower) / 2) for lower, upper in inputs)
    centre, radius = op(c, d), op(c.abs(), s) + op(r, d.abs()) + op(r, s)
    return centre - radius, centre + radius


_widths = _Widths("interval")


def readable(graph: Graph) -> bool:
    """Whether every operator states what it is: a model run as a black box does not."""
    return all(isinstance(n.op, Affine | Elementwise | Bilinear | Maximum | Composite) for n in graph.nodes)


def affordable(graph: Graph) -> int:
    """How many inputs can be sampled: enough to see widths, few enough to take no time."""
    cost = sum(n.output.size * max(1, n.op.fan_in if isinstance(n.op, Affine) else 1) for n in graph.nodes)
    size = max((n.output.size for n in graph.nodes), default=1)
    return int(max(FEWEST, min(MOST, WORK / max(1, cost), BYTES / (8 * max(1, size)))))


def sample(region: Region, count: int, generator: torch.Generator) -> Tensor:
    """Points (count, n) float64 of the region's box: half of them pairs of opposite corners (one pair at
    least), which reach further than uniform points do, the other half uniform."""
    pairs = max(count // 4, min(1, count // 2))
    corner = torch.rand(pairs, region.lower.numel(), generator=generator) < 0.5
    ends = [torch.where(c, region.lower, region.upper) for c in (corner, ~corner)]
    return torch.cat([*ends, region.sample(count - 2 * pairs, generator)])


def loosest_node(graph: Graph, region: Region, points: Tensor, deadline: Deadline) -> Loosest | None:
    """The node with the greatest growth of looseness over the region's box, the first of several.

    Intervals and samples go through the graph together. An operator that intervals cannot bound, or
    infinite bounds, end the walk: that is the node. So does the deadline: then it is the loosest up to
    there. None if every node is affine.

    Args:
        graph: float64, on the CPU.
        points: (count, n) of the region's box.
    """
    kinds = {node.name: node.op.kind for node in graph.nodes if not isinstance(node.op, Affine)}
    try:
        graph = _widths.prepare(graph)
    except UnsupportedOperator as error:
        return Loosest(error.node, kinds.get(error.node, error.op))
    walk = _Walk(graph, region, points)
    found: Loosest | None = None
    growth = 0.0
    for node in graph.nodes:
        if deadline.expired:
            break
        here = walk.step(node)
        if here is None:
            continue
        looseness, before = here
        if looseness / before > growth * (1 + ROUNDING):
            growth = looseness / before
            found = Loosest(node.name, kinds.get(node.name, node.op.kind), looseness, before)
        if math.isinf(looseness):
            break
    return found


class _Walk:
    """Bounds, samples and looseness of the values that are still needed."""

    def __init__(self, graph: Graph, region: Region, points: Tensor) -> None:
        lower, upper = graph.split_inputs(region.lower[None]), graph.split_inputs(region.upper[None])
        self.bounds = {v: (lower[v], upper[v]) for v in graph.inputs}
        self.values = graph.split_inputs(points)
        self.count = points.shape[0]
        self.before: dict[Value, float] = {}  # the largest at the nonlinear nodes just before a value
        self.pending = Counter(v for node in graph.nodes for v in node.inputs)

    def step(self, node: Node) -> tuple[float, float] | None:
        """Go through one node: its looseness and the one before it, or None if it is affine."""
        boxes = [self.bounds[v] for v in node.inputs]
        points = [self.values[v] for v in node.inputs]
        bounds = _widths.rule_for(node)(node.op, boxes, node)
        z = node.op(*points)
        values = z if node.inputs else z.expand(self.count, *node.output.shape)
        known = [self.before[v] for v in node.inputs if v in self.before]
        found = None
        if isinstance(node.op, Affine):
            if known:
                self.before[node.output] = max(known)
        else:
            start = max(known) if known else _looseness(boxes, points) or 1.0
            here = _looseness([bounds], [values]) or start
            found = here, start
            self.before[node.output] = here
        self.bounds[node.output], self.values[node.output] = bounds, values
        for v in node.inputs:
            self.pending[v] -= 1
            if not self.pending[v]:
                self.bounds.pop(v, None)
                self.values.pop(v, None)
        return found


def _looseness(boxes: Sequence[interval.Interval], points: Sequence[Tensor]) -> float | None:
    """Widths of the boxes over those of the points, summed over all elements; at least 1, and infinite where
    the boxes are. None if the points do not differ."""
    width = sum(float((upper - lower).sum()) for lower, upper in boxes)
    seen = sum(float((x.amax(dim=0) - x.amin(dim=0)).sum()) for x in points)
    size = sum(float(x.abs().amax(dim=0).sum()) for x in points)
    if not math.isfinite(width):
        return math.inf
    return max(1.0, width / seen) if seen > ROUNDING * size else None
