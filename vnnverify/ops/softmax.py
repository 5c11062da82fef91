# SPDX-License-Identifier: Apache-2.0
"""Softmax, and the graph that bounds see."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor

from vnnverify.ir.graph import Graph, Node, Value
from vnnverify.ir.op import Composite, Op, Shape
from vnnverify.ops.arrangement import Select
from vnnverify.ops.scale import Scale
from vnnverify.ops.sigmoidal import Sigmoid
from vnnverify.ops.smooth import Exp, Log, Reciprocal
from vnnverify.ops.sums import ReduceSum, Sum

__all__ = ["LogSoftmax", "Softmax"]


@dataclass(frozen=True, slots=True, eq=False)
class Softmax(Composite):
    """exp(x_i) / Σ_j exp(x_j) along one axis, which has at least two elements."""

    axis: int  # of the ONNX shape, not negative
    one: Tensor = field(default_factory=lambda: torch.ones((), dtype=torch.float64))

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.softmax(inputs[0], dim=self.axis + 1)

    def decompose(self, *shapes: Shape) -> Graph:
        """1 / (1 + Σ_{j≠i} exp(x_j − x_i)): only differences appear, so a shift common to all x cancels
        before anything is bounded, and the divisor is never below 1. For two, the sigmoid of their gap."""
        shape = shapes[0]
        if shape[self.axis] == 2:
            return _of_two(shape, self.axis, self.one.device)
        return _of_sums(shape, self.axis, self.one, Reciprocal(), None)


@dataclass(frozen=True, slots=True, eq=False)
class LogSoftmax(Composite):
    """x_i − log Σ_j exp(x_j) along one axis, which has at least two elements."""

    axis: int  # of the ONNX shape, not negative
    one: Tensor = field(default_factory=lambda: torch.ones((), dtype=torch.float64))

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.log_softmax(inputs[0], dim=self.axis + 1)

    def decompose(self, *shapes: Shape) -> Graph:
        """−log(1 + Σ_{j≠i} exp(x_j − x_i))."""
        return _of_sums(shapes[0], self.axis, self.one, Log(), -self.one)


def _of_sums(shape: Shape, axis: int, one: Tensor, op: Op, factor: Tensor | None) -> Graph:
    """factor·op(1 + Σ_{j≠i} exp(x_j − x_i))."""
    others, own = (index.to(one.device) for index in _pairs(shape, axis))
    wide = tuple(others.shape)
    x = Value("x", shape)
    steps: list[Node] = []

    def add(op: Op, output_shape: Shape, *inputs: Value) -> Value:
        output = Value(f"softmax#{len(steps)}", output_shape)
        steps.append(Node(op, inputs, output, "softmax"))
        return output

    theirs, ours = add(Select.of(others, wide), wide, x), add(Select.of(own, wide), wide, x)
    terms = add(Exp(), wide, add(Sum((1, -1)), wide, theirs, ours))
    total = add(ReduceSum((len(shape),), False, 1.0, wide[-1]), shape, terms)
    ranked = (1,) * len(shape)
    result = add(op, shape, add(Scale(None, one.reshape(ranked)), shape, total))
    if factor is not None:
        result = add(Scale(factor.reshape(ranked), None), shape, result)
    return Graph((x,), (result,), tuple(steps))


def _of_two(shape: Shape, axis: int, device: torch.device) -> Graph:
    other = torch.arange(prod(shape), device=device).reshape(shape).flip(axis)
    x, y, gap, z = (Value(name, shape) for name in ("x", "other", "gap", "z"))
    steps = (
        Node(Select.of(other, shape), (x,), y, "softmax"),
        Node(Sum((1, -1)), (x, y), gap, "softmax"),
        Node(Sigmoid(), (gap,), z, "softmax"),
    )
    return Graph((x,), (z,), steps)


def _pairs(shape: Shape, axis: int) -> tuple[Tensor, Tensor]:
    """Flat positions (*shape, n − 1) of the other members of each element's group, and of itself."""
    n = shape[axis]
    places = torch.arange(prod(shape)).reshape(shape).movedim(axis, -1)
    other = (torch.arange(n)[:, None] + torch.arange(1, n)[None]) % n  # (n, n − 1)
    others = places[..., other].movedim(-2, axis)
    own = places[..., None].expand(*places.shape, n - 1).movedim(-2, axis)
    return others, own
