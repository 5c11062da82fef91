# SPDX-License-Identifier: Apache-2.0
"""Matrix products in a row are fused only where no sum is rounded and the result is smaller."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import Tensor

from vnnverify.ir import Graph, Node, Value
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Relu
from vnnverify.simplify import fuse_products


def chain(*ops: Linear | Relu, size: int) -> Graph:
    x = last = Value("x", (1, size))
    nodes = []
    for index, op in enumerate(ops):
        output = Value(f"v{index}", op.output_shape(last.shape))
        nodes.append(Node(op, (last,), output, f"n{index}"))
        last = output
    return Graph((x,), (last,), tuple(nodes))


def single(*shape: int) -> Tensor:
    """Numbers of float32 precision, as trained weights are."""
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator).double()


def differences(outputs: int, inputs: int) -> Tensor:
    """Rows x_i − x_j."""
    weight = torch.zeros(outputs, inputs, dtype=torch.float64)
    for row in range(outputs):
        weight[row, row % inputs] += 1
        weight[row, (row + 1) % inputs] -= 1
    return weight


def test_selections_and_differences_are_fused_exactly() -> None:
    first = Linear(single(16, 3), single(16))
    second = Linear(differences(20, 16), single(20))
    graph = chain(first, second, Relu(), size=3)
    fused = fuse_products(graph)
    assert [n.op.kind for n in fused.nodes] == ["Linear", "Relu"]
    W, b = fused.nodes[0].op.weight, fused.nodes[0].op.bias
    for i in range(20):
        row = [Fraction(float(v)) for v in second.weight[i]]
        for j in range(3):
            column = first.weight[:, j].tolist()
            assert Fraction(float(W[i, j])) == sum(r * Fraction(c) for r, c in zip(row, column, strict=True))
        offset = sum(r * Fraction(c) for r, c in zip(row, first.bias.tolist(), strict=True))
        assert Fraction(float(b[i])) == offset + Fraction(float(second.bias[i]))


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        (Linear(single(16, 3)), Linear(single(20, 16)), "the products round"),
        (Linear(single(16, 3) / 3), Linear(differences(20, 16)), "the differences round"),
        (Linear(single(4, 30)), Linear(differences(30, 4)), "the product is larger"),
        (Linear(single(16, 3), single(16) / 3), Linear(differences(20, 16)), "the bias rounds"),
        (
            Linear(torch.tensor([[1.0], [2.0**60]], dtype=torch.float64)),
            Linear(torch.ones(1, 2, dtype=torch.float64)),
            "the sum rounds",
        ),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_what_would_round_or_grow_stays(first: Linear, second: Linear, why: str) -> None:
    graph = chain(first, second, size=first.weight.shape[1])
    assert fuse_products(graph) is graph, why


def test_a_value_that_others_read_stays() -> None:
    graph = chain(Linear(single(16, 3)), Linear(differences(20, 16)), size=3)
    shared = graph.with_nodes(graph.nodes, (graph.nodes[0].output, graph.nodes[1].output))
    assert fuse_products(shared) is shared


def test_long_chains_collapse() -> None:
    ops = [Linear(single(16, 2)), Linear(differences(24, 16)), Linear(differences(24, 24), single(24))]
    graph = chain(*ops, size=2)
    x = single(5, 2)
    once = fuse_products(graph)
    twice = fuse_products(once)
    assert len(twice.nodes) == 1
    torch.testing.assert_close(twice(x), graph(x), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("value", [0.0, 1.0, 3.0, 0.75, 2.0**-40, 5e-324, 2.0**900, 1 / 3])
def test_extreme_numbers_do_no_harm(value: float) -> None:
    first = Linear(torch.full((8, 1), value, dtype=torch.float64))
    graph = chain(first, Linear(differences(8, 8)), size=1)
    x = torch.tensor([[1.0]], dtype=torch.float64)
    torch.testing.assert_close(fuse_products(graph)(x), graph(x), rtol=0, atol=0)
