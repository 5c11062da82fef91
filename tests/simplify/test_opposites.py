# SPDX-License-Identifier: Apache-2.0
"""Equal and opposite ReLUs become one; the function stays what it was, to the last bit of its weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vnnverify.ir import Graph, Node, Value
from vnnverify.ops.linear import Linear, SparseLinear, product
from vnnverify.ops.piecewise import Relu
from vnnverify.simplify import merge_opposite_relus, simplify


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Small multiples of 1/8: sums of them are exact."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-16, 17, shape, generator=generator).double() / 8


def layers(*ops: Linear | SparseLinear | Relu, size: int) -> Graph:
    x = last = Value("x", (1, size))
    nodes = []
    for index, op in enumerate(ops):
        output = Value(f"v{index}", op.output_shape(last.shape))
        nodes.append(Node(op, (last,), output, f"n{index}"))
        last = output
    return Graph((x,), (last,), tuple(nodes))


def doubled(size: int, inputs: int, seed: int = 0) -> Linear:
    """Rows w, −w, w in turn."""
    weight, bias = numbers(size, inputs, seed=seed), numbers(size, seed=seed + 1)
    return Linear(torch.cat([weight, -weight, weight]), torch.cat([bias, -bias, bias]))


def relus(graph: Graph) -> int:
    return sum(node.output.size for node in graph.nodes if isinstance(node.op, Relu))


def agree(a: Graph, b: Graph) -> None:
    x = torch.cat([numbers(200, a.input_size, seed=9), torch.zeros(1, a.input_size, dtype=torch.float64)])
    assert torch.equal(a(x), b(x))


@pytest.mark.parametrize("bias", [True, False])
def test_equal_and_opposite_relus_become_one(bias: bool) -> None:
    first = doubled(5, 3)
    second = Linear(numbers(4, 15, seed=3), numbers(4, seed=4) if bias else None)
    graph = layers(first if bias else Linear(first.weight), Relu(), second, size=3)
    merged = merge_opposite_relus(graph)
    assert (relus(graph), relus(merged)) == (15, 5)
    agree(graph, merged)


def test_rows_are_alike_only_if_all_their_columns_are() -> None:
    weight = numbers(1, 100).repeat(3, 1)
    weight[1] *= -1
    weight[2, 51] += 1
    graph = layers(
        Linear(weight, torch.tensor([1.0, -1.0, 1.0]).double()), Relu(), Linear(numbers(2, 3)), size=100
    )
    merged = merge_opposite_relus(graph)
    assert (relus(graph), relus(merged)) == (3, 2)
    agree(graph, merged)
    apart = layers(Linear(numbers(3, 100)), Relu(), Linear(numbers(2, 3)), size=100)
    assert relus(merge_opposite_relus(apart)) == 3


def test_a_copy_through_relus_is_linear() -> None:
    weight = numbers(4, 3)
    both = torch.cat([torch.eye(4), -torch.eye(4)], 1).double()
    graph = layers(Linear(torch.cat([weight, -weight])), Relu(), Linear(both, numbers(4)), size=3)
    merged = simplify(graph)
    assert relus(merged) == 0
    agree(graph, merged)


def test_a_maximum_of_two_needs_one_relu() -> None:
    """max(a, b) as half of |a + b| with its sign and |a − b|: four ReLUs a pair."""
    pair = torch.tensor([[1.0, 1], [-1, -1], [1, -1], [-1, 1]]).double()
    half = torch.tensor([[0.5, -0.5, 0.5, 0.5]]).double()
    blocks = [torch.block_diag(*[t] * k) for k in (4, 2, 1) for t in (pair, half)]
    ops = [op for k in range(0, 6, 2) for op in (Linear(blocks[k]), Relu(), Linear(blocks[k + 1]))]
    graph = layers(*ops, size=8)
    merged = simplify(graph)
    assert (relus(graph), relus(merged)) == (28, 7)
    agree(graph, merged)
    x = numbers(50, 8, seed=1)
    assert torch.equal(merged(x)[:, 0], x.amax(dim=1))


def test_layers_behind_each_other_and_sparse_ones() -> None:
    dense = [doubled(6, 4), Linear(numbers(5, 18, seed=2), numbers(5)), doubled(4, 5, seed=5)]
    last = Linear(numbers(2, 12, seed=6))
    graph = layers(dense[0], Relu(), dense[1], dense[2], Relu(), last, size=4)
    merged = simplify(graph)
    assert (relus(graph), relus(merged)) == (30, 10)
    agree(graph, merged)

    def sparse(op: Linear) -> SparseLinear:
        weight = op.weight.to_sparse().coalesce()
        return SparseLinear(weight, weight.T.coalesce(), op.bias)

    thin = layers(sparse(dense[0]), Relu(), sparse(dense[1]), sparse(dense[2]), Relu(), sparse(last), size=4)
    agree(graph, thin)
    again = simplify(thin)
    assert relus(again) == 10
    agree(graph, again)


def test_rows_of_zeros_differ_by_their_bias() -> None:
    weight = torch.zeros(4, 2, dtype=torch.float64)
    weight[3, 0] = 1
    sparse = weight.to_sparse().coalesce()
    for first in (
        Linear(weight, torch.tensor([1.0, -1.0, 2.0, 0.0]).double()),
        SparseLinear(sparse, sparse.T.coalesce(), torch.tensor([1.0, -1.0, 2.0, 0.0]).double()),
    ):
        graph = layers(first, Relu(), Linear(numbers(3, 4)), size=2)
        merged = merge_opposite_relus(graph)
        assert relus(merged) == 3
        agree(graph, merged)


def test_sums_that_round_are_left_alone() -> None:
    first = doubled(3, 2)
    graph = layers(
        first, Relu(), Linear(torch.linspace(-1e3, 1e-30, 18, dtype=torch.float64).reshape(2, 9)), size=2
    )
    assert merge_opposite_relus(graph) is graph


def test_relus_that_others_read_are_left_alone() -> None:
    graph = layers(doubled(3, 2), Relu(), Linear(numbers(2, 9)), size=2)
    shown = graph.with_nodes(graph.nodes, [*graph.outputs, graph.nodes[1].output])
    assert merge_opposite_relus(shown) is shown


def test_large_matrices_of_few_weights_are_kept_sparse() -> None:
    eye = torch.eye(512, dtype=torch.float64)
    assert isinstance(product(eye.to_sparse()), SparseLinear)
    assert isinstance(product(eye[:64].to_sparse()), Linear)
    found = product(eye.to_sparse(), torch.ones(512, dtype=torch.float64))
    assert (found.fan_in, found.fan_out) == (1, 1)
    x = numbers(3, 512)
    assert torch.equal(found(x), x + 1)
    fast = found.to("cpu", torch.float32)
    assert fast(x.float()).dtype == torch.float32
