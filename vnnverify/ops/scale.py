# SPDX-License-Identifier: Apache-2.0
"""Elementwise scaling and shifting by constants: Mul, Div, Add, Sub, Neg, BatchNormalization."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from vnnverify.ir.op import Affine, Shape

__all__ = ["Scale"]


@dataclass(frozen=True, slots=True, eq=False)
class Scale(Affine):
    """z = s·x + t with constants that broadcast against x, which they may enlarge.

    s and t have the rank of the output.
    """

    scale: Tensor | None
    shift: Tensor | None
    shape: Shape  # of the output

    def linear(self, *inputs: Tensor) -> Tensor:
        return _broadcast(inputs[0], self.scale, self.shape)

    @property
    def offset(self) -> Tensor | None:
        return self.shift

    def magnitude(self, *inputs: Tensor) -> Tensor:
        return _broadcast(inputs[0], None if self.scale is None else self.scale.abs(), self.shape)

    def adjoint(self, rows: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        back = rows if self.scale is None else rows * self.scale
        padded = (1,) * (len(self.shape) - len(shapes[0])) + tuple(shapes[0])
        axes = [k + 1 for k, (was, now) in enumerate(zip(padded, self.shape, strict=True)) if was != now]
        if axes:
            back = back.sum(dim=axes, keepdim=True)
        return (back.reshape(rows.shape[0], *shapes[0]),)

    @property
    def fan_in(self) -> int:
        return 0 if self.scale is None and self.shift is None else 1

    @property
    def fan_out(self) -> int:
        size = 1
        for extent in self.shape:
            size *= extent
        return size if self.scale is not None or self.shift is not None else 0


def _broadcast(x: Tensor, scale: Tensor | None, shape: Shape) -> Tensor:
    missing = len(shape) - (x.dim() - 1)
    x = x.reshape(x.shape[0], *(1,) * missing, *x.shape[1:])
    return x.expand(x.shape[0], *shape) if scale is None else (x * scale).expand(x.shape[0], *shape)
