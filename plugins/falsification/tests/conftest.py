# SPDX-License-Identifier: Apache-2.0
"""Queries made by hand, judged by their own graph in float64."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from vnnverify import Box, Clause, Context, Deadline, Polytope, Query
from vnnverify.ir import Graph, Node, Op, Value
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Relu
from vnnverify.query import Layout, Replay, TensorSpec


@dataclass
class Judge:
    """A source whose original model is the graph."""

    query: Query | None = None
    asked: int = 0

    def replay(self, x: Tensor) -> Replay:
        assert self.query is not None
        self.asked += 1
        x = x.to(torch.float64)[None]
        y = self.query.graph.to("cpu", torch.float64)(x)
        valid = any(bool(c.violated_by(x, y)) for c in self.query.clauses)
        return Replay(valid, "" if valid else "not unsafe", tuple(x[0].tolist()), tuple(y[0].tolist()))


def chain(ops: Sequence[Op], inputs: int) -> Graph:
    """A graph that applies one operator after the other to a vector."""
    value = first = Value("x", (inputs,))
    nodes = []
    for index, op in enumerate(ops):
        out = Value(f"v{index}", op.output_shape(value.shape))
        nodes.append(Node(op, (value,), out, f"node{index}"))
        value = out
    return Graph((first,), (value,), tuple(nodes))


def dense(*sizes: int, seed: int = 0) -> Graph:
    """A random ReLU network with float64 parameters."""
    generator = torch.Generator().manual_seed(seed)
    ops: list[Op] = []
    for fan_in, fan_out in pairwise(sizes):
        weight = torch.randn(fan_out, fan_in, generator=generator, dtype=torch.float64) / fan_in**0.5
        bias = torch.randn(fan_out, generator=generator, dtype=torch.float64) / 4
        ops += [Linear(weight, bias), Relu()]
    return chain(ops[:-1], sizes[0])


def query_of(graph: Graph, clauses: Sequence[Clause]) -> Query:
    """A query that judges its own witnesses."""
    layout = Layout(
        (TensorSpec("x", (graph.input_size,), "float64"),),
        (TensorSpec("y", (graph.output_size,), "float64"),),
    )
    judge = Judge()
    query = Query(graph, tuple(clauses), layout, judge)
    judge.query = query
    return query


def clause_of(lower: Sequence[float], upper: Sequence[float], *unsafe: Polytope) -> Clause:
    """One box and its unsafe polytopes."""
    ends = (torch.tensor(end, dtype=torch.float64) for end in (lower, upper))
    return Clause(Box(*ends), unsafe)


def rows(
    A: Sequence[Sequence[float]] | Tensor, b: Sequence[float] | Tensor, strict: Sequence[bool] | None = None
) -> Polytope:
    """A polytope from lists."""
    return Polytope.of(
        torch.as_tensor(A), torch.as_tensor(b), None if strict is None else torch.tensor(strict)
    )


def context_for(query: Query, seconds: float = 20.0, seed: int = 0) -> Context:
    """Float32 on the CPU."""
    return Context(
        deadline=Deadline.after(seconds),
        device=torch.device("cpu"),
        dtype=torch.float32,
        generator=torch.Generator().manual_seed(seed),
        logger=logging.getLogger("test"),
        confirm=lambda x: query.source.replay(x).valid,
    )


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """The makers above, for tests to take as one fixture."""
    return SimpleNamespace(
        chain=chain, dense=dense, query=query_of, clause=clause_of, rows=rows, context=context_for
    )
