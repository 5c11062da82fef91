# SPDX-License-Identifier: Apache-2.0
"""Elementwise scaling and shifting by constants: Mul, Div, Add, Sub, Neg, BatchNormalization."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from torch import Tensor

from vnnverify.ir.op import Affine, Shape

__all__ = ["Scale"]


@dataclass(frozen=True, slots=True, eq=False)
class Scale(Affine):
    """z = s·x + t. The constants have the rank of x and broadcast against it, never enlarging it."""

    scale: Tensor | None
    shift: Tensor | None
    source: Hashable = None
    """What the constants are roundings of, each by `SOURCE_ROUNDINGS` at most: s and t as two fractions where
    they are the same for all elements, and whatever tells them from others where they are not. None: the
    constants are exact."""

    def linear(self, *inputs: Tensor) -> Tensor:
        return inputs[0] if self.scale is None else inputs[0] * self.scale

    @property
    def offset(self) -> Tensor | None:
        return self.shift

    def magnitude(self, *inputs: Tensor) -> Tensor:
        return inputs[0] if self.scale is None else inputs[0] * self.scale.abs()

    def adjoint(self, rows: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        return (rows if self.scale is None else rows * self.scale,)

    @property
    def fan_in(self) -> int:
        return 0 if self.scale is None and self.shift is None else 1

    @property
    def fan_out(self) -> int:
        return 0 if self.scale is None else 1
