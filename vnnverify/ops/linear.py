# SPDX-License-Identifier: Apache-2.0
"""Matrix products with a constant: Gemm, and MatMul with one constant operand."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.ir.op import Affine, Shape

__all__ = ["LeftLinear", "Linear"]


@dataclass(frozen=True, slots=True, eq=False)
class Linear(Affine):
    """z = x W^T + b over the last axis."""

    weight: Tensor  # (out, in)
    bias: Tensor | None = None  # (out,)

    def linear(self, *inputs: Tensor) -> Tensor:
        return inputs[0] @ self.weight.T

    @property
    def offset(self) -> Tensor | None:
        return self.bias

    def magnitude(self, *inputs: Tensor) -> Tensor:
        return inputs[0] @ self.weight.abs().T

    def adjoint(self, rows: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        return (rows @ self.weight,)

    @property
    def fan_in(self) -> int:
        return self.weight.shape[1]

    @property
    def fan_out(self) -> int:
        return self.weight.shape[0]


@dataclass(frozen=True, slots=True, eq=False)
class LeftLinear(Affine):
    """z = W x with the constant on the left: x is (…, in, k), or a vector (in,) if W is one matrix.

    A stack of matrices (*lead, out, in) needs x of shape (*lead, in, k).
    """

    weight: Tensor  # (*lead, out, in)

    def linear(self, *inputs: Tensor) -> Tensor:
        return _left(self.weight, inputs[0])

    def magnitude(self, *inputs: Tensor) -> Tensor:
        return _left(self.weight.abs(), inputs[0])

    def adjoint(self, rows: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        return (_left(self.weight.mT, rows),)

    @property
    def fan_in(self) -> int:
        return self.weight.shape[-1]

    @property
    def fan_out(self) -> int:
        return self.weight.shape[-2]


def _left(weight: Tensor, x: Tensor) -> Tensor:
    if x.dim() == 2:  # a batch of vectors
        return x @ weight.mT
    return torch.matmul(weight, x)
