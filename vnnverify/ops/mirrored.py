# SPDX-License-Identifier: Apache-2.0
"""Functions whose derivative is even or odd: it takes a value at one x and its mirror image at most."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor

from vnnverify.ir.op import Elementwise
from vnnverify.numerics import FUNCTION_ULPS

__all__ = ["Mirrored"]


@dataclass(frozen=True, slots=True, eq=False)
class Mirrored(Elementwise):
    """f' is even or odd and monotone for x >= 0."""

    @abstractmethod
    def where_derivative_is(self, slope: Tensor) -> Tensor:
        """An x >= 0 with f'(x) = ±slope; NaN or infinite if there is none."""

    def turning_points(self, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
        x = self.where_derivative_is(slope)
        return x, -x

    @property
    def ulps(self) -> int:
        return FUNCTION_ULPS
