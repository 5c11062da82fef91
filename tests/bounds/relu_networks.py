# SPDX-License-Identifier: Apache-2.0
"""A network of ReLUs and subproblems over its outputs, for tests of the dual bound."""

from __future__ import annotations

import itertools

import torch

from vnnverify import Deadline
from vnnverify.bounds.optimise.dual import Dual
from vnnverify.bounds.optimise.subproblems import Subproblems
from vnnverify.bounds.propagation import Propagator
from vnnverify.ir import Graph, Node, Value
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.sums import Sum

NEVER = Deadline.never()


def network(seed: int, sizes: tuple[int, ...] = (6, 20, 20, 20, 3)) -> Graph:
    """ReLU layers with a skip connection over the middle one."""
    generator = torch.Generator().manual_seed(seed)
    value = first = Value("x", (sizes[0],))
    nodes: list[Node] = []
    for k, (a, b) in enumerate(itertools.pairwise(sizes)):
        weight = torch.randn(b, a, generator=generator, dtype=torch.float64) / a**0.5
        bias = torch.randn(b, generator=generator, dtype=torch.float64) / 4
        before, value = value, Value(f"z{k}", (b,))
        nodes.append(Node(Linear(weight, bias), (before,), value, value.name))
        if a == b and k == 2:
            joined = Value("skip", (b,))
            nodes.append(Node(Sum((1, 1)), (value, before), joined, "skip"))
            value = joined
        if k < len(sizes) - 2:
            out = Value(f"r{k}", (b,))
            nodes.append(Node(Relu(), (value,), out, out.name))
            value = out
    return Graph((first,), (value,), tuple(nodes))


def prepared(seed: int, dtype: torch.dtype, rows: int = 4) -> tuple[Propagator, Dual, Subproblems]:
    graph = network(seed).to("cpu", dtype)
    tool = Propagator(graph, None, dtype)
    state = tool.propagate(-torch.ones(1, 6, dtype=dtype), torch.ones(1, 6, dtype=dtype), NEVER)
    dual = Dual(tool.graph, state)
    generator = torch.Generator().manual_seed(seed + 100)
    C = torch.randn(rows, 2, 3, generator=generator, dtype=torch.float64).to(dtype)
    d = torch.randn(rows, 2, generator=generator, dtype=torch.float64).to(dtype)
    return tool, dual, dual.problems(torch.zeros(rows, dtype=torch.long), C, d)
