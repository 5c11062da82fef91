# SPDX-License-Identifier: Apache-2.0
"""Inverse trigonometric and hyperbolic functions, their inverses, and softsign."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.numerics import FUNCTION_ULPS
from vnnverify.ops.mirrored import Mirrored

__all__ = ["Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cosh", "Sinh", "Softsign"]


@dataclass(frozen=True, slots=True, eq=False)
class Atan(Mirrored):
    """Inverse tangent."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.atan(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return torch.reciprocal(1 + x.square())

    def where_derivative_is(self, slope: Tensor) -> Tensor:
        """1/(1 + x²) = slope."""
        return torch.sqrt((1 - slope) / slope)

    @property
    def steepness(self) -> tuple[float, float]:
        return 0.0, 1.0

    @property
    def image(self) -> tuple[float, float]:
        return -1.6, 1.6


@dataclass(frozen=True, slots=True, eq=False)
class Softsign(Mirrored):
    """x / (1 + |x|)."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        x = inputs[0]
        return torch.where(x.isinf(), torch.sign(x), x / (1 + x.abs()))

    def derivative(self, x: Tensor) -> Tensor:
        return (1 + x.abs()).square().reciprocal()

    def where_derivative_is(self, slope: Tensor) -> Tensor:
        """1/(1 + x)² = slope."""
        return torch.rsqrt(slope) - 1

    @property
    def steepness(self) -> tuple[float, float]:
        return 0.0, 1.0

    @property
    def image(self) -> tuple[float, float]:
        return -1.0, 1.0

    @property
    def ulps(self) -> int:
        """Of the sum and of the quotient, and one to spare."""
        return 3


@dataclass(frozen=True, slots=True, eq=False)
class Asin(Mirrored):
    """Inverse sine; NaN outside [−1, 1]."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.asin(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return torch.rsqrt((1 - x) * (1 + x))

    def where_derivative_is(self, slope: Tensor) -> Tensor:
        """1/sqrt(1 − x²) = slope."""
        return torch.sqrt(1 - slope.square().reciprocal())

    @property
    def steepness(self) -> tuple[float, float]:
        return 1.0, float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Acos(Mirrored):
    """Inverse cosine; NaN outside [−1, 1]."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.acos(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return -torch.rsqrt((1 - x) * (1 + x))

    def where_derivative_is(self, slope: Tensor) -> Tensor:
        """−1/sqrt(1 − x²) = ±slope."""
        return torch.sqrt(1 - slope.square().reciprocal())

    @property
    def steepness(self) -> tuple[float, float]:
        return -float("inf"), -1.0

    @property
    def image(self) -> tuple[float, float]:
        return 0.0, 3.2


@dataclass(frozen=True, slots=True, eq=False)
class Sinh(Mirrored):
    """Hyperbolic sine."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.sinh(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return torch.cosh(x)

    def where_derivative_is(self, slope: Tensor) -> Tensor:
        """cosh(x) = slope."""
        return torch.acosh(slope)

    @property
    def steepness(self) -> tuple[float, float]:
        return 1.0, float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Cosh(Mirrored):
    """Hyperbolic cosine."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.cosh(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return torch.sinh(x)

    def where_derivative_is(self, slope: Tensor) -> Tensor:
        """sinh(x) = ±slope."""
        return torch.asinh(slope)

    @property
    def image(self) -> tuple[float, float]:
        return 1.0, float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Asinh(Mirrored):
    """Inverse hyperbolic sine."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.asinh(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return torch.rsqrt(1 + x.square())

    def where_derivative_is(self, slope: Tensor) -> Tensor:
        """1/sqrt(1 + x²) = slope."""
        return torch.sqrt(slope.square().reciprocal() - 1)

    @property
    def steepness(self) -> tuple[float, float]:
        return 0.0, 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Acosh(Mirrored):
    """Inverse hyperbolic cosine; NaN below 1."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return torch.acosh(inputs[0])

    def derivative(self, x: Tensor) -> Tensor:
        return torch.rsqrt((x - 1) * (x + 1))

    def where_derivative_is(self, slope: Tensor) -> Tensor:
        """1/sqrt(x² − 1) = slope."""
        return torch.sqrt(1 + slope.square().reciprocal())

    @property
    def steepness(self) -> tuple[float, float]:
        return 0.0, float("inf")

    @property
    def image(self) -> tuple[float, float]:
        return 0.0, float("inf")

    @property
    def absolute(self) -> float:
        """Near 1 the value is far smaller than what it is computed from."""
        return float(FUNCTION_ULPS)


@dataclass(frozen=True, slots=True, eq=False)
class Atanh(Mirrored):
    """Inverse hyperbolic tangent; NaN outside (−1, 1)."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        x = inputs[0]
        return torch.atanh(torch.where(x.abs() < 1, x, float("nan")))

    def derivative(self, x: Tensor) -> Tensor:
        return torch.reciprocal((1 - x) * (1 + x))

    def where_derivative_is(self, slope: Tensor) -> Tensor:
        """1/(1 − x²) = slope."""
        return torch.sqrt(1 - slope.reciprocal())

    @property
    def steepness(self) -> tuple[float, float]:
        return 1.0, float("inf")
