# SPDX-License-Identifier: Apache-2.0
"""Projection onto the simplex of weights."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["onto_simplex"]


def onto_simplex(weight: Tensor) -> Tensor:
    """The nearest point with nonnegative entries that sum to one: (D, P). Source: Duchi et al., ICML 2008."""
    ordered = weight.sort(dim=1, descending=True).values
    count = torch.arange(1, weight.shape[1] + 1, device=weight.device, dtype=weight.dtype)
    excess = (ordered.cumsum(dim=1) - 1) / count
    last = (ordered > excess).sum(dim=1, keepdim=True).clamp(min=1) - 1
    return (weight - excess.gather(1, last)).clamp(min=0)
