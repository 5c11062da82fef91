# SPDX-License-Identifier: Apache-2.0
"""The position of the largest element."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.ir.op import Enclosed

__all__ = ["ArgMax"]


@dataclass(frozen=True, slots=True, eq=False)
class ArgMax(Enclosed):
    """Position of the largest element along an axis; of several, the first, or the last."""

    axis: int  # of the ONNX shape, not negative
    keepdims: bool
    last: bool = False

    def __call__(self, *inputs: Tensor) -> Tensor:
        x = inputs[0]
        dim = self.axis + 1
        if self.last:
            found = x.shape[dim] - 1 - x.flip(dim).argmax(dim=dim, keepdim=self.keepdims)
        else:
            found = x.argmax(dim=dim, keepdim=self.keepdims)
        sign = torch.sign(x.amax(dim=dim, keepdim=self.keepdims))
        return found.to(x.dtype) + (sign - sign.detach())  # a gradient, of zero

    def enclosure(self, *inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """From the first to the last position whose upper bound reaches the largest lower bound."""
        lower, upper = inputs[0]
        dim = self.axis + 1
        possible = upper >= lower.amax(dim=dim, keepdim=True)
        first = possible.to(torch.int8).argmax(dim=dim, keepdim=self.keepdims)
        back = possible.flip(dim).to(torch.int8).argmax(dim=dim, keepdim=self.keepdims)
        return first.to(lower.dtype), (lower.shape[dim] - 1 - back).to(lower.dtype)
