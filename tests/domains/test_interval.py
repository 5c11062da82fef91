# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from vnnverify.domains import interval
from vnnverify.ir import Graph, Node, Value
from vnnverify.ir.op import Op
from vnnverify.ops.arrangement import Constant
from vnnverify.ops.linear import Linear
from vnnverify.ops.maximum import Max
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.scale import Scale
from vnnverify.ops.smooth import Exp, Reciprocal
from vnnverify.ops.sums import ReduceSum, Sum
from vnnverify.query import Region


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
        graph, Region(torch.tensor([0.0, 1.0]).double(), torch.tensor([1.0, 2.0]).double())
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
        region = Region(centre - width, centre + width)
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
    lower, upper = interval.bounds(graph, Region(torch.zeros(2).double(), torch.ones(2).double()))
    assert lower.tolist() == [0.5, 0.0] and upper.tolist() == [1.0, 1.0]


def test_overflow_is_unknown_not_a_proof() -> None:
    big = torch.full((1, 1), 1e308, dtype=torch.float64)
    graph = chain(Linear(big), Linear(big), Linear(-big), size=1)
    lower, upper = interval.bounds(graph, Region(-torch.ones(1).double(), torch.ones(1).double()))
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
    lower, upper = interval.bounds(graph, Region(torch.zeros(2).double(), 1e4 * torch.ones(2).double()))
    assert float(lower) == pytest.approx(0, abs=1e-9) and float(upper) == pytest.approx(1 / 3)
