# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vnnverify.domains import interval
from vnnverify.ir import Graph, Node, Value
from vnnverify.ir.op import Op
from vnnverify.ops.arrangement import Constant
from vnnverify.ops.linear import Linear
from vnnverify.ops.maximum import Max
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.scale import Scale
from vnnverify.ops.smooth import Exp, Power, Reciprocal, Sqrt
from vnnverify.ops.sums import AveragePool, ReduceSum, Sum
from vnnverify.query import Box


def chain(*ops: Op, size: int) -> Graph:
    value = first = Value("x", (size,))
    nodes = []
    for index, op in enumerate(ops):
        output = Value(f"v{index}", op.output_shape(value.shape))
        nodes.append(Node(op, (value,), output, f"n{index}"))
        value = output
    return Graph((first,), (value,), tuple(nodes))


def test_closed_form_of_one_affine_layer() -> None:
    """[1, -2]·x + 3 over [0, 1] x [1, 2] is [0, 2]."""
    weight = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    graph = chain(Linear(weight, torch.tensor([3.0], dtype=torch.float64)), size=2)
    lower, upper = interval.bounds(
        graph, Box(torch.tensor([0.0, 1.0]).double(), torch.tensor([1.0, 2.0]).double())
    )
    assert -1 - 1e-12 <= float(lower) <= -1 and 2 <= float(upper) <= 2 + 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_sampled_points_lie_inside(dtype: torch.dtype, scale: float) -> None:
    generator = torch.Generator().manual_seed(1)
    for width in (0.0, 1e-3, 1.0):
        weights = [
            torch.randn(6, 4, generator=generator).double(),
            torch.randn(3, 6, generator=generator).double(),
        ]
        graph = chain(Linear(scale * weights[0]), Relu(), Linear(weights[1]), size=4)
        centre = torch.randn(4, generator=generator, dtype=torch.float64)
        region = Box(centre - width, centre + width)
        lower, upper = interval.bounds(graph.to("cpu", dtype), region)
        y = graph.to("cpu", dtype).to("cpu", torch.float64)(region.sample(2000, generator))
        assert bool((y >= lower.double()).all() and (y <= upper.double()).all())


def test_maximum_takes_the_larger_ends() -> None:
    x, z = Value("x", (2,)), Value("z", (2,))
    c, m = Value("c", (2,)), Value("m", (2,))
    nodes = (
        Node(Constant(torch.tensor([0.5, -9.0], dtype=torch.float64)), (), c, "c"),
        Node(Max(), (x, c), m, "m"),
        Node(Sum((1, -1)), (m, x), z, "z"),
    )
    graph = Graph((x,), (m,), nodes)
    lower, upper = interval.bounds(graph, Box(torch.zeros(2).double(), torch.ones(2).double()))
    assert lower.tolist() == [0.5, 0.0] and upper.tolist() == [1.0, 1.0]


def test_overflow_is_unknown_not_a_proof() -> None:
    big = torch.full((1, 1), 1e308, dtype=torch.float64)
    graph = chain(Linear(big), Linear(big), Linear(-big), size=1)
    lower, upper = interval.bounds(graph, Box(-torch.ones(1).double(), torch.ones(1).double()))
    assert float(lower) == -float("inf") and float(upper) == float("inf")


def test_unknown_operator_is_refused_by_name() -> None:
    class Strange(Op):
        def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
            return inputs[0]

    support = interval.supports(chain(Strange(), size=1))
    assert not support and "Strange" in support.reason and "interval" in support.reason


def test_an_infinite_end_leaves_the_other() -> None:
    """1 / (1 + Σ exp(x)) lies between 0 and 1, whatever overflows."""
    one = torch.ones(1, dtype=torch.float64)
    graph = chain(
        Exp(), ReduceSum((0,), True, 1.0, 2), Scale(-one, -one), Scale(-one, None), Reciprocal(), size=2
    )
    lower, upper = interval.bounds(graph, Box(torch.zeros(2).double(), 1e4 * torch.ones(2).double()))
    assert float(lower) == pytest.approx(0, abs=1e-9) and float(upper) == pytest.approx(1 / 3)


