# SPDX-License-Identifier: Apache-2.0
"""A network with a product and any elementwise function, for tests of optimised lines."""

from __future__ import annotations

import torch

from vnnverify.ir import Elementwise, Graph, Node, Value
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.sigmoidal import Tanh

__all__ = ["network"]


def network(op: Elementwise, seed: int = 0) -> Graph:
    """A product of two branches with `op` in one and ReLU in the other: 4 -> 12 -> 3."""
    generator = torch.Generator().manual_seed(seed)

    def linear(out: int, into: int) -> Linear:
        weight = torch.randn(out, into, generator=generator, dtype=torch.float64) / into**0.5
        return Linear(weight, torch.randn(out, generator=generator, dtype=torch.float64) / 4)

    x, a, b, f, g, h, z, y = (
        Value(n, (s,)) for n, s in zip("xabfghzy", (4, 12, 12, 12, 12, 12, 12, 3), strict=True)
    )
    nodes = [
        Node(linear(12, 4), (x,), a, "a"),
        Node(op, (a,), f, "f"),
        Node(linear(12, 12), (f,), b, "b"),
        Node(Relu(), (b,), g, "g"),
        Node(Mul(), (f, g), h, "h"),
        Node(Tanh(), (h,), z, "z"),
        Node(linear(3, 12), (z,), y, "y"),
    ]
    return Graph((x,), (y,), tuple(nodes))
