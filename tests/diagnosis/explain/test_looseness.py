# SPDX-License-Identifier: Apache-2.0
"""Where bounds get loose, on networks small enough to say so by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from vnnverify import Deadline
from vnnverify.diagnosis.explain.looseness import Loosest, affordable, loosest_node, readable, sample
from vnnverify.ir import Graph, Node, Op, Value
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.scale import Scale
from vnnverify.ops.smooth import Reciprocal
from vnnverify.ops.softmax import Softmax
from vnnverify.testing import box


class Riddle(Op):
    """An operator without a trait."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return inputs[0]


def linear(*rows: list[float]) -> Linear:
    return Linear(torch.tensor(rows, dtype=torch.float64))


def chain(*ops: Op, size: int = 1) -> Graph:
    value = first = Value("x", (size,))
    nodes = []
    for index, op in enumerate(ops):
        output = Value(f"v{index}", op.output_shape(value.shape))
        nodes.append(Node(op, (value,), output, f"n{index}"))
        value = output
    return Graph((first,), (value,), tuple(nodes))


def find(graph: Graph, low: float = -1.0, high: float = 1.0) -> Loosest | None:
    region = box([low] * graph.input_size, [high] * graph.input_size)
    points = sample(region, 64, torch.Generator().manual_seed(0))
    return loosest_node(graph, region, points, Deadline.never())


CANCELLING = linear([1.0, -0.75])  # of two equal values between 0 and 1: at most 1/4, by intervals 1


def test_dependency_that_intervals_forget_is_found() -> None:
    found = find(chain(linear([1.0], [1.0]), Relu(), CANCELLING, Relu()))
    assert found is not None
    assert (found.node, found.operator) == ("n3", "Relu")
    assert found.looseness == pytest.approx(4.0) and found.before == pytest.approx(1.0)


def test_growth_counts_not_size() -> None:
    """What was loose before and stays so is not the place; the first of equals is."""
    again = (linear([1.0], [1.0]), Relu(), CANCELLING, Relu())
    found = find(chain(*again, *again))
    assert found is not None and found.node == "n3"
    half = linear([1.0, -0.5])  # at most 1/2, by intervals 1
    found = find(chain(linear([1.0], [1.0]), Relu(), half, Relu(), *again))
    assert found is not None and found.node == "n7"
    assert found.looseness / found.before == pytest.approx(4.0) and found.before == pytest.approx(2.0)


def test_exact_bounds_do_not_loosen_though_samples_see_less() -> None:
    wide = torch.ones(1, 100, dtype=torch.float64)
    found = find(chain(Linear(wide), Relu(), size=100))
    assert found is not None
    assert found.before > 2 and found.looseness == pytest.approx(found.before, rel=0.5)


def test_infinite_bounds_end_the_walk() -> None:
    found = find(chain(Relu(), Reciprocal(), Relu()), -1.0, 1.0)
    assert found is not None and (found.node, found.operator) == ("n1", "Reciprocal")
    assert math.isinf(found.looseness)


def test_operator_without_bounds_is_the_place() -> None:
    assert find(chain(Relu(), Riddle(), Relu())) == Loosest("n1", "Riddle")


def test_product_of_two_variables_has_widths_too() -> None:
    """x·(−x) over [−1, 1] is [−1, 1] by intervals."""
    x, n, z = Value("x", (1,)), Value("n", (1,)), Value("z", (1,))
    negative = Scale(-torch.ones(1, dtype=torch.float64), None)
    nodes = (Node(negative, (x,), n, "n"), Node(Mul(), (x, n), z, "product"))
    found = find(Graph((x,), (z,), nodes))
    assert found is not None and (found.node, found.operator) == ("product", "Mul")
    assert found.before == pytest.approx(1.0) and 2.0 <= found.looseness < 2.2


def test_operator_made_of_parts_is_named_as_a_whole() -> None:
    found = find(chain(linear([3.0], [1.0]), Softmax(0)))
    assert found is not None and (found.node, found.operator) == ("n1", "Softmax")


def test_values_that_do_not_differ_say_nothing() -> None:
    found = find(chain(linear([0.0]), Relu()))
    assert found is not None and (found.looseness, found.before) == (1.0, 1.0)


def test_affine_network_has_no_such_node() -> None:
    assert find(chain(linear([2.0]))) is None


def test_expired_deadline_ends_the_walk() -> None:
    graph, region = chain(Relu()), box([-1.0], [1.0])
    assert loosest_node(graph, region, torch.zeros(4, 1).double(), Deadline.after(0.0)) is None


def test_samples_lie_in_the_box_and_reach_opposite_corners() -> None:
    region = box([-1.0, 0.0, 2.0], [1.0, 0.0, 5.0])
    points = sample(region, 40, torch.Generator().manual_seed(3))
    assert points.shape == (40, 3) and bool(region.contains(points).all())
    assert torch.equal(points[:10] + points[10:20], (region.lower + region.upper).expand(10, 3))
    assert torch.equal(points, sample(region, 40, torch.Generator().manual_seed(3)))
    assert sample(region, 1, torch.Generator()).shape == (1, 3)


def test_large_networks_are_sampled_less() -> None:
    @dataclasses.dataclass(frozen=True, slots=True, eq=False)
    class Vast(Linear):
        @property
        def fan_in(self) -> int:
            return 10**9

    small = chain(linear([1.0]), Relu())
    large = dataclasses.replace(
        small, nodes=(dataclasses.replace(small.nodes[0], op=Vast(torch.ones(1, 1))),)
    )
    assert affordable(small) == 256 and affordable(large) == 16


def test_black_box_is_not_readable() -> None:
    assert readable(chain(linear([1.0], [2.0]), Relu(), Softmax(0)))
    assert not readable(chain(Riddle()))
