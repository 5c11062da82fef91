# SPDX-License-Identifier: Apache-2.0
"""Whether bounds of a graph over a box hold at random points of it, by each of the domains."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from vnnverify_abstract_domains.propagation import propagate
from vnnverify_abstract_domains.rules import domain as zonotopes
from vnnverify_abstract_domains.zonotope import TooBig

from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.specification import Specification
from vnnverify.deadline import Deadline
from vnnverify.domains import interval
from vnnverify.errors import UnsupportedOperator
from vnnverify.ir import Graph
from vnnverify.query import Box, Clause, Polytope

__all__ = ["DOMAINS", "escape"]

Bounds = tuple[Tensor, Tensor]
SLACK = 1e-9
"""What float64 may misplace a sample by, relative to it."""
LARGEST = 64  # outputs of graphs that others than intervals are tried on


def _intervals(graph: Graph, lower: Tensor, upper: Tensor) -> Bounds:
    return interval.bounds(graph, Box(lower, upper))


def _zonotopes(graph: Graph, lower: Tensor, upper: Tensor) -> Bounds:
    prepared = zonotopes.prepare(graph).to("cpu", torch.float64)
    found = propagate(prepared, lower[None], upper[None], 64 << 20, Deadline.never()).value
    return found.lower[0], found.upper[0]


def _linear(graph: Graph, lower: Tensor, upper: Tensor) -> Bounds:
    m = graph.output_size
    tool = Propagator(graph, torch.arange(lower.numel()), torch.float64)
    state = tool.propagate(lower[None], upper[None], Deadline.never())
    rows = torch.cat([torch.eye(m), -torch.eye(m)]).double()
    clause = Clause(Box(lower, upper), (Polytope.of(rows, torch.zeros(2 * m)),))
    spec = Specification.of([clause], m, torch.device("cpu"))
    found, _ = tool.margins(state, spec.as_type(tool.dtype))
    low, negated = found.lower.split(m)
    return low, -negated


DOMAINS: Mapping[str, Callable[[Graph, Tensor, Tensor], Bounds]] = {
    "intervals": _intervals,
    "zonotopes": _zonotopes,
    "linear bounds": _linear,
}


def escape(graph: Graph, lower: Tensor, upper: Tensor, points: Tensor, *, intervals_only: bool) -> str:
    """Which domain's bounds of the outputs over the box (n,) do not hold at one of the points (b, n) of it;
    empty if all do. What a domain does not support is left out."""
    graph = graph.to("cpu", torch.float64)
    with torch.no_grad():
        y = graph(points)
    slack = SLACK * torch.where(y.isfinite(), y.abs(), 0.0).amax(dim=0).clamp(min=1e-3)
    cheap = intervals_only or max(graph.output_size, *(node.output.size for node in graph.nodes), 0) > LARGEST
    for name, bound in list(DOMAINS.items())[: 1 if cheap else None]:
        try:
            low, high = bound(graph, lower, upper)
        except (UnsupportedOperator, TooBig):
            continue
        outside = (y < low - slack) | (y > high + slack)  # false of NaN
        if bool(outside.any()):
            k, output = outside.nonzero()[0].tolist()
            value, ends = float(y[k, output]), (float(low[output]), float(high[output]))
            return f"{name}: output {output} is {value}, not in {ends}"
    return ""
