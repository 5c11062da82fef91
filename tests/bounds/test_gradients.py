# SPDX-License-Identifier: Apache-2.0
"""Gradients of bounds with respect to parameters and ends of regions, against central differences."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vnnverify.bounds.method import BoundMethod, Resources
from vnnverify.bounds.methods import METHODS, Crown, Forward, Intersection, IntervalMethod
from vnnverify.bounds.relaxation import ONE, ZERO
from vnnverify.bounds.specification import Specification
from vnnverify.errors import BackendError
from vnnverify.ir import Graph, Node, Op, Value
from vnnverify.numerics import Rounding
from vnnverify.ops.arrangement import Reshape
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.conv import Conv
from vnnverify.ops.gates import Gelu
from vnnverify.ops.linear import Linear
from vnnverify.ops.maximum import MaxPool
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.sigmoidal import Sigmoid, Tanh
from vnnverify.ops.sums import AveragePool, Sum
from vnnverify.query import Box, Region

STEP = 1e-6


class Network:
    """A graph whose operators are made of a list of tensors, in turn."""

    def __init__(self, shape: tuple[int, ...], tensors: list[Tensor] | None, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.given = None if tensors is None else list(tensors)
        self.tensors: list[Tensor] = []
        self.x = self.last = Value("x", shape)
        self.nodes: list[Node] = []

    def tensor(self, *shape: int) -> Tensor:
        if self.given is not None:
            new = self.given.pop(0)
        else:
            new = torch.randn(shape, generator=self.generator, dtype=torch.float64)
            new = new / (sum(shape[1:]) ** 0.5 if len(shape) > 1 else 4)
        self.tensors.append(new)
        return new

    def add(self, op: Op, *inputs: Value) -> Value:
        inputs = inputs or (self.last,)
        self.last = Value(f"v{len(self.nodes)}", op.output_shape(*(v.shape for v in inputs)))
        self.nodes.append(Node(op, inputs, self.last, self.last.name))
        return self.last

    def linear(self, out: int) -> Value:
        return self.add(Linear(self.tensor(out, self.last.shape[-1]), self.tensor(out)))

    def conv(self, out: int, size: int = 3, stride: int = 1) -> Value:
        weight, pad = self.tensor(out, self.last.shape[1], size, size), (size // 2,) * 2
        return self.add(Conv(weight, self.tensor(out), (stride,) * 2, pad, pad, (1, 1)))

    def graph(self) -> Graph:
        return Graph((self.x,), (self.last,), tuple(self.nodes))


def mlp(activation: Callable[[], Op], tensors: list[Tensor] | None) -> Network:
    net = Network((1, 6), tensors)
    for width in (40, 40):
        net.linear(width)
        net.add(activation())
    net.linear(4)
    return net


def cnn(tensors: list[Tensor] | None) -> Network:
    """Wide enough for rows that are patches of it."""
    net = Network((1, 1, 8, 8), tensors)
    net.conv(3)
    net.add(Relu())
    net.conv(2)
    net.add(Relu())
    weight = torch.full((4, 4), 0.25, dtype=torch.float64)
    net.add(AveragePool((2, 2), (2, 2), (0, 0), (0, 0), weight))
    net.add(Reshape((1, 32)))
    net.linear(3)
    return net


def residual(tensors: list[Tensor] | None) -> Network:
    net = Network((1, 1, 6, 6), tensors)
    net.conv(2)
    first = net.add(Relu())
    net.conv(2)
    net.add(Relu())
    branch = net.conv(2)
    net.add(Sum((1, 1)), first, branch)
    net.add(Relu())
    net.add(MaxPool((2, 2), (2, 2), (0, 0), (0, 0), (1, 1)))
    net.add(Reshape((1, 18)))
    net.linear(3)
    return net


def gated(tensors: list[Tensor] | None) -> Network:
    """A product of two values."""
    net = Network((1, 5), tensors)
    net.linear(8)
    x = net.last
    a = net.linear(40)
    net.last = x
    net.linear(40)
    net.add(Mul(), a, net.add(Sigmoid()))
    net.linear(3)
    return net


NETWORKS: dict[str, Callable[[list[Tensor] | None], Network]] = {
    "mlp": lambda tensors: mlp(Relu, tensors),
    "tanh": lambda tensors: mlp(Tanh, tensors),
    "gelu": lambda tensors: mlp(Gelu, tensors),
    "cnn": cnn,
    "residual": residual,
    "gated": gated,
}

EVERY: dict[str, BoundMethod] = {name: m for name, m in METHODS.items() if m.differentiable} | {
    "zero": Crown("zero", slopes=ZERO),
    "one": Crown("one", slopes=ONE),
    "all": Intersection((IntervalMethod(), Forward(), Crown())),
}


def check(bound: Callable[[Graph, Region, Specification], Tensor], make: Callable[..., Network]) -> None:
    """Directional derivatives of Σ w·bound along parameters, ends of the region and rows."""
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    net = make(None)
    n, m = net.x.size, net.last.size
    centre = random(2, n)
    at = [*net.tensors, centre - 0.05, centre + 0.05, random(2, 3, m), random(2, 3)]
    weights = random(2, 3)

    def value(tensors: list[Tensor]) -> Tensor:
        *parameters, lower, upper, C, d = tensors
        graph = make(parameters).graph()
        return (weights * bound(graph, Box(lower, upper), Specification.rows(C, d))).sum()

    leaves = [t.clone().requires_grad_() for t in at]
    gradient = torch.autograd.grad(value(leaves), leaves)
    norm = float(torch.cat([g.flatten() for g in gradient]).norm())
    for part in (slice(None), slice(0, -4), slice(-4, -2), slice(-2, None)):
        chosen = range(len(at))[part]
        direction = [random(*t.shape) if k in chosen else torch.zeros_like(t) for k, t in enumerate(at)]
        size = torch.cat([t.flatten() for t in direction]).norm()
        direction = [t / size for t in direction]
        ours = sum(float((g * t).sum()) for g, t in zip(gradient, direction, strict=True))
        with torch.no_grad():
            ends = [value([a + s * STEP * t for a, t in zip(at, direction, strict=True)]) for s in (1, -1)]
        assert abs(ours - float(ends[0] - ends[1]) / (2 * STEP)) <= 1e-6 * norm


@pytest.mark.parametrize(("memory", "rounding"), [(256 << 20, "plain"), (1, "sound")])
@pytest.mark.parametrize("name", ["interval", "forward", "crown", "crown-ibp"])
@pytest.mark.parametrize("network", ["mlp", "cnn", "residual"])
def test_gradients_are_those_of_the_bounds(network: str, name: str, memory: int, rounding: Rounding) -> None:
    """With one and with many chunks of rows."""
    resources = Resources(memory=memory, rounding=rounding)
    method = EVERY[name]
    check(lambda *given: method.bound(*given, resources=resources).lower, NETWORKS[network])


@pytest.mark.long
@pytest.mark.parametrize("rounding", ["sound", "plain"])
@pytest.mark.parametrize("memory", [256 << 20, 1])
@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("network", NETWORKS)
def test_all_gradients_are_those_of_the_bounds(
    network: str, name: str, memory: int, rounding: Rounding
) -> None:
    test_gradients_are_those_of_the_bounds(network, name, memory, rounding)


@pytest.mark.parametrize("name", ["interval", "forward", "crown"])
@pytest.mark.parametrize("network", ["tanh", "gelu", "gated"])
def test_gradients_through_smooth_operators_and_products(network: str, name: str) -> None:
    method = METHODS[name]
    check(lambda *given: method.bound(*given).lower, NETWORKS[network])


@pytest.mark.parametrize("rounding", ["sound", "plain"])
@pytest.mark.parametrize("name", ["interval", "forward", "fast-lin", "crown"])
@pytest.mark.parametrize("network", ["mlp", "cnn"])
def test_over_a_point_the_gradient_is_that_of_the_network(
    network: str, name: str, rounding: Rounding
) -> None:
    """Also of weights that are zero, which rows that are patches may not overlook."""
    make = NETWORKS[network]
    given = [t * (torch.arange(t.numel()).reshape(t.shape) % 2) for t in make(None).tensors]
    given = [t.requires_grad_() for t in given]
    graph = make(given).graph()
    x = torch.linspace(-1, 1, graph.input_size, dtype=torch.float64)[None]
    C = torch.eye(graph.output_size, dtype=torch.float64)[None]
    spec = Specification.rows(C, C.new_zeros(1, graph.output_size))
    found = EVERY[name].bound(graph, Box(x, x), spec, resources=Resources(rounding=rounding))
    ours = torch.autograd.grad(found.lower.sum(), given)
    theirs = torch.autograd.grad(graph(x).sum(), given)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.differentiable])
def test_methods_without_gradients_say_so(name: str) -> None:
    method, net = METHODS[name], mlp(Relu, None)
    x = torch.zeros(1, 6, dtype=torch.float64)
    spec = Specification.outputs(4, 1, x.device, x.dtype)
    region = Box(x - 0.1, x + 0.1)
    plain = method.bound(net.graph(), region, spec).lower
    assert not plain.requires_grad
    net.tensors[2].requires_grad_()
    with pytest.raises(BackendError, match=f"'{name}' has no gradients, and v2.weight requires one"):
        method.bound(net.graph(), region, spec)
    with torch.no_grad():
        assert torch.equal(method.bound(net.graph(), region, spec).lower, plain)
    net.tensors[2].requires_grad_(False)
    with pytest.raises(BackendError, match="the region's lower requires one"):
        method.bound(net.graph(), Box((x - 0.1).requires_grad_(), x + 0.1), spec)
    assert not Intersection((Crown(), method)).differentiable
