# SPDX-License-Identifier: Apache-2.0
"""Products of two variables."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.ir.op import Bilinear

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
