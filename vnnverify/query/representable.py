# SPDX-License-Identifier: Apache-2.0
"""The numbers that an element type of ONNX holds: its range, and which of them lie in an interval.

Numbers are float64 here, which holds those of every other type exactly but for whole numbers beyond 2^53; of
these only the ones that are float64 numbers themselves are considered.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["EXACT_WHOLE", "FLOAT_TYPES", "as_type", "ends", "is_whole", "nearest", "single", "whole_range"]

EXACT_WHOLE = 2.0**53
"""Up to this size every whole number is a float64 number."""
FLOAT_TYPES = frozenset(("float16", "bfloat16", "float32", "float64"))
"""Floating-point types whose numbers are known here."""


def is_whole(dtype: str) -> bool:
    """Whether the type holds whole numbers only; `bool` holds 0 and 1."""
    return dtype == "bool" or dtype.removeprefix("u").removeprefix("int").isdecimal()


def whole_range(dtype: str) -> tuple[int, int]:
    """The least and the greatest number of a whole-number type."""
    if dtype == "bool":
        return 0, 1
    bits = int(dtype.removeprefix("u").removeprefix("int"))
    return (0, 2**bits - 1) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def ends(
    lower: np.ndarray, upper: np.ndarray, dtype: str, *, strictly: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest finite number of `dtype` in [lower, upper], as float64.

    Where there is none, the first is greater than the second.

    Args:
        strictly: in between, so that a number which is itself an end is left out.

    Raises:
        ValueError: the numbers of this type are not known here.
    """
    if is_whole(dtype):
        least, most = (_toward_zero(end) for end in whole_range(dtype))
        first, last = np.ceil(lower), np.floor(upper)
        if strictly:
            first = np.where(first <= lower, _whole_step(first, up=True), first)
            last = np.where(last >= upper, _whole_step(last, up=False), last)
        return np.maximum(first, least), np.minimum(last, most)
    first, last = nearest(lower, dtype), nearest(upper, dtype)
    first = np.where(first <= lower if strictly else first < lower, _step(first, dtype, up=True), first)
    last = np.where(last >= upper if strictly else last > upper, _step(last, dtype, up=False), last)
    first = np.where(np.isneginf(first), _step(first, dtype, up=True), first)
    return first, np.where(np.isposinf(last), _step(last, dtype, up=False), last)


def nearest(x: np.ndarray, dtype: str) -> np.ndarray:
    """The nearest number of `dtype`, as float64: of a floating-point type infinity beyond its range, of
    whole numbers the end of it.

    Raises:
        ValueError: the numbers of this type are not known here.
    """
    if is_whole(dtype):
        least, most = (_toward_zero(end) for end in whole_range(dtype))
        value: np.ndarray = np.clip(np.rint(x), least, most)
        return value
    with np.errstate(over="ignore"):
        value = x.astype(_numpy(dtype)).astype(np.float64)
    return value


def as_type(x: np.ndarray, dtype: str) -> np.ndarray:
    """The nearest numbers of `dtype`, as an array of that type. Types whose numbers are not known here are
    left to numpy."""
    known = is_whole(dtype) or dtype in FLOAT_TYPES
    kind = _numpy(dtype) if dtype in FLOAT_TYPES else np.dtype(dtype)
    with np.errstate(over="ignore"):
        value: np.ndarray = (nearest(x, dtype) if known else x).astype(kind)
    return value


def single(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Where an interval with these ends, rounded outward to float64, is one decimal number as far as float64
    can tell: bool, of the same shape."""
    found: np.ndarray = np.nextafter(lower, np.inf) >= upper
    return found


def _numpy(dtype: str) -> np.dtype[Any]:
    if dtype not in FLOAT_TYPES:
        raise ValueError(f"numbers of type {dtype} are not known")
    if dtype == "bfloat16":
        import ml_dtypes

        kind: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return kind
    return np.dtype(dtype)


def _step(x: np.ndarray, dtype: str, *, up: bool) -> np.ndarray:
    """The next number of a floating-point type above or below x, which is one; as float64."""
    kind = _numpy(dtype)
    with np.errstate(over="ignore"):
        value: np.ndarray = np.nextafter(x.astype(kind), np.asarray(math.inf if up else -math.inf, kind))
    return value.astype(np.float64)


def _whole_step(x: np.ndarray, *, up: bool) -> np.ndarray:
    """The next whole number that is a float64 number."""
    sign = 1 if up else -1
    value: np.ndarray = sign * np.maximum(sign * x + 1, np.nextafter(sign * x, np.inf))
    return value


def _toward_zero(value: int) -> float:
    """The float64 number nearest to a whole number that is no further from zero."""
    found = float(value)
    return math.nextafter(found, 0.0) if abs(int(found)) > abs(value) else found
