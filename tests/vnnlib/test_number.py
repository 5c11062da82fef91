# SPDX-License-Identifier: Apache-2.0
"""Literals are exact, and their neighbours enclose them."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vnnverify.vnnlib.number import Number

LITERALS = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False).map(lambda d: f"{d:e}"),
    st.decimals(min_value=-10, max_value=10, places=12).map(lambda d: f"{d:f}"),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda x: f"{Decimal(x):f}"),
    st.tuples(st.text("0123456789", min_size=1, max_size=40), st.integers(-400, 400)).map(
        lambda pair: f"0.{pair[0]}e{pair[1]}"
    ),
)


@given(LITERALS)
def test_neighbours_enclose_the_value_tightly(text: str) -> None:
    number, value = Number(text), Fraction(Decimal(text))
    assert number.value == value
    down, up = number.down, number.up
    if math.isfinite(down):
        assert Fraction(down) <= value
    if math.isfinite(up):
        assert value <= Fraction(up)
    assert up == down or math.nextafter(down, math.inf) == up
    assert (down == up) == (math.isfinite(number.nearest) and Fraction(number.nearest) == value)


@given(LITERALS, st.integers(-2, 2))
def test_against_is_the_exact_sign(text: str, steps: int) -> None:
    number = Number(text)
    x = number.nearest
    for _ in range(abs(steps)):
        x = math.nextafter(x, math.copysign(math.inf, steps))
    if math.isfinite(x):
        exact, value = Fraction(x), Fraction(Decimal(text))
        assert number.against(x) == (exact > value) - (exact < value)


@pytest.mark.parametrize(
    ("text", "down", "up"),
    [
        ("0.5", 0.5, 0.5),
        ("+1", 1.0, 1.0),
        (".5", 0.5, 0.5),
        ("5.", 5.0, 5.0),
        ("0.1", math.nextafter(0.1, 0), 0.1),
        ("-0.1", -0.1, math.nextafter(-0.1, 0)),
        ("1e-9999", 0.0, 5e-324),
        ("-1e-9999", -5e-324, 0.0),
        ("1e400", math.nextafter(math.inf, 0), math.inf),
        ("-1e400", -math.inf, -math.nextafter(math.inf, 0)),
        ("1" * 5000, math.nextafter(math.inf, 0), math.inf),
        ("0." + "3" * 400, math.nextafter(1 / 3, 0), 1 / 3)
        if Fraction(1 / 3) > Fraction(1, 3)
        else ("0." + "3" * 400, 1 / 3, math.nextafter(1 / 3, 1)),
    ],
)
def test_neighbours_of(text: str, down: float, up: float) -> None:
    assert (Number(text).down, Number(text).up) == (down, up)
