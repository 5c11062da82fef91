# SPDX-License-Identifier: Apache-2.0
"""When float64 computes without rounding, and which fractions can be rounded to it.

A bound counts roundings relative to a constant: they must not be lost below the smallest float of a type.
"""

from __future__ import annotations

from collections.abc import Hashable
from fractions import Fraction

import torch
from torch import Tensor

__all__ = [
    "can_be_rounded",
    "exact_sums",
    "grain",
    "is_float",
    "largest",
    "product_roundings",
    "source_of",
    "sum_is_exact",
]

_MANTISSA = 53  # bits of a float64
_REACH = Fraction(2**120)
"""Sizes from its inverse up to which a cast to float32 rounds relative to the number, too."""


def can_be_rounded(*numbers: Fraction) -> bool:
    """Whether each is zero, or keeps its size up to a unit roundoff as a float64 or a float32."""
    return all(not n or 1 / _REACH <= abs(n) <= _REACH for n in numbers)


def is_float(number: Fraction) -> bool:
    """Whether a float64 holds it, and a float32 a rounding of it."""
    return can_be_rounded(number) and Fraction(float(number)) == number


def source_of(*numbers: Fraction) -> Hashable:
    """What the floats of these numbers are roundings of; None if they are exact."""
    return None if all(map(is_float, numbers)) else numbers


def sum_is_exact(a: Tensor, b: Tensor) -> bool:
    """Whether every a + b is computed without rounding. Source: Knuth's TwoSum; Higham, section 4.3."""
    total = a + b
    back = total - a
    error = (a - (total - back)) + (b - back)
    return bool((error == 0).all())  # NaN where it overflows


def product_roundings(a: Tensor, b: Tensor) -> float:
    """How many roundings, relative to each product, computing all a·b costs at most: none where the bits of
    both are known to fit into one float64, else one, and any number where a product is too small for that."""
    product = a * b
    if bool(((product.abs() < 2.0**-900) & (a != 0) & (b != 0)).any()):
        return float("inf")
    return float(not bool(((_bits(a) + _bits(b) <= _MANTISSA) | (product == 0)).all()))


def _bits(t: Tensor) -> Tensor:
    """Significant bits of each element."""
    mantissa, _ = torch.frexp(t)
    whole = (mantissa * 2.0**_MANTISSA).to(torch.int64)
    lowest = torch.frexp((whole & -whole).to(torch.float64)).exponent - 1
    return torch.where(whole == 0, 0, _MANTISSA - lowest)


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
