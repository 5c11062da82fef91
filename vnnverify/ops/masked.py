# SPDX-License-Identifier: Apache-2.0
"""Elements that are left out of what follows."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from vnnverify.ir.op import Enclosed

__all__ = ["Masked"]


@dataclass(frozen=True, slots=True, eq=False)
class Masked(Enclosed):
    """x, and minus infinity where the mask is set: scores of which a softmax takes no notice."""

    mask: Tensor  # bool, of the shape of x

    def __call__(self, *inputs: Tensor) -> Tensor:
        return inputs[0].masked_fill(self.mask, -float("inf"))

    def enclosure(self, *inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Minus infinity is below every upper bound."""
        lower, upper = inputs[0]
        return self(lower), upper
