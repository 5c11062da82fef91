# SPDX-License-Identifier: Apache-2.0
"""A choice between two values by a condition that is computed."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from vnnverify.ir.graph import Graph, Node, Value
from vnnverify.ir.op import Composite, Shape
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.scale import Scale
from vnnverify.ops.steps import Step
from vnnverify.ops.sums import Sum

__all__ = ["Choice"]


@dataclass(frozen=True, slots=True, eq=False)
class Choice(Composite):
    """a where c is 1, b where it is 0, for equally shaped c, a, b: Where with a computed condition.

    In between, which no condition is, a from 1/2 on.
    """

    half: Tensor = field(default_factory=lambda: torch.full((), -0.5, dtype=torch.float64))

    def __call__(self, *inputs: Tensor) -> Tensor:
        chosen, a, b = inputs
        return torch.where(chosen > 0.5, a, b)

    def decompose(self, *shapes: Shape) -> Graph:
        """b + step(c − 1/2)·(a − b)."""
        chosen, a, b, less, sure, gap, part, z = (
            Value(name, shapes[0]) for name in ("c", "a", "b", "less", "sure", "gap", "part", "z")
        )
        steps = (
            Node(Scale(None, self.half.reshape((1,) * len(shapes[0]))), (chosen,), less, "choice"),
            Node(Step(), (less,), sure, "choice"),
            Node(Sum((1, -1)), (a, b), gap, "choice"),
            Node(Mul(), (sure, gap), part, "choice"),
            Node(Sum((1, 1)), (b, part), z, "choice"),
        )
        return Graph((chosen, a, b), (z,), steps)
