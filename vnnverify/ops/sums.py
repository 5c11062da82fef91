# SPDX-License-Identifier: Apache-2.0
"""Sums: of two variables, over axes, over windows."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from vnnverify.ir.op import Affine, Shape
from vnnverify.ops.conv import Conv

__all__ = ["AveragePool", "ReduceSum", "Sum"]


@dataclass(frozen=True, slots=True, eq=False)
class Sum(Affine):
    """Σ_i sign_i·x_i of equally shaped inputs: Add, Sub and Sum of variables."""

    signs: tuple[int, ...]

    def linear(self, *inputs: Tensor) -> Tensor:
        total = inputs[0] if self.signs[0] > 0 else -inputs[0]
        for sign, x in zip(self.signs[1:], inputs[1:], strict=True):
            total = total + x if sign > 0 else total - x
        return total

    def magnitude(self, *inputs: Tensor) -> Tensor:
        total = inputs[0]
        for x in inputs[1:]:
            total = total + x
        return total

    def adjoint(self, rows: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        return tuple(rows if sign > 0 else -rows for sign in self.signs)

    @property
    def increasing(self) -> Tensor | bool:
        return all(sign > 0 for sign in self.signs)

    @property
    def fan_in(self) -> int:
        return len(self.signs)


@dataclass(frozen=True, slots=True, eq=False)
class ReduceSum(Affine):
    """Sum over axes, times a constant: ReduceSum, ReduceMean, GlobalAveragePool."""

    axes: tuple[int, ...]  # of the ONNX shape, not negative
    keepdims: bool
    factor: float
    count: int  # elements summed

    def linear(self, *inputs: Tensor) -> Tensor:
        if not self.axes:
            return inputs[0] * self.factor
        return inputs[0].sum(dim=[a + 1 for a in self.axes], keepdim=self.keepdims) * self.factor

    def magnitude(self, *inputs: Tensor) -> Tensor:
        return self.linear(*inputs) if self.factor >= 0 else -self.linear(*inputs)

    def adjoint(self, rows: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        kept = [1 if k in self.axes else extent for k, extent in enumerate(shapes[0])]
        return ((rows * self.factor).reshape(-1, *kept).expand(-1, *shapes[0]),)

    @property
    def increasing(self) -> Tensor | bool:
        return self.factor >= 0

    @property
    def fan_in(self) -> int:
        return self.count + 1

    @property
    def fan_out(self) -> int:
        return 1


@dataclass(frozen=True, slots=True, eq=False)
class AveragePool(Affine):
    """Window sums over the spatial axes of (N, C, *spatial), each times the reciprocal of its count."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    weight: Tensor  # (*out_spatial): 1 / elements counted in the window

    def _window(self, like: Tensor) -> Conv:
        ones = torch.ones(1, 1, *self.kernel, dtype=like.dtype, device=like.device)
        return Conv(ones, None, self.strides, self.before, self.after, (1,) * len(self.kernel))

    def linear(self, *inputs: Tensor) -> Tensor:
        x = inputs[0]
        single = x.reshape(-1, 1, 1, *x.shape[3:])
        z = self._window(x).linear(single)
        return z.reshape(*x.shape[:3], *z.shape[3:]) * self.weight

    def magnitude(self, *inputs: Tensor) -> Tensor:
        return self.linear(*inputs)

    def adjoint(self, rows: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        single = (rows * self.weight).reshape(-1, 1, 1, *rows.shape[3:])
        (back,) = self._window(rows).adjoint(single, (1, 1, *shapes[0][2:]))
        return (back.reshape(rows.shape[0], *shapes[0]),)

    @property
    def increasing(self) -> Tensor | bool:
        return True

    @property
    def fan_in(self) -> int:
        return prod(self.kernel) + 1

    @property
    def fan_out(self) -> int:
        return prod(self.kernel) + 1  # windows that overlap in one element, and the factor
