# SPDX-License-Identifier: Apache-2.0
"""Which numbers an element type holds, and which of them lie in an interval."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vnnverify.query.representable import FLOAT_TYPES, ends, is_whole, nearest, single, whole_range

FLOATS = {
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
}
WHOLE = ("bool", "int4", "uint4", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
TENTH = {kind: float(np.asarray(0.1).astype(dtype)) for kind, dtype in FLOATS.items()}


def first_and_last(lower: float, upper: float, kind: str, *, strictly: bool = False) -> tuple[float, float]:
    first, last = ends(np.array([lower]), np.array([upper]), kind, strictly=strictly)
    return float(first[0]), float(last[0])


def test_all_types_are_in_the_table() -> None:
    assert set(FLOATS) == FLOAT_TYPES
    assert all(map(is_whole, WHOLE)) and not any(map(is_whole, FLOATS))


@pytest.mark.parametrize(
    ("kind", "lower", "upper", "expected"),
    [
        ("uint8", -5, 300, (0, 255)),
        ("uint8", 256, 300, None),
        ("int8", -1000, -128, (-128, -128)),
        ("int64", 0.25, 0.75, None),
        ("int64", 0.25, 1.75, (1, 1)),
        ("int64", -1e30, 1e30, (-(2.0**63), 2.0**63 - 1024)),
        ("uint64", 2.0**64, 1e30, None),
        ("bool", -1, 7, (0, 1)),
        ("float32", 16777216.5, 16777217.5, None),
        ("float32", -1e39, 1e39, (-float(np.finfo(np.float32).max), float(np.finfo(np.float32).max))),
        ("float32", 1e39, 2e39, None),
        ("float32", -2e39, -1e39, None),
        ("float32", 1e-46, 2e-46, None),
        ("float16", 65504, 70000, (65504, 65504)),
        ("float16", 65505, 70000, None),
        ("bfloat16", 256, 257.5, (256, 256)),
        ("bfloat16", 256.5, 257.5, None),
        ("float64", 0.1, 0.1, (0.1, 0.1)),
        ("float64", -math.inf, math.inf, (-float(np.finfo(np.float64).max), float(np.finfo(np.float64).max))),
    ],
)
def test_ends(kind: str, lower: float, upper: float, expected: tuple[float, float] | None) -> None:
    first, last = first_and_last(lower, upper, kind)
    assert (first > last) if expected is None else ((first, last) == expected)


@given(
    st.sampled_from(sorted(FLOATS)),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)
def test_ends_of_floats_are_the_outermost_inside(kind: str, a: float, b: float, strictly: bool) -> None:
    lower, upper = min(a, b), max(a, b)
    first, last = first_and_last(lower, upper, kind, strictly=strictly)
    dtype = FLOATS[kind]
    with np.errstate(over="ignore"):
        for end, away in ((first, -math.inf), (last, math.inf)):
            if first > last:
                break
            assert math.isfinite(end) and float(np.asarray(end).astype(dtype)) == end
            assert (lower < end < upper) if strictly else (lower <= end <= upper)
            beyond = float(np.nextafter(np.asarray(end).astype(dtype), np.asarray(away).astype(dtype)))
            outside = beyond <= lower or beyond >= upper if strictly else not lower <= beyond <= upper
            assert outside or not math.isfinite(beyond)
        if first > last:
            near = float(np.asarray(lower).astype(dtype))
            inside = lower < near < upper if strictly else lower <= near <= upper
            assert not (inside and math.isfinite(near))


@given(st.sampled_from(WHOLE), st.floats(-300, 300), st.floats(-300, 300))
def test_ends_of_whole_numbers_are_the_outermost_inside(kind: str, a: float, b: float) -> None:
    lower, upper = min(a, b), max(a, b)
    least, most = whole_range(kind)
    inside = [k for k in range(-301, 302) if lower <= k <= upper and least <= k <= most]
    first, last = first_and_last(lower, upper, kind)
    assert (first, last) == (inside[0], inside[-1]) if inside else first > last


@pytest.mark.parametrize("kind", sorted(FLOATS))
def test_nearest_float(kind: str) -> None:
    assert nearest(np.array([0.1, 1e39, -1e308]), kind)[0] == TENTH[kind]
    assert np.isposinf(nearest(np.array([1e39]), kind)[0]) == (kind != "float64")


def test_nearest_whole_number_never_wraps() -> None:
    assert nearest(np.array([260.0, -4.0, 2.6]), "uint8").tolist() == [255.0, 0.0, 3.0]
    assert nearest(np.array([1e30]), "int64").tolist() == [2.0**63 - 1024]
    assert nearest(np.array([7.0, -7.0]), "bool").tolist() == [1.0, 0.0]


def test_unknown_types_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="numbers of type float8_e4m3fn are not known"):
        nearest(np.array([1.0]), "float8_e4m3fn")


def test_one_decimal_is_at_most_one_step_wide() -> None:
    below = np.nextafter(0.1, 0)
    lower, upper = np.array([below, below, 1.0]), np.array([0.1, np.nextafter(0.1, 1), 1.0])
    assert single(lower, upper).tolist() == [True, False, True]
