# SPDX-License-Identifier: Apache-2.0
"""Small random networks with every kind of operator, and the points that bounds of them must hold."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vnnverify.bounds.method import BoundMethod, Bounds
from vnnverify.bounds.specification import Specification
from vnnverify.ir import Graph, Node, Op, Value
from vnnverify.ops.arrangement import Reshape
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.conv import Conv
from vnnverify.ops.gates import Gelu
from vnnverify.ops.linear import Linear
from vnnverify.ops.maximum import MaxPool
from vnnverify.ops.piecewise import LeakyRelu, Relu
from vnnverify.ops.sigmoidal import Sigmoid, Tanh
from vnnverify.ops.softmax import Softmax
from vnnverify.ops.sums import Sum
from vnnverify.query import Box, Region

FLOAT64 = torch.float64


class Builder:
    """Appends nodes; weights are drawn from a generator."""

    def __init__(self, inputs: int, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.input = Value("x", (inputs,))
        self.nodes: list[Node] = []

    def add(self, op: Op, *inputs: Value, shape: tuple[int, ...]) -> Value:
        """The output of a new node."""
        output = Value(f"{op.kind}{len(self.nodes)}", shape)
        self.nodes.append(Node(op, inputs, output, output.name))
        return output

    def random(self, *shape: int) -> Tensor:
        """Normal numbers in float64."""
        return torch.randn(*shape, generator=self.generator, dtype=FLOAT64)

    def linear(self, value: Value, size: int) -> Value:
        """A fully connected layer of that many neurons."""
        weight = self.random(size, value.size) / value.size**0.5
        return self.add(Linear(weight, self.random(size) / 4), value, shape=(size,))

    def conv(self, value: Value, channels: int, stride: int = 1) -> Value:
        """A 3×3 convolution of an image (1, C, H, W), padded by one."""
        _, before, height, width = value.shape
        weight = self.random(channels, before, 3, 3) / (9 * before) ** 0.5
        strides, one = (stride, stride), (1, 1)
        op = Conv(weight, self.random(channels) / 4, strides, one, one, one)
        shape = (1, channels, -(-height // stride), -(-width // stride))
        return self.add(op, value, shape=shape)

    def graph(self, output: Value) -> Graph:
        """All nodes so far, the inputs flat."""
        return Graph((self.input,), (output,), tuple(self.nodes))


def dense(op: Op, seed: int = 0, sizes: tuple[int, ...] = (4, 8, 8, 3)) -> Graph:
    """Fully connected layers with one activation between them."""
    build = Builder(sizes[0], seed)
    value = build.input
    for size in sizes[1:-1]:
        value = build.add(op, build.linear(value, size), shape=(size,))
    return build.graph(build.linear(value, sizes[-1]))


def affine() -> Graph:
    """Affine maps alone, a skip connection among them."""
    build = Builder(4, 1)
    first = build.linear(build.input, 6)
    both = build.add(Sum((1, -1)), first, build.linear(first, 6), shape=(6,))
    return build.graph(build.linear(both, 3))


def convolutional() -> Graph:
    """Convolutions with ReLUs and max pooling."""
    build = Builder(32, 2)
    image = build.add(Reshape((1, 2, 4, 4)), build.input, shape=(1, 2, 4, 4))
    hidden = build.conv(image, 4)
    hidden = build.add(Relu(), hidden, shape=hidden.shape)
    pool = MaxPool((2, 2), (2, 2), (0, 0), (0, 0), (1, 1))
    hidden = build.conv(build.add(pool, hidden, shape=(1, 4, 2, 2)), 4)
    hidden = build.add(Relu(), hidden, shape=hidden.shape)
    return build.graph(build.linear(build.add(Reshape((16,)), hidden, shape=(16,)), 3))


def residual() -> Graph:
    """Two convolutions beside a skip connection, with ReLUs."""
    build = Builder(16, 3)
    image = build.add(Reshape((1, 1, 4, 4)), build.input, shape=(1, 1, 4, 4))
    first = build.conv(image, 3)
    first = build.add(Relu(), first, shape=first.shape)
    inner = build.conv(first, 3)
    inner = build.conv(build.add(Relu(), inner, shape=inner.shape), 3)
    both = build.add(Sum((1, 1)), first, inner, shape=inner.shape)
    both = build.add(Relu(), both, shape=both.shape)
    return build.graph(build.linear(build.add(Reshape((48,)), both, shape=(48,)), 3))


def products() -> Graph:
    """A product of a tanh and a ReLU branch, then a softmax."""
    build = Builder(4, 4)
    left = build.add(Tanh(), build.linear(build.input, 6), shape=(6,))
    right = build.add(Relu(), build.linear(build.input, 6), shape=(6,))
    product = build.add(Mul(), left, right, shape=(6,))
    scores = build.linear(product, 3)
    return build.graph(build.add(Softmax(0), scores, shape=(3,)))


NETWORKS: dict[str, Callable[[], Graph]] = {
    "affine": affine,
    "relu": lambda: dense(Relu()),
    "leaky": lambda: dense(LeakyRelu(0.1), 5),
    "tanh": lambda: dense(Tanh(), 6),
    "sigmoid": lambda: dense(Sigmoid(), 7),
    "gelu": lambda: dense(Gelu(), 8),
    "convolutional": convolutional,
    "residual": residual,
    "products": products,
}


def boxes(graph: Graph, batch: int, radius: float = 0.3, seed: int = 0) -> Region:
    """Boxes (B, n) around random centres."""
    generator = torch.Generator().manual_seed(seed)
    centre = torch.randn(batch, graph.input_size, generator=generator, dtype=FLOAT64) / 2
    return Box(centre - radius, centre + radius)


def outputs_of(graph: Graph, batch: int) -> Specification:
    """Every output and its negative."""
    return Specification.outputs(graph.output_size, batch, torch.device("cpu"), FLOAT64)


def bounded(method: BoundMethod, graph: Graph, region: Region, known: Bounds | None = None) -> Bounds:
    """What a method finds of the outputs and their negatives."""
    return method.bound(graph, region, outputs_of(graph, region.lower.shape[0]), known)


def samples(region: Region, count: int, seed: int = 9) -> Tensor:
    """Points (count, B, n) of each box: inside, and at corners."""
    generator = torch.Generator().manual_seed(seed)
    shape = (count, *region.lower.shape)
    t = torch.rand(shape, generator=generator, dtype=FLOAT64)
    t[::2] = (t[::2] > 0.5).to(FLOAT64)
    return torch.clamp(region.lower + t * (region.upper - region.lower), region.lower, region.upper)
