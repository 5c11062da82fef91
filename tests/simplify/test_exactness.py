# SPDX-License-Identifier: Apache-2.0
"""What is rounded when a graph is rewritten is counted by bounds: measured by exact fractions."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from vnnverify.domains import interval
from vnnverify.ir import Graph, Node, Value
from vnnverify.numerics import PARAMETER_ROUNDINGS
from vnnverify.ops.choice import Choice
from vnnverify.ops.conv import Conv
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import LeakyRelu, Tent
from vnnverify.ops.scale import Scale
from vnnverify.ops.steps import Step
from vnnverify.simplify import fuse_products, merge_duplicates, simplify
from vnnverify.simplify.exactness import (
    can_be_rounded,
    is_float,
    product_roundings,
    source_of,
    sum_is_exact,
)

from .conftest import Writer

THIRD = Fraction(1, 3)


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def holds(graph: Graph, point: float, *truth: Fraction) -> bool:
    """Whether the bounds of the simplified graph at one point hold the true values."""
    x = torch.full((1, graph.input_size), point, dtype=torch.float64)
    found = simplify(graph)
    lower, upper = interval.bounds_of_values(found, x, x)[found.outputs[0]]
    ends = zip(lower.flatten().tolist(), truth, upper.flatten().tolist(), strict=True)
    return all(Fraction(low) <= true <= Fraction(high) for low, true, high in ends)


def falling(count: int) -> list[float]:
    """Factors whose product, rounded after each, falls behind the exact one as far as it can."""
    candidates = [1 + k / 97 for k in range(1, 60)]
    rounded, exact, chosen = 1.0, Fraction(1), []
    for _ in range(count):
        best = min(candidates, key=lambda s: Fraction(rounded * s) / (exact * Fraction(s)))
        chosen.append(best)
        rounded, exact = rounded * best, exact * Fraction(best)
    assert Fraction(rounded) < exact * (1 - Fraction(2 * PARAMETER_ROUNDINGS, 2**53))
    return chosen


@pytest.mark.parametrize("kind", ["product", "convolution"])
def test_a_long_chain_of_scalings_is_not_rounded_away(kind: str) -> None:
    """Each fusion rounds the weights anew, in the same direction, and bounds count eight roundings."""
    factors, w = falling(60), Writer(1, 1, 1)
    op = Linear(tensor(1, 1).reshape(2, 1)) if kind == "product" else None
    value = w.of(op or Conv(tensor(1, 1).reshape(2, 1, 1), None, (1,), (0,), (0,), (1,)), w.x)
    for factor in factors:
        pair = tensor(factor, 1).reshape((1, 1, 2) if kind == "product" else (1, 2, 1))
        value = w.of(Scale(pair, None), value)
    exact = Fraction(1)
    for factor in factors:
        exact *= Fraction(factor)
    assert holds(w.graph(value), 1.0, exact, Fraction(1))


def test_a_step_of_a_truth_value_knows_the_exact_number() -> None:
    """0.30000000000000004 − 3·0.1·t is above zero for a true t; rounded, it is zero."""
    w = Writer(1)
    less = w.line(3.0, w.line(-0.1, w.of(Step(), w.x)), 0.1 * 3)
    assert 0.1 * 3 - 3 * 0.1 == 0 < Fraction(0.1 * 3) - 3 * Fraction(0.1)
    assert holds(w.graph(w.of(Step(), less)), 1.0, Fraction(1))


def test_what_is_exact_of_a_truth_value_is_straight() -> None:
    w = Writer(1)
    value = w.of(Tent(), w.line(0.5, w.of(Step(), w.x)))
    assert [node.op.kind for node in simplify(w.graph(value)).nodes] == ["Step", "Scale"]


def test_a_slope_that_is_no_float_stays_outside_the_function() -> None:
    """Where(x > 0, 3x, 0.1x) has a slope of 0.1/3 relative to the other one."""
    w = Writer(1)
    value = w.of(Choice(), w.of(Step(), w.x), w.line(3.0, w.x), w.line(0.1, w.x))
    graph = w.graph(value)
    assert not any(isinstance(node.op, LeakyRelu) for node in simplify(graph).nodes)
    assert holds(graph, -1.0, -Fraction(0.1))
    assert holds(graph, 1.0, Fraction(3))


def test_a_coefficient_below_all_floats_is_not_written() -> None:
    """A thousandth, to the power of two hundred."""
    w = Writer(1)
    value = w.x
    for _ in range(200):
        value = w.line(1e-3, value)
    assert holds(w.graph(value), 1.0, Fraction(1e-3) ** 200)


def test_rounded_weights_are_not_multiplied_nor_taken_for_others() -> None:
    x, y, z = Value("x", (1, 2)), Value("y", (1, 2)), Value("z", (1, 2))
    for roundings, count in ((0, 1), (1, 2)):
        first, second = (Linear(torch.eye(2).double(), roundings=roundings) for _ in range(2))
        chain = Graph((x,), (z,), (Node(first, (x,), y, "y"), Node(second, (y,), z, "z")))
        assert len(fuse_products(chain).nodes) == count
        pair = Graph((x,), (y, z), (Node(first, (x,), y, "y"), Node(second, (x,), z, "z")))
        assert len(merge_duplicates(pair).nodes) == count


def test_fractions_that_floats_hold() -> None:
    assert is_float(Fraction(0.1)) and not is_float(THIRD) and not is_float(Fraction(2) ** 200)
    assert source_of(Fraction(1), Fraction(0)) is None and source_of(THIRD) == (THIRD,)
    assert can_be_rounded(THIRD, Fraction(0)) and not can_be_rounded(THIRD**100)


def test_roundings_of_products_and_sums() -> None:
    single = torch.rand(100, generator=torch.Generator().manual_seed(1)).double()
    double = torch.rand(100, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert product_roundings(single, single) == 0 and product_roundings(double, double) == 1
    assert product_roundings(tensor(1e-300), tensor(1e-10)) == float("inf")
    assert product_roundings(tensor(0.1, 0), tensor(4, 0.1)) == 0
    assert sum_is_exact(tensor(0.1), tensor(-0.1000001)) and not sum_is_exact(tensor(0.1), tensor(0.2))
