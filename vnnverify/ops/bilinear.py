# SPDX-License-Identifier: Apache-2.0
"""Products of two variables."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.ir.graph import Graph, Node, Value
from vnnverify.ir.op import Bilinear, Shape
from vnnverify.ops.arrangement import Expand, Reshape
from vnnverify.ops.sums import ReduceSum

__all__ = ["MatMul", "Mul"]


@dataclass(frozen=True, slots=True, eq=False)
class Mul(Bilinear):
    """Elementwise product of equally shaped inputs."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return inputs[0] * inputs[1]


@dataclass(frozen=True, slots=True, eq=False)
class MatMul(Bilinear):
    """Matrix product (*lead, a, b) by (*lead, b, c) with the same leading axes."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.matmul(inputs[0], inputs[1])

    def decompose(self, *shapes: Shape) -> Graph:
        """Σ_k x_ik·y_kj as elementwise products of expanded inputs, and their sums."""
        (*lead, a, b), (*_, c) = shapes
        x, y, wide = Value("x", shapes[0]), Value("y", shapes[1]), (*lead, a, b, c)
        parts, factors = [], []
        for value, shape in ((x, (*lead, a, b, 1)), (y, (*lead, 1, b, c))):
            columns, copied = Value(f"{value.name}#columns", shape), Value(f"{value.name}#copied", wide)
            parts.append(Node(Reshape(shape), (value,), columns, "matmul"))
            parts.append(Node(Expand.of(shape, wide), (columns,), copied, "matmul"))
            factors.append(copied)
        terms, total = Value("terms", wide), Value("matmul", (*lead, a, c))
        parts.append(Node(Mul(), tuple(factors), terms, "matmul"))
        parts.append(Node(ReduceSum((len(wide) - 2,), False, 1.0, b), (terms,), total, "matmul"))
        return Graph((x, y), (total,), tuple(parts))
