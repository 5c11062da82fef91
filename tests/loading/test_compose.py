# SPDX-License-Identifier: Apache-2.0
"""Graphs side by side, and graphs with inputs that are the same, compute what the parts compute."""

from __future__ import annotations

import pytest
import torch

from vnnverify.ir import Graph, Node, Value
from vnnverify.loading.compose import side_by_side, with_shared_inputs
from vnnverify.ops.linear import Linear
from vnnverify.simplify import simplify


def product(weight: list[list[float]]) -> Graph:
    W = torch.tensor(weight, dtype=torch.float64)
    x, y = Value("x", (1, W.shape[1])), Value("y", (1, W.shape[0]))
    return Graph((x,), (y,), (Node(Linear(W), (x,), y, "fc"),))


def test_side_by_side() -> None:
    f, g = product([[1.0, 2.0]]), product([[3.0, 4.0, 5.0]])
    joined = side_by_side([f, g, f], ["f", "g", "h"])
    x = torch.rand(4, 7, dtype=torch.float64)
    expected = torch.cat([f(x[:, :2]), g(x[:, 2:5]), f(x[:, 5:])], dim=1)
    assert torch.equal(joined(x), expected)
    assert [node.name for node in joined.nodes] == ["f/fc", "g/fc", "h/fc"]
    assert joined.nodes[0].op is joined.nodes[2].op and joined.inputs[0] is not joined.inputs[2]


@pytest.mark.parametrize(
    ("columns", "inputs"),
    [
        ((0, 1, 2, 3), 2),
        ((0, 1, 0, 1), 1),  # the second network reads the first one's input
        ((0, 1, 1, 0), 1),
        ((0, 1, 2, 1), 2),
        ((0, 0, 1, 2), 2),
        ((0, 0, 0, 0), 1),
    ],
)
def test_shared_inputs(columns: tuple[int, ...], inputs: int) -> None:
    graph = side_by_side([product([[1.0, 2.0]]), product([[3.0, 5.0]])], ["f", "g"])
    shared = with_shared_inputs(graph, columns)
    assert (len(shared.inputs), shared.input_size) == (inputs, max(columns) + 1)
    x = torch.rand(5, max(columns) + 1, dtype=torch.float64)
    assert torch.equal(shared(x), graph(x[:, list(columns)]))
    assert torch.equal(simplify(shared)(x), shared(x))
