# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vnnverify import Deadline
from vnnverify.bounds.propagation import Propagator, preactivation_bounds
from vnnverify.bounds.specification import Specification
from vnnverify.ir import Graph, Node, Value
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Relu
from vnnverify.query import Box, Clause, Polytope
from vnnverify.testing import check_domain


def margins(graph: Graph, lower: Tensor, upper: Tensor, *, forms: bool) -> tuple[Tensor, Tensor]:
    """Backward bounds (m,) of each output from rows +e_i and -e_i."""
    m = graph.output_size
    tool = Propagator(graph, torch.arange(lower.numel()) if forms else None, lower.dtype)
    state = tool.propagate(lower[None], upper[None], Deadline.never())
    rows = torch.cat([torch.eye(m), -torch.eye(m)])
    clause = Clause(Box(lower, upper), (Polytope.of(rows, torch.zeros(2 * m)),))
    spec = Specification.of([clause], m, torch.device("cpu"))
    linear, _ = tool.margins(state, spec.as_type(tool.dtype))
    low, negated = linear.lower.split(m)
    return low, -negated


@pytest.mark.parametrize("forms", [False, True], ids=["backward", "forward and backward"])
def test_bounds_enclose_every_operator(forms: bool) -> None:
    def bounds(graph: Graph, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        return margins(graph, lower, upper, forms=forms)

    records = check_domain(bounds, name="linear bounds", narrowing=False)
    assert records and not [r for r in records if r.status == "failed"]


def test_all_values_enclose_samples_in_float32() -> None:
    generator = torch.Generator().manual_seed(2)
    sizes = (5, 30, 30, 30, 4)
    value = first = Value("x", (5,))
    nodes = []
    for k, (a, b) in enumerate(itertools.pairwise(sizes)):
        weight = torch.randn(b, a, generator=generator) / a**0.5
        for op in (Linear(weight.double(), torch.randn(b, generator=generator).double() / 10), Relu()):
            output = Value(f"{k}{op.kind}", (b,))
            nodes.append(Node(op, (value,), output, output.name))
            value = output
    graph = Graph((first,), (value,), tuple(nodes))
    tool = Propagator(graph.to("cpu", torch.float32), torch.arange(5), torch.float32)
    centre = torch.rand(8, 5, generator=generator)
    lower, upper = centre - 0.2, centre + 0.2
    state = tool.propagate(lower, upper, Deadline.never())
    for t in torch.rand(200, 5, generator=generator, dtype=torch.float64):
        x = lower.double() + t * (upper.double() - lower.double())
        found = graph.evaluate(x)
        for name, (low, high) in state.interval.items():
            exact = found[next(v for v in found if v.name == name.name)]
            assert bool((low.double() <= exact).all() and (exact <= high.double()).all()), name.name


def test_closed_form_of_two_relus() -> None:
    """y = relu(x) + relu(-x) = |x| over [-1, 2]: the least is 0, CROWN's lower bound is within it."""
    x, h, r, y = Value("x", (1,)), Value("h", (2,)), Value("r", (2,)), Value("y", (1,))
    first = Linear(torch.tensor([[1.0], [-1.0]]).double())
    last = Linear(torch.tensor([[1.0, 1.0]]).double())
    graph = Graph(
        (x,), (y,), (Node(first, (x,), h, "h"), Node(Relu(), (h,), r, "r"), Node(last, (r,), y, "y"))
    )
    lower, upper = torch.tensor([-1.0]).double(), torch.tensor([2.0]).double()
    low, high = margins(graph, lower, upper, forms=False)
    # slopes: relu(x) >= x, relu(-x) >= 0; relu(x) <= 2/3 (x + 1), relu(-x) <= 1/3 (2 - x)
    assert -1.0 - 1e-9 <= float(low) <= 0.0
    assert 2.0 <= float(high) <= 2.0 + 1e-9
    bounds = preactivation_bounds(graph, lower, upper)
    assert bounds[h][0].tolist() == pytest.approx([-1.0, -2.0]) and bounds[h][1].tolist() == pytest.approx(
        [2.0, 1.0]
    )


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 1e300])
def test_nothing_is_proved_with_broken_numbers(poison: float) -> None:
    x, y = Value("x", (1,)), Value("y", (1,))
    hidden = [Value(f"h{k}", (1,)) for k in range(3)]
    big = torch.tensor([[poison]]).double()
    ops: list[Callable[[], Linear | Relu]] = [lambda: Linear(big), Relu, lambda: Linear(-big)]
    nodes = []
    value = x
    for op, output in zip(ops, hidden, strict=True):
        nodes.append(Node(op(), (value,), output, output.name))
        value = output
    nodes.append(Node(Linear(torch.ones(1, 1).double()), (value,), y, "y"))
    low, _ = margins(
        Graph((x,), (y,), tuple(nodes)), -torch.ones(1).double(), torch.ones(1).double(), forms=True
    )
    spec = Specification.of(
        [Clause(Box(-torch.ones(1), torch.ones(1)), (Polytope.of(torch.ones(1, 1), torch.zeros(1)),))],
        1,
        torch.device("cpu"),
    )
    assert bool(spec.open_polytopes(low[None]).any())