def numbers(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize(
    ("ops", "ends", "expected"),
    [
        ([Scale(numbers(-1.0), None)], (0.0, 0.3), (-0.3, 0.0)),
        ([Scale(None, numbers(-0.5)), Relu(), Scale(numbers(-1.0), None)], (-1.0, 1.0), (-0.5, 0.0)),
        ([Scale(None, numbers(-0.1)), Relu()], (-1.0, 0.1), (0.0, 0.0)),
        ([Scale(numbers(3.0), numbers(-0.25))], (0.0, 0.0), (-0.25, -0.25)),
        ([Scale(numbers(4.0), None), Scale(numbers(0.25), None)], (-0.1, 0.7), (-0.1, 0.7)),
    ],
    ids=["negation", "negated relu", "shift to zero", "zero shifted", "powers of two"],
)
def test_ends_that_are_not_rounded_stay(
    ops: list[Op], ends: tuple[float, float], expected: tuple[float, float]
) -> None:
    lower, upper = interval.bounds(chain(*ops, size=1), Box(*(numbers(end) for end in ends)))
    assert (float(lower), float(upper)) == expected


ORDINARY = st.floats(-1e6, 1e6).map(lambda v: v if abs(v) > 1e-30 else 0.0)


@settings(deadline=None)
@given(ORDINARY, ORDINARY, ORDINARY, ORDINARY)
def test_scaled_ends_enclose_the_exact_ones(a: float, b: float, s: float, t: float) -> None:
    """Against rational numbers; and an end that a float is, is that float."""
    lower, upper = sorted((a, b))
    low, high = interval.bounds(
        chain(Scale(numbers(s), numbers(t)), size=1), Box(numbers(lower), numbers(upper))
    )
    least, most = sorted(Fraction(s) * Fraction(end) + Fraction(t) for end in (lower, upper))
    assert Fraction(float(low)) <= least <= most <= Fraction(float(high))


@settings(deadline=None)
@given(ORDINARY, ORDINARY, ORDINARY, st.sampled_from([(1, 1, 1), (1, -1, 1), (-1, 1, -1)]))
def test_ends_of_sums_enclose_the_exact_ones(a: float, b: float, c: float, signs: tuple[int, ...]) -> None:
    x = [Value(f"x{k}", (1,)) for k in range(3)]
    y = Value("y", (1,))
    graph = Graph(tuple(x), (y,), (Node(Sum(signs), tuple(x), y, "sum"),))
    low, high = interval.bounds(graph, Box(numbers(a, b, c), numbers(a, b, c)))
    true = sum((s * Fraction(v) for s, v in zip(signs, (a, b, c), strict=True)), Fraction(0))
    assert Fraction(float(low)) <= true <= Fraction(float(high))
    if Fraction(float(true)) == true and a + b == Fraction(a) + Fraction(b) == 0:
        assert float(low) == float(high)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "sum_of",
    [
        ReduceSum((0,), True, 1.0, 3),
        ReduceSum((0,), True, 1 / 3, 3),
        Linear(torch.tensor([[0.1, 0.0, 0.7]]).double()),
        Linear(torch.tensor([[0.1, 0.0, 0.7]]).double(), torch.zeros(1).double()),
    ],
    ids=["sum", "mean", "product", "product and offset"],
)
def test_sums_of_what_is_not_negative_end_at_zero(sum_of: Op, dtype: torch.dtype) -> None:
    graph = chain(Power(2.0), sum_of, Sqrt(), size=3).to("cpu", dtype)
    region = Box(-torch.ones(3).double(), torch.ones(3).double())
    lower, upper = interval.bounds(graph, region)
    assert float(lower) == 0 and 0 < float(upper) < 2


def test_an_average_of_what_is_not_negative_ends_at_zero() -> None:
    weight = torch.full((2,), 1 / 3, dtype=torch.float64)
    x, y, z = Value("x", (1, 1, 4)), Value("y", (1, 1, 4)), Value("z", (1, 1, 2))
    nodes = (
        Node(Relu(), (x,), y, "relu"),
        Node(AveragePool((3,), (1,), (0,), (0,), weight), (y,), z, "mean"),
    )
    lower, _ = interval.bounds(Graph((x,), (z,), nodes), Box(-torch.ones(4).double(), torch.ones(4).double()))
    assert lower.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("weight", "bias"), [([-1e-60, 1.0], [0.0]), ([1.0, 1.0], [-1e-60]), ([1.0, -0.5], [0.0])]
)
def test_a_sum_with_something_negative_ends_below_zero(weight: list[float], bias: list[float]) -> None:
    """Also what float32 takes for zero."""
    graph = chain(Linear(numbers(*weight)[None], numbers(*bias)), size=2)
    region = Box(torch.zeros(2).double(), torch.ones(2).double())
    for dtype in (torch.float32, torch.float64):
        lower, _ = interval.bounds(graph.to("cpu", dtype), region)
        assert float(lower) < 0


def test_a_constant_is_added_to_each_box_of_a_batch() -> None:
    x, c, y = Value("x", (1,)), Value("c", (1,)), Value("y", (1,))
    nodes = (Node(Constant(numbers(0.5)), (), c, "c"), Node(Sum((1, 1)), (x, c), y, "sum"))
    found = interval.bounds_of_values(
        Graph((x,), (y,), nodes), numbers(0.0, -1.0)[:, None], numbers(1.0, 1.0)[:, None]
    )
    assert [end.flatten().tolist() for end in found[y]] == [[0.5, -0.5], [1.5, 1.5]]
