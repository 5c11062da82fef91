# SPDX-License-Identifier: Apache-2.0
"""Graphs that grow node by node."""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

from vnnverify.ir import Graph, Node, Op, Value
from vnnverify.ops.arrangement import Expand
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.scale import Scale
from vnnverify.ops.sums import Sum


class Writer:
    """Writes functions of one input x step by step."""

    def __init__(self, *shape: int) -> None:
        self.x = Value("x", shape)
        self.nodes: list[Node] = []

    def of(self, op: Op, *inputs: Value) -> Value:
        shape = op.output_shape(*(v.shape for v in inputs))
        output = Value(f"v{len(self.nodes)}", shape)
        self.nodes.append(Node(op, inputs, output, output.name))
        return output

    def line(self, factor: float, x: Value, shift: float = 0.0) -> Value:
        """factor·x + shift."""
        s, t = (torch.full((1,) * len(x.shape), n, dtype=torch.float64) for n in (factor, shift))
        return self.of(Scale(s, t), x)

    def divided(self, x: Value, divisor: float) -> Value:
        """x/divisor, as divisions by constants are read."""
        factor, size = 1 / Fraction(divisor), (1,) * len(x.shape)
        return self.of(
            Scale(torch.full(size, 1 / divisor, dtype=torch.float64), None, (factor, Fraction(0))), x
        )

    def product(self, *factors: Value) -> Value:
        return self.of(Mul(), *factors)

    def plus(self, a: Value, b: Value, sign: int = 1) -> Value:
        return self.of(Sum((1, sign)), a, b)

    def wide(self, x: Value, like: Value) -> Value:
        return self.of(Expand.of(x.shape, like.shape), x)

    def graph(self, output: Value) -> Graph:
        return Graph((self.x,), (output,), tuple(self.nodes))


def same(found: Graph, graph: Graph, reach: float = 20.0) -> Tensor:
    """Points (300, n), at which both graphs must have the same value."""
    generator = torch.Generator().manual_seed(6)
    x = reach * (2 * torch.rand(300, graph.input_size, generator=generator, dtype=torch.float64) - 1)
    torch.testing.assert_close(found(x), graph(x), rtol=1e-9, atol=1e-11, equal_nan=True)
    return x
