# SPDX-License-Identifier: Apache-2.0
"""Gradients of zonotope bounds with respect to parameters and ends of boxes, against central differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from vnnverify_abstract_domains.propagation import propagate
from vnnverify_abstract_domains.rules import domain

from vnnverify import Deadline
from vnnverify.bounds.specification import Specification
from vnnverify.ir import Graph, Node, Op, Value
from vnnverify.numerics import Rounding, rounding
from vnnverify.ops.arrangement import Reshape
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.conv import Conv
from vnnverify.ops.gates import Gelu
from vnnverify.ops.linear import Linear
from vnnverify.ops.maximum import MaxPool
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.sigmoidal import Tanh
from vnnverify.ops.sums import Sum

STEP = 1e-6


def chain(shape: tuple[int, ...], steps: list[tuple[Op, tuple[int, ...]]]) -> Graph:
    """Each step's inputs are the values with these numbers; 0 is the input."""
    values, nodes = [Value("x", shape)], []
    for op, inputs in steps:
        given = tuple(values[k] for k in inputs)
        values.append(Value(f"v{len(nodes)}", op.output_shape(*(v.shape for v in given))))
        nodes.append(Node(op, given, values[-1], values[-1].name))
    return Graph((values[0],), (values[-1],), tuple(nodes))


def mlp(W: Tensor, b: Tensor, V: Tensor) -> Graph:
    return chain((1, 5), [(Linear(W, b), (0,)), (Relu(), (1,)), (Linear(V), (2,))])


def smooth(W: Tensor, b: Tensor, V: Tensor) -> Graph:
    steps = [(Linear(W, b), (0,)), (Tanh(), (1,)), (Gelu(), (1,)), (Mul(), (2, 3)), (Linear(V), (4,))]
    return chain((1, 5), steps)


def residual(W: Tensor, b: Tensor, V: Tensor) -> Graph:
    first, second = W[:, :1].reshape(-1, 1, 1, 1), W[:8, 1:].reshape(8, 4, 1, 1).repeat(1, 2, 1, 1)
    one, none = (1, 1), (0, 0)
    steps: list[tuple[Op, tuple[int, ...]]] = [
        (Conv(first, b, one, none, none, one), (0,)),
        (Relu(), (1,)),
        (Conv(second, None, one, none, none, one), (2,)),
        (Sum((1, 1)), (2, 3)),
        (Relu(), (4,)),
        (MaxPool((2, 2), (2, 2), none, none, one), (5,)),
        (Reshape((1, 8)), (6,)),
        (Linear(V), (7,)),
    ]
    return chain((1, 1, 2, 2), steps)


@pytest.mark.parametrize("policy", ["sound", "plain"])
@pytest.mark.parametrize("make", [mlp, smooth, residual])
def test_gradients_are_those_of_the_bounds(make: type[Graph], policy: Rounding) -> None:
    generator = torch.Generator().manual_seed(3)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    n = 4 if make is residual else 5
    centre, C = random(2, n), random(2, 3, 3)
    at = [random(8, 5), random(8), random(3, 8), centre - 0.1, centre + 0.1]

    def value(tensors: list[Tensor]) -> Tensor:
        *parameters, lower, upper = tensors
        with rounding(policy):
            graph = domain.prepare(make(*parameters))
            outputs = propagate(graph, lower, upper, 1 << 30, Deadline.never())
            return outputs.bound(Specification.rows(C, C[:, :, 0]))[0].sum()

    leaves = [t.clone().requires_grad_() for t in at]
    gradient = torch.autograd.grad(value(leaves), leaves)
    norm = float(torch.cat([g.flatten() for g in gradient]).norm())
    for chosen in ({0, 1, 2}, {3, 4}):
        direction = [random(*t.shape) if k in chosen else torch.zeros_like(t) for k, t in enumerate(at)]
        size = torch.cat([t.flatten() for t in direction]).norm()
        ours = sum(float((g * t / size).sum()) for g, t in zip(gradient, direction, strict=True))
        steps = [STEP * t / size for t in direction]
        ends = [value([a + s * t for a, t in zip(at, steps, strict=True)]) for s in (1, -1)]
        assert abs(ours - float(ends[0] - ends[1]) / (2 * STEP)) <= 1e-6 * norm
