# SPDX-License-Identifier: Apache-2.0
"""A graph is a pure function of flat points."""

from __future__ import annotations

import pytest
import torch

from vnnverify.ir import Graph, Node, Value
from vnnverify.ops.arrangement import Constant
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.sums import Sum


def two_inputs() -> Graph:
    """y = (relu(a) + constant, b): two inputs, two outputs, one of them an input."""
    a, b = Value("a", (1, 2)), Value("b", (3,))
    r, c, s = Value("r", (1, 2)), Value("c", (1, 2)), Value("s", (1, 2))
    constant = Constant(torch.tensor([[10.0, 20.0]], dtype=torch.float64))
    nodes = (Node(Relu(), (a,), r, "r"), Node(constant, (), c, "c"), Node(Sum((1, 1)), (r, c), s, "s"))
    return Graph((a, b), (s, b), nodes)


def test_inputs_are_cut_and_outputs_joined_in_order() -> None:
    graph = two_inputs()
    assert (graph.input_size, graph.output_size) == (5, 5)
    x = torch.tensor([[-1.0, 2.0, 3.0, 4.0, 5.0], [1.0, -2.0, 6.0, 7.0, 8.0]], dtype=torch.float64)
    expected = [[10.0, 22.0, 3.0, 4.0, 5.0], [11.0, 20.0, 6.0, 7.0, 8.0]]
    assert graph(x).tolist() == expected


def test_every_value_is_there_with_its_batch() -> None:
    graph = two_inputs()
    values = graph.evaluate(torch.zeros(4, 5, dtype=torch.float64))
    assert {v.name for v in values} == {"a", "b", "r", "c", "s"}
    assert all(tensor.shape == (4, *value.shape) for value, tensor in values.items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_conversion_keeps_values_and_changes_types(dtype: torch.dtype) -> None:
    graph = two_inputs()
    converted = graph.to("cpu", dtype)
    assert converted.inputs == graph.inputs
    assert [n.output for n in converted.nodes] == [n.output for n in graph.nodes]
    assert converted(torch.ones(2, 5, dtype=dtype)).dtype == dtype
    assert graph(torch.ones(2, 5, dtype=torch.float64)).dtype == torch.float64


def test_points_of_a_batch_do_not_mix() -> None:
    x, y = Value("x", (4,)), Value("y", (3,))
    weight = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    graph = Graph((x,), (y,), (Node(Linear(weight), (x,), y, "fc"),))
    points = torch.randn(6, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    one_by_one = torch.cat([graph(p[None]) for p in points])
    torch.testing.assert_close(graph(points), one_by_one, rtol=1e-13, atol=1e-13)
