# SPDX-License-Identifier: Apache-2.0
"""Adam's steps. Those of `torch.optim` are the same but take a second to import.

Source: Kingma & Ba, arXiv:1412.6980, Algorithm 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["Adam", "direction"]

MOMENTUM, SECOND = 0.9, 0.99
"""What remains of the averages of gradients and of their squares after a step."""


class Adam:
    """Ascends in some tensors, which it changes in place."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = parameters
        self.first = [torch.zeros_like(p) for p in parameters]
        self.second = [torch.zeros_like(p) for p in parameters]
        self.steps = 0

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor | None], rate: float) -> None:
        """One step of length `rate` along each gradient; where there is none, nothing changes."""
        self.steps += 1
        averages = zip(self.parameters, self.first, self.second, gradients, strict=True)
        for p, first, second, gradient in averages:
            if gradient is not None:
                p += rate * direction(first, second, torch.nan_to_num(gradient), self.steps)


def direction(first: Tensor, second: Tensor, gradient: Tensor, step: int) -> Tensor:
    """Where to go in step 1, 2, …, about one long in every element; both averages are updated in place."""
    first.mul_(MOMENTUM).add_(gradient, alpha=1 - MOMENTUM)
    second.mul_(SECOND).addcmul_(gradient, gradient, value=1 - SECOND)
    scale = (1 - SECOND**step) ** 0.5 / (1 - MOMENTUM**step)
    ascent: Tensor = first * scale / (second.sqrt() + 1e-12)
    return ascent
