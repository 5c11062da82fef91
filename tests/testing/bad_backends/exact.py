# SPDX-License-Identifier: Apache-2.0
"""A slow but right backend to compare with: it enumerates activation patterns in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import torch

from vnnverify import Backend, Context, NoOptions, Outcome, Query, Support
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Relu
from vnnverify.testing import Network
from vnnverify.testing.exact import reachable

__all__ = ["Exact", "Runs", "first_weight"]


def network_of(query: Query) -> Network | None:
    """The query's graph as an exact network, if it is a small chain of linear layers and ReLUs."""
    layers = []
    relus = 0
    for node in query.graph.nodes:
        if isinstance(node.op, Linear):
            weight = tuple(tuple(map(Fraction, row)) for row in node.op.weight.tolist())
            bias = [0.0] * len(weight) if node.op.bias is None else node.op.bias.tolist()
            layers.append((weight, tuple(map(Fraction, bias))))
        elif isinstance(node.op, Relu):
            relus += node.output.size
        else:
            return None
    chain = [Linear if k % 2 == 0 else Relu for k in range(len(query.graph.nodes))]
    in_turn = all(isinstance(n.op, kind) for n, kind in zip(query.graph.nodes, chain, strict=True))
    return Network(tuple(layers)) if layers and in_turn and relus <= 8 else None


class Exact(Backend[NoOptions]):
    """Right on every query it supports, save where a witness has no float32 neighbour that is one."""

    def supports(self, query: Query) -> Support:
        return Support.yes() if network_of(query) else Support.no("not a small chain of ReLU layers")

    def verify(self, query: Query, ctx: Context) -> Outcome:
        network = network_of(query)
        if network is None:
            return Outcome.unknown("not a small chain of ReLU layers")
        if ctx.deadline.expired:
            return Outcome.timeout("no time")
        point = reachable(network, query.clauses)
        if point is None:
            return Outcome.unsat(patterns=1)
        x = torch.tensor([float(v) for v in point], dtype=torch.float64)
        return Outcome.sat(x, patterns=1) if ctx.confirm(x) else Outcome.unknown("no witness in float32")


class Runs(Exact):
    """Claims to support everything."""

    def supports(self, query: Query) -> Support:
        return Support.yes()


def first_weight(query: Query) -> torch.Tensor:
    """The weight of the first layer itself; if that has none, a zero."""
    first = query.graph.nodes[0].op
    return first.weight if isinstance(first, Linear) else torch.zeros(1, 1)
