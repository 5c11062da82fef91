# SPDX-License-Identifier: Apache-2.0
"""What is computed twice is computed once; what only looks alike stays."""

from __future__ import annotations

import torch

from vnnverify.ir import Graph, Node, Op, Value
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import LeakyRelu
from vnnverify.ops.scale import Scale
from vnnverify.simplify import merge_duplicates


def two_chains(first: tuple[Op, ...], second: tuple[Op, ...]) -> Graph:
    """The product of two chains of operators of the same input."""
    x, nodes, ends = Value("x", (3,)), [], []
    for side, ops in enumerate((first, second)):
        value = x
        for index, op in enumerate(ops):
            after = Value(f"v{side}_{index}", (3,))
            nodes.append(Node(op, (value,), after, after.name))
            value = after
        ends.append(value)
    y = Value("y", (3,))
    return Graph((x,), (y,), (*nodes, Node(Mul(), tuple(ends), y, "y")))


def scale(number: float) -> Scale:
    return Scale(torch.full((1,), number, dtype=torch.float64), None)


def test_equal_chains_become_one() -> None:
    graph = two_chains((scale(2.0), LeakyRelu(0.1)), (scale(2.0), LeakyRelu(0.1)))
    found = merge_duplicates(graph)
    assert [node.op.kind for node in found.nodes] == ["Scale", "LeakyRelu", "Mul"]
    assert found.nodes[-1].inputs[0] is found.nodes[-1].inputs[1]
    x = torch.linspace(-2, 2, 6, dtype=torch.float64).reshape(2, 3)
    assert torch.equal(found(x), graph(x))


def test_other_constants_stay() -> None:
    assert len(merge_duplicates(two_chains((scale(2.0),), (scale(3.0),))).nodes) == 3
    assert len(merge_duplicates(two_chains((LeakyRelu(0.1),), (LeakyRelu(0.2),))).nodes) == 3


def test_a_large_parameter_is_compared_by_identity() -> None:
    x, outputs = Value("x", (1,)), tuple(Value(f"y{k}", (1 << 13,)) for k in range(2))
    wide = Linear(torch.zeros(1 << 13, 1, dtype=torch.float64))
    copied = tuple(Node(Linear(wide.weight.clone()), (x,), y, y.name) for y in outputs)
    assert len(merge_duplicates(Graph((x,), outputs, copied)).nodes) == 2
    shared = tuple(Node(wide, (x,), y, y.name) for y in outputs)
    assert len(merge_duplicates(Graph((x,), outputs, shared)).nodes) == 1
