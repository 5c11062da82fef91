# SPDX-License-Identifier: Apache-2.0
"""Graphs made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch

from vnnverify.ir import Graph, Node, Op, Value
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Relu


def chain(ops: Sequence[Op], inputs: int) -> Graph:
    """One operator after the other, on a vector."""
    value = first = Value("x", (inputs,))
    nodes = []
    for index, op in enumerate(ops):
        out = Value(f"v{index}", op.output_shape(value.shape))
        nodes.append(Node(op, (value,), out, f"node{index}"))
        value = out
    return Graph((first,), (value,), tuple(nodes))


def dense(*sizes: int, seed: int = 0) -> Graph:
    """A random ReLU network in float64."""
    generator = torch.Generator().manual_seed(seed)
    ops: list[Op] = []
    for fan_in, fan_out in pairwise(sizes):
        weight = torch.randn(fan_out, fan_in, generator=generator, dtype=torch.float64) / fan_in**0.5
        ops += [Linear(weight, torch.randn(fan_out, generator=generator, dtype=torch.float64) / 4), Relu()]
    return chain(ops[:-1], sizes[0])


def linear(rows: Sequence[Sequence[float]], bias: Sequence[float] | None = None) -> Linear:
    """A float64 layer from lists."""
    b = None if bias is None else torch.tensor(bias, dtype=torch.float64)
    return Linear(torch.tensor(rows, dtype=torch.float64), b)


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The makers above, for tests to take as one fixture."""
    return SimpleNamespace(chain=chain, dense=dense, linear=linear)
