# SPDX-License-Identifier: Apache-2.0
"""When float64 computes sums without rounding."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["exact_sums", "grain", "largest"]

_MANTISSA = 53  # bits of a float64


def exact_sums(least: int, most: float) -> bool:
    """Whether float64 holds every multiple of 2^least up to `most`, hence every partial sum of such."""
    return most <= 2.0 ** min(least + _MANTISSA, 1000) and least > -1000


def grain(t: Tensor) -> int:
    """The largest g such that every element is a multiple of 2^g; 0 if there are only zeros."""
    values = t[t != 0]
    if values.numel() == 0:
        return 0
    mantissa, exponent = torch.frexp(values)
    whole = (mantissa * 2.0**_MANTISSA).to(torch.int64)
    lowest = torch.frexp((whole & -whole).to(torch.float64)).exponent - 1
    return int((exponent - _MANTISSA + lowest).min())


def largest(t: Tensor) -> float:
    """The largest size of an element; 0 without any."""
    return float(t.abs().max()) if t.numel() else 0.0
