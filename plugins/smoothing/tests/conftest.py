# SPDX-License-Identifier: Apache-2.0
"""Two-class queries made by hand."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from vnnverify import Box, Clause, Context, Deadline, Polytope, Query
from vnnverify.ir import Graph, Node, Op, Value
from vnnverify.ops.linear import Linear
from vnnverify.query import Layout, Replay, TensorSpec


class NoModel:
    """A source that confirms nothing: no witness may ever be offered to it."""

    def replay(self, x: Tensor) -> Replay:
        raise AssertionError("smoothing has no witnesses")


def graph_of(op: Op, inputs: int) -> Graph:
    """A graph of one operator on a vector."""
    x, y = Value("x", (inputs,)), Value("y", op.output_shape((inputs,)))
    return Graph((x,), (y,), (Node(op, (x,), y, "node"),))


def plane(weight: Sequence[float], bias: float) -> Graph:
    """Two outputs: w x + b and 0, so that class 0 wins where w x + b > 0."""
    w = torch.tensor([list(weight), [0.0] * len(weight)], dtype=torch.float64)
    return graph_of(Linear(w, torch.tensor([bias, 0.0], dtype=torch.float64)), len(weight))


def beats(winner: int, loser: int, outputs: int = 2, b: float = 0.0) -> Polytope:
    """y[loser] - y[winner] <= b."""
    A = torch.zeros(1, outputs)
    A[0, loser], A[0, winner] = 1.0, -1.0
    return Polytope.of(A, torch.tensor([b]))


def ball(centre: Sequence[float], half: float, *unsafe: Polytope) -> Clause:
    """The box of half-width `half` around a centre, and its unsafe polytopes."""
    middle = torch.tensor(centre, dtype=torch.float64)
    return Clause(Box(middle - half, middle + half), unsafe)


def query_of(graph: Graph, *clauses: Clause, outputs: int | None = None) -> Query:
    """A query without a model behind it."""
    own = graph.output_size if outputs is None else outputs
    layout = Layout((TensorSpec("x", (graph.input_size,), "float32"),), (TensorSpec("y", (own,), "float32"),))
    return Query(graph, clauses, layout, NoModel())


def context_for(seconds: float = 100.0, seed: int = 0) -> Context:
    """Float32 on the CPU."""
    return Context(
        deadline=Deadline.after(seconds),
        device=torch.device("cpu"),
        dtype=torch.float32,
        generator=torch.Generator().manual_seed(seed),
        logger=logging.getLogger("test"),
        confirm=lambda x: False,
    )


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The makers above, for tests to take as one fixture."""
    return SimpleNamespace(
        graph=graph_of, plane=plane, beats=beats, ball=ball, query=query_of, context=context_for
    )
