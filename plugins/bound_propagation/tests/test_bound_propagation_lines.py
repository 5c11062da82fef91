# SPDX-License-Identifier: Apache-2.0
"""Optimised lines: never worse than the first ones, and sound at samples."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from vnnverify_bound_propagation.backends.bound_propagation import BoundPropagation
from vnnverify_bound_propagation.schedule.settings import Settings

from vnnverify import Deadline, Verdict
from vnnverify.bounds.intermediate.refinement import Refinement
from vnnverify.bounds.propagation import Propagator
from vnnverify.deadline import OutOfTime
from vnnverify.ir import Elementwise, Graph, Node, Value
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.linear import Linear
from vnnverify.ops.periodic import Sin
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.sigmoidal import Sigmoid, Tanh
from vnnverify.ops.smooth import Exp
from vnnverify.query import Box, Clause, Layout, Polytope, Query, Replay
from vnnverify.testing import context


def network(op: Elementwise, seed: int = 0) -> Graph:
    """A product of two branches with `op` in one and ReLU in the other: 4 -> 12 -> 3."""
    generator = torch.Generator().manual_seed(seed)

    def linear(out: int, into: int) -> Linear:
        weight = torch.randn(out, into, generator=generator, dtype=torch.float64) / into**0.5
        return Linear(weight, torch.randn(out, generator=generator, dtype=torch.float64) / 4)

    x, a, b, f, g, h, z, y = (
        Value(n, (s,)) for n, s in zip("xabfghzy", (4, 12, 12, 12, 12, 12, 12, 3), strict=True)
    )
    nodes = [
        Node(linear(12, 4), (x,), a, "a"),
        Node(op, (a,), f, "f"),
        Node(linear(12, 12), (f,), b, "b"),
        Node(Relu(), (b,), g, "g"),
        Node(Mul(), (f, g), h, "h"),
        Node(Tanh(), (h,), z, "z"),
        Node(linear(3, 12), (z,), y, "y"),
    ]
    return Graph((x,), (y,), tuple(nodes))


class NeverConfirms:
    """For questions about proofs alone."""

    def replay(self, x: Tensor) -> Replay:
        return Replay(False, "no model", (), ())


@pytest.mark.parametrize("op", [Sigmoid(), Exp(), Sin(), Relu()], ids=lambda op: op.kind)
def test_bounds_rise_and_hold_at_samples(op: Elementwise) -> None:
    graph = network(op)
    tool = Propagator(graph, None, torch.float64)
    lower, upper = torch.full((2, 4), -0.5).double(), torch.tensor([[0.5] * 4, [0.1] * 4]).double()
    state = tool.propagate(lower, upper, Deadline.never())
    A = torch.cat([torch.eye(3), -torch.eye(3)]).double().repeat(2, 1)
    b, box = torch.zeros(12).double(), torch.arange(2).repeat_interleave(6)
    plain = tool.optimised_margins(state, A, b, box, 0, Deadline.never()).lower
    found = tool.optimised_margins(state, A, b, box, 15, Deadline.never()).lower
    assert bool((found >= plain - 1e-6).all()) and float((found - plain).max()) > 1e-3
    Refinement(tool, state).run(4, Deadline.never())
    best = tool.optimised_margins(state, A, b, box, 15, Deadline.never())
    assert bool((best.lower >= found - 1e-3).all())
    t = torch.rand(500, 1, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    t[:100] = t[:100].round()
    for k in (0, 1):
        y = graph(lower[k] + t[:, 0] * (upper[k] - lower[k]))
        margins = y @ A[box == k].T
        assert bool((margins >= best.lower[box == k]).all())
    for name, (low, high) in state.interval.items():
        values = tool.graph.evaluate(lower[1] + t[:, 0] * (upper[1] - lower[1]))[name]
        assert bool((values >= low[1]).all() and (values <= high[1]).all()), name.name


def test_no_time_is_no_bound() -> None:
    graph = network(Sigmoid())
    tool = Propagator(graph, None, torch.float64)
    lower, upper = torch.full((1, 4), -0.5).double(), torch.full((1, 4), 0.5).double()
    state = tool.propagate(lower, upper, Deadline.never())
    A, b, box = torch.eye(3).double(), torch.zeros(3).double(), torch.zeros(3, dtype=torch.long)
    with pytest.raises(OutOfTime):
        tool.optimised_margins(state, A, b, box, 50, Deadline.after(0))
    assert bool(torch.isfinite(tool.optimised_margins(state, A, b, box, 0, Deadline.never()).lower).all())


@pytest.mark.parametrize("op", [Sigmoid(), Sin()], ids=lambda op: op.kind)
def test_splits_of_curves_prove_what_lines_do_not(op: Elementwise) -> None:
    """A threshold between the largest sampled output and the root's bound is proved after splits; one that is
    reached stays open."""
    graph = network(op, seed=3)
    lower, upper = torch.full((4,), -0.5).double(), torch.full((4,), 0.5).double()
    t = torch.rand(20000, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    t = (4 * (t - 0.5)).clamp(-0.5, 0.5) + 0.5
    best = float(graph(lower + t * (upper - lower))[:, 0].max())
    least = torch.tensor([[-1.0, 0.0, 0.0]]).double()
    tool = Propagator(graph, None, torch.float64)
    state = tool.propagate(lower[None], upper[None], Deadline.never())
    zero, box = torch.zeros(1).double(), torch.zeros(1, dtype=torch.long)
    root = -float(tool.optimised_margins(state, least, zero, box, 20, Deadline.never()).lower)
    assert root > best
    outcomes, limit_of = [], {False: 120.0, True: 3.0}
    for limit in (best + 0.7 * (root - best), best - 1e-3):
        clause = Clause(Box(lower, upper), (Polytope.of(least, torch.tensor([-limit])),))
        query = Query(graph, (clause,), Layout((), ()), NeverConfirms())
        backend = BoundPropagation(Settings(split_inputs=0))
        outcomes.append(backend.verify(query, context(query, limit_of[limit < best])).verdict)
    assert outcomes[0] is Verdict.UNSAT and outcomes[1] is not Verdict.UNSAT


def test_rows_that_depend_on_no_line_are_bounded_as_they_are() -> None:
    """An output that goes round the sigmoid is x itself: its bounds are the box."""
    x, y = Value("x", (2,)), Value("y", (2,))
    graph = Graph((x,), (y, x), (Node(Sigmoid(), (x,), y, "y"),))
    tool = Propagator(graph, None, torch.float64)
    ends = torch.tensor([[-1.0, -2.0]]).double(), torch.tensor([[3.0, 1.0]]).double()
    state = tool.propagate(*ends, Deadline.never())
    A = torch.cat([torch.zeros(2, 2), torch.eye(2)], 1).double()
    box = torch.zeros(2, dtype=torch.long)
    found = tool.optimised_margins(state, A, torch.zeros(2).double(), box, 5, Deadline.never())
    assert found.lower.tolist() == pytest.approx([-1.0, -2.0], abs=1e-9)
