# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vnnverify.query import Clause
from vnnverify.testing import Network, box, halfspaces
from vnnverify.testing.exact import Inequality, greatest, reachable, slack, solution, supremum


def row(*numbers: float, strict: bool = False) -> Inequality:
    """(a_1, …, a_n, b)"""
    *a, b = map(Fraction, numbers)
    return Inequality(tuple(a), b, strict)


TRIANGLE = [row(-1, 0, 0), row(0, -1, 0), row(1, 1, 1)]

SYSTEMS = [
    ("a triangle", TRIANGLE, True),
    ("its corner", [*TRIANGLE, row(-1, -1, -1), row(1, 0, 0)], True),
    ("past its edge", [*TRIANGLE, row(-1, -1, Fraction(-101, 100))], False),
    ("on its edge, strictly", [*TRIANGLE, row(-1, -1, -1, strict=True)], False),
    ("inside, strictly", [r if r.b else row(*map(float, r.a), 0, strict=True) for r in TRIANGLE], True),
    ("an open point", [row(1, 0, 0, strict=True), row(-1, 0, 0)], False),
    ("false without variables", [row(0, 0, -1)], False),
    ("strictly false without variables", [row(0, 0, 0, strict=True)], False),
    ("nothing said", [], True),
    ("a half-plane", [row(-1, 2, -7)], True),
]


@pytest.mark.parametrize(("rows", "feasible"), [s[1:] for s in SYSTEMS], ids=[s[0] for s in SYSTEMS])
def test_solution_is_found_exactly_where_there_is_one(rows: list[Inequality], feasible: bool) -> None:
    point = solution(rows, 2)
    assert (point is not None) == feasible
    for r in rows if point is not None else []:
        value = sum(a * x for a, x in zip(r.a, point or (), strict=True))
        assert value < r.b if r.strict else value <= r.b


def test_greatest_is_the_supremum_of_a_variable() -> None:
    assert greatest([*TRIANGLE, row(1, -1, Fraction(1, 3))], 2, 0) == Fraction(2, 3)
    assert greatest([*TRIANGLE, row(-1, -1, -2)], 2, 0) is None
    with pytest.raises(ValueError, match="variable 1 is not bounded above"):
        greatest([row(1, 0, 1)], 2, 1)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    sizes=st.sampled_from([(1, 3, 1), (2, 3, 1), (1, 2, 2, 1), (2, 2, 2, 1)]),
    level=st.integers(-8, 8).map(lambda k: k / 4),
)
def test_truth_agrees_with_exact_values_on_a_grid(seed: int, sizes: tuple[int, ...], level: float) -> None:
    network = Network.random(sizes, seed)
    n = network.inputs
    clauses = [Clause(box([-1.0] * n, [1.0] * n), (halfspaces(([-1.0], -level)),))]
    steps = [Fraction(k, 8) for k in range(-8, 9)]
    grid = [(x,) for x in steps] if n == 1 else [(x, y) for x in steps for y in steps]
    top = max(network(x)[0] for x in grid)
    point, room = reachable(network, clauses), slack(network, clauses)
    greatest_value = supremum(network, clauses[0].region)
    assert room is not None
    assert greatest_value >= top
    assert (point is not None) == (greatest_value >= Fraction(level)) == (room >= 0)
    assert room == min(greatest_value - Fraction(level), Fraction(1))
    if point is not None:
        assert network(point)[0] >= Fraction(level)
        assert all(-1 <= v <= 1 for v in point)


def test_empty_region_has_neither_point_nor_slack() -> None:
    network = Network.of(([[1.0]], [0.0]))
    clauses = [Clause(box([1.0], [0.0]), (halfspaces(([1.0], 5.0)),))]
    assert reachable(network, clauses) is None
    assert slack(network, clauses) is None
    with pytest.raises(ValueError, match="empty"):
        supremum(network, clauses[0].region)


def test_rewritten_networks_compute_what_they_should() -> None:
    network = Network.random((2, 3, 2, 1), seed=4)
    x = (Fraction(1, 3), Fraction(-2, 7))
    assert network.permuted()(x) == network(x)
    assert network.permuted() != network
    assert network.scaled(Fraction(4))(x) == tuple(4 * v for v in network(x))


def test_weights_that_float32_cannot_hold_are_refused() -> None:
    with pytest.raises(ValueError, match="not exact in float32"):
        Network.of(([[0.1]], [0.0]))


@pytest.mark.parametrize("apart", [False, True])
def test_onnx_model_computes_the_exact_values(apart: bool) -> None:
    from vnnverify.testing import query_of

    network = Network.random((2, 3, 1), seed=9)
    query = query_of(network.to_onnx(apart=apart), [Clause(box([-1.0] * 2, [1.0] * 2), ())])
    assert len(query.layout.inputs) == (2 if apart else 1)
    x = torch.tensor([0.5, -0.75], dtype=torch.float64)
    exact = [float(v) for v in network((Fraction(1, 2), Fraction(-3, 4)))]
    assert query.graph(x[None])[0].tolist() == exact
    assert list(query.source.replay(x).y) == exact
