# SPDX-License-Identifier: Apache-2.0
"""Sums that regions round outward, without losing derivatives."""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.numerics import gamma, relative_error, upper_as

__all__ = ["below", "product_error", "total"]


def total(rows: Tensor, x: Tensor) -> Tensor:
    """Σ rows·x over the last axis, summed in float64. Zero times infinity is zero."""
    known = x.expand_as(rows).masked_fill((rows == 0) & torch.isinf(x), 0.0)
    return (rows * known).sum(dim=-1, dtype=torch.float64)


def product_error(rows: Tensor, x: Tensor, more: int = 0) -> Tensor:
    """By how much `total` may err, in float64; `more`: further roundings of each product."""
    relative = gamma(2 + more, rows.dtype) + gamma(rows.shape[-1] + 4, torch.float64)
    return 2 * relative * total(rows.detach().abs(), x.detach().abs())


def below(value: Tensor, error: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A float64 sum less its error and what it may lose in a cast to `dtype`, and all that was subtracted.
    Where the bound is no finite number it is minus infinity."""
    error = error + 2 * relative_error(dtype) * (value.detach().abs() + error) + torch.finfo(dtype).tiny
    found = (value - error).to(dtype)
    return torch.where(torch.isfinite(found), found, -torch.inf), upper_as(error, dtype)
