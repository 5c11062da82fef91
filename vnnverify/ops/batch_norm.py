# SPDX-License-Identifier: Apache-2.0
"""Batch normalisation by stored moments, from the parameters as a module holds them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.ir.graph import Graph, Node, Value
from vnnverify.ir.op import Composite, Shape
from vnnverify.ops.scale import Scale

__all__ = ["BatchNorm"]


@dataclass(frozen=True, slots=True, eq=False)
class BatchNorm(Composite):
    """(x − mean) / sqrt(variance + epsilon)·weight + bias for each channel of (N, C, …).

    Factors are computed when they are asked for: so the operator follows what an optimiser writes to the
    parameters, and gradients reach these.
    """

    weight: Tensor | None  # (C,)
    bias: Tensor | None  # (C,)
    mean: Tensor  # (C,)
    variance: Tensor  # (C,)
    epsilon: float

    def __call__(self, *inputs: Tensor) -> Tensor:
        x = inputs[0]
        shape = (-1, *(1,) * (x.dim() - 3))
        z = (x - self.mean.reshape(shape)) * self._factor().reshape(shape)
        return z if self.bias is None else z + self.bias.reshape(shape)

    def _factor(self) -> Tensor:
        inverse = torch.reciprocal(torch.sqrt(self.variance + self.epsilon))
        return inverse if self.weight is None else inverse * self.weight

    def decompose(self, *shapes: Shape) -> Graph:
        """The difference to the mean first, which is stored, then the factor, of four roundings."""
        x, centred, z = (Value(name, shapes[0]) for name in ("x", "centred", "normalised"))
        shape = (1, -1, *(1,) * (len(shapes[0]) - 2))
        bias = None if self.bias is None else self.bias.reshape(shape)
        factor = Scale(self._factor().reshape(shape), bias, "batch normalisation")
        nodes = (
            Node(Scale(None, -self.mean.reshape(shape)), (x,), centred, "centred"),
            Node(factor, (centred,), z, "scaled"),
        )
        return Graph((x,), (z,), nodes)
