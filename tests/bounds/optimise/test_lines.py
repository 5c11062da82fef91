# SPDX-License-Identifier: Apache-2.0
"""Optimised lines: never worse than the first ones, and sound at samples."""

from __future__ import annotations

import pytest
import torch
from curved_network import network

from vnnverify import Deadline
from vnnverify.bounds.intermediate.refinement import Refinement
from vnnverify.bounds.propagation import Propagator
from vnnverify.deadline import OutOfTime
from vnnverify.ir import Elementwise, Graph, Node, Value
from vnnverify.ops.periodic import Sin
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.sigmoidal import Sigmoid
from vnnverify.ops.smooth import Exp


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
