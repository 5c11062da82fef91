# SPDX-License-Identifier: Apache-2.0
"""A pass leaves the function as it is and makes the graph smaller where it should."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from vnnverify.ir import Graph, Node, Op, Shape, Value
from vnnverify.ops.arrangement import Concat, Constant, Expand, Pad, Reshape, Select, Transpose
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.conv import Conv, ConvTranspose
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.scale import Scale
from vnnverify.ops.sums import ReduceSum, Sum
from vnnverify.simplify import (
    fuse_scales,
    merge_copies,
    remove_dead_code,
    remove_identities,
    simplify,
    square_products,
)

GENERATOR = torch.Generator().manual_seed(4)
Pass = Callable[[Graph], Graph]


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


@dataclass
class Chain:
    """A graph that grows node by node."""

    shape: Shape
    nodes: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.x = Value("x", self.shape)
        self.last = self.x

    def then(self, op: Op, *inputs: Value) -> Value:
        args = inputs or (self.last,)
        shape = op.output_shape(*(v.shape for v in args))
        self.last = Value(f"v{len(self.nodes)}", shape)
        self.nodes.append(Node(op, args, self.last, f"n{len(self.nodes)}"))
        return self.last

    def graph(self, *outputs: Value) -> Graph:
        return Graph((self.x,), outputs or (self.last,), tuple(self.nodes))


def chain(shape: Shape, *ops: Op) -> Graph:
    growing = Chain(shape)
    for op in ops:
        growing.then(op)
    return growing.graph()


def same_function(before: Graph, after: Graph) -> None:
    x = random(5, before.input_size)
    torch.testing.assert_close(after(x), before(x), rtol=1e-12, atol=1e-12)
    assert [v.shape for v in after.outputs] == [v.shape for v in before.outputs]


IMAGE = (1, 2, 5, 5)
SPACE = ((1, 1), (0, 0), (0, 0), (1, 1))


def convolution(bias: Tensor | None = None) -> Conv:
    return Conv(random(3, 2, 3, 3), bias, *SPACE)


def per_channel(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(1, -1, 1, 1)


SHRINKING: list[tuple[str, Pass, Graph, int]] = [
    ("reshape to the same", remove_identities, chain((2, 3), Reshape((2, 3)), Relu()), 1),
    ("expand to the same", remove_identities, chain((2, 3), Expand.of((2, 3), (2, 3)), Relu()), 1),
    ("transpose nothing", remove_identities, chain((2, 3), Transpose((0, 1)), Relu()), 1),
    ("pad nothing", remove_identities, chain((2, 3), Relu(), Pad((0, 0), (0, 0))), 1),
    ("concatenate one", remove_identities, chain((2, 3), Concat(0), Relu()), 1),
    ("sum of one", remove_identities, chain((2, 3), Sum((1,)), Relu()), 1),
    ("reduce nothing", remove_identities, chain((2, 3), ReduceSum((), True, 1.0, 1), Relu()), 1),
    ("select all", remove_identities, chain((2, 3), Select.of(torch.arange(6), (2, 3)), Relu()), 1),
    (
        "times one plus zero",
        remove_identities,
        chain((2, 3), Scale(torch.ones(1, 3).double(), torch.zeros(1, 1).double()), Relu()),
        1,
    ),
    ("output is the input", remove_identities, chain((2, 3), Reshape((2, 3))), 0),
    ("reshape twice", simplify, chain((2, 3), Reshape((6,)), Reshape((3, 2)), Relu()), 2),
    ("reshape there and back", simplify, chain((2, 3), Reshape((6,)), Reshape((2, 3)), Relu()), 1),
    (
        "select twice",
        simplify,
        chain((6,), Select.of(torch.tensor([4, 2, 0]), (3,)), Select.of(torch.tensor([2, 0]), (2,))),
        1,
    ),
    (
        "select, reshape",
        simplify,
        chain((6,), Select.of(torch.tensor([4, 2, 0, 1]), (4,)), Reshape((2, 2))),
        1,
    ),
    ("reshape, select", simplify, chain((2, 3), Reshape((6,)), Select.of(torch.tensor([4, 4, 0]), (3,))), 1),
    ("bias", fuse_scales, chain((1, 4), Linear(random(3, 4)), Scale(None, random(1, 3))), 1),
    ("scale", fuse_scales, chain((1, 4), Linear(random(3, 4)), Scale(random(1, 3), random(1, 3))), 1),
    (
        "scale after bias",
        fuse_scales,
        chain(
            (1, 4),
            Linear(random(3, 4), torch.ones(3).double()),
            Scale(torch.full((1, 1), 2.0).double(), torch.ones(1, 1).double()),
        ),
        1,
    ),
    (
        "exact cancellation",
        fuse_scales,
        chain(
            (1, 4),
            Linear(random(1, 4), torch.tensor([1.0]).double()),
            Scale(None, torch.tensor([[-1.0 + 1e-9]]).double()),
        ),
        1,
    ),
    (
        "convolution",
        fuse_scales,
        chain(IMAGE, convolution(), Scale(per_channel(1, -2, 3), per_channel(4, 5, -6))),
        1,
    ),
    (
        "transposed convolution",
        fuse_scales,
        chain(IMAGE, ConvTranspose(random(2, 3, 3, 3), None, *SPACE), Scale(per_channel(1, -2, 3), None)),
        1,
    ),
    (
        "two scales",
        simplify,
        chain(IMAGE, convolution(), Scale(per_channel(1, 2, 3), None), Scale(None, per_channel(1, 2, 3))),
        1,
    ),
    ("vector", fuse_scales, chain((4,), Linear(random(3, 4)), Scale(None, random(3))), 1),
]
KEPT: list[tuple[str, Pass, Graph]] = [
    ("shift before a product", simplify, chain((1, 4), Scale(None, random(1, 4)), Linear(random(3, 4)))),
    ("scale per position", simplify, chain(IMAGE, convolution(), Scale(random(1, 1, 3, 3), None))),
    ("shift per row", simplify, chain((2, 4), Linear(random(3, 4)), Scale(None, random(2, 1)))),
    (
        "cancelling bias",
        simplify,
        chain(
            (1, 4),
            Linear(random(1, 4), torch.full((1,), 0.1, dtype=torch.float64)),
            Scale(*(torch.full((1, 1), number, dtype=torch.float64) for number in (0.3, -0.03 + 1e-9))),
        ),
    ),
    (
        "overflowing weights",
        simplify,
        chain(
            (1, 1), Linear(torch.tensor([[1e200]]).double()), Scale(torch.tensor([[1e200]]).double(), None)
        ),
    ),
    (
        "grouped transposed convolution",
        simplify,
        chain(
            IMAGE, ConvTranspose(random(2, 1, 3, 3), None, *SPACE, groups=2), Scale(per_channel(2, 3), None)
        ),
    ),
    ("transpose", simplify, chain((2, 3), Transpose((1, 0)), Relu())),
    ("minus one", simplify, chain((2, 3), Scale(-torch.ones(1, 1).double(), None))),
]


@pytest.mark.parametrize(("run", "graph", "count"), [s[1:] for s in SHRINKING], ids=[s[0] for s in SHRINKING])
def test_smaller_and_the_same_function(run: Pass, graph: Graph, count: int) -> None:
    after = remove_dead_code(run(graph))
    assert len(after.nodes) == count
    same_function(graph, after)


@pytest.mark.parametrize(("run", "graph"), [k[1:] for k in KEPT], ids=[k[0] for k in KEPT])
def test_left_alone(run: Pass, graph: Graph) -> None:
    assert run(graph) is graph


def test_dead_nodes_go_and_inputs_stay() -> None:
    growing = Chain((2, 3))
    kept = growing.then(Relu())
    growing.then(Relu(), growing.then(Reshape((6,)), kept))
    growing.then(Constant(random(3)))
    after = remove_dead_code(growing.graph(kept))
    assert [n.output for n in after.nodes] == [kept]
    assert after.inputs == (growing.x,)


def test_a_product_read_twice_keeps_its_weights() -> None:
    growing = Chain((1, 4))
    product = growing.then(Linear(random(3, 4)))
    scaled = growing.then(Scale(torch.full((1, 1), 2.0).double(), None), product)
    growing.then(Sum((1, 1)), product, scaled)
    graph = growing.graph()
    assert fuse_scales(graph) is graph


def test_a_product_that_is_an_output_keeps_its_weights() -> None:
    growing = Chain((1, 4))
    product = growing.then(Linear(random(3, 4)))
    graph = growing.graph(product, growing.then(Scale(None, random(1, 3))))
    after = simplify(graph)
    assert len(after.nodes) == 2
    same_function(graph, after)


def test_identities_between_outputs() -> None:
    growing = Chain((2, 3))
    first = growing.then(Relu())
    second = growing.then(Reshape((2, 3)))
    third = growing.then(Reshape((2, 3)))
    graph = growing.graph(first, second, third, growing.x)
    after = simplify(graph)
    assert after.outputs == (first, first, first, growing.x)
    same_function(graph, after)


def test_merged_selects_count_their_repeats() -> None:
    first, second = Select.of(torch.tensor([0, 0, 1]), (3,)), Select.of(torch.tensor([0, 1, 1]), (3,))
    graph = chain((2,), first, second)
    after = remove_dead_code(merge_copies(graph))
    (node,) = after.nodes
    assert isinstance(node.op, Select)
    assert node.op.repeats == 3
    same_function(graph, after)


def random_graph(seed: int) -> Graph:
    """Layers in random order, with branches that are summed again."""
    generator = torch.Generator().manual_seed(seed)
    growing = Chain((1, 6))
    values = [growing.x]
    for _ in range(25):
        kind = int(torch.randint(8, (1,), generator=generator))
        source = values[int(torch.randint(len(values), (1,), generator=generator))]
        flat = source if source.shape == (1, 6) else growing.then(Reshape((1, 6)), source)
        ops: Sequence[Op] = (
            Linear(random(6, 6) / 3),
            Linear(random(6, 6) / 3, random(6)),
            Scale(random(1, 6), random(1, 6)),
            Scale(None, random(1, 6)),
            Reshape((2, 3)),
            Select.of(torch.randperm(6, generator=generator), (1, 6)),
            Relu(),
            Scale(torch.ones(1, 1).double(), None),
        )
        values.append(growing.then(ops[kind], flat))
    ends = [v if v.shape == (1, 6) else growing.then(Reshape((1, 6)), v) for v in values[-3:]]
    return growing.graph(growing.then(Sum((1, -1, 1)), *ends), values[-5])


@pytest.mark.parametrize("seed", range(25))
def test_random_graphs_keep_their_function(seed: int) -> None:
    graph = random_graph(seed)
    after = simplify(graph)
    assert len(after.nodes) < len(graph.nodes)
    x = random(5, 6)
    torch.testing.assert_close(after(x), graph(x), rtol=1e-9, atol=1e-9)
    assert simplify(after) is after


def test_a_product_of_a_value_with_itself_is_a_square() -> None:
    growing = Chain((3,))
    growing.then(Mul(), growing.x, growing.x)
    graph = square_products(growing.graph())
    (node,) = graph.nodes
    assert node.op.kind == "Power" and node.inputs == (growing.x,)
    x = random(4, 3)
    assert torch.equal(graph(x), x * x)
