# SPDX-License-Identifier: Apache-2.0
"""Sums of squares in a text become balls that hold what the text allows."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest

from vnnverify.query import Ball, Box, Query, Region
from vnnverify.vnnlib import ParsedProperty

AROUND = "".join(f"(assert (and (>= X_{k} -4)(<= X_{k} 4)))" for k in range(2))
UNSAFE = "(assert (>= Y_0 0))"


Ask = Callable[[str], Query]


@pytest.fixture
def ask(prop: Callable[[int, int, str], ParsedProperty], compiled: Callable[..., Query]) -> Ask:
    """ask(assertions) -> the query about two inputs and one output."""
    return lambda assertions: compiled(prop(2, 1, assertions))


def region_of(ask: Ask, text: str, bounds: str = AROUND) -> Region:
    (clause,) = ask(bounds + text + UNSAFE).clauses
    return clause.region


@pytest.mark.parametrize(
    ("text", "centre", "square"),
    [
        ("(assert (<= (+ (* X_0 X_0) (* X_1 X_1)) 2))", (0.0, 0.0), Fraction(2)),
        ("(assert (>= 0.5 (+ (* 2 (- X_0 0.1) (- X_0 0.1)) (* 2 X_1 X_1))))", (0.1, 0.0), Fraction(1, 4)),
        ("(assert (< (+ (* (- 1 X_1) (- 1 X_1)) (* X_0 X_0)) 0.09))", (0.0, 1.0), Fraction(9, 100)),
    ],
)
def test_squares_that_are_bounded_are_a_ball(
    ask: Ask, text: str, centre: tuple[float, float], square: Fraction
) -> None:
    region = region_of(ask, text)
    assert isinstance(region, Ball) and region.norm == 2
    assert region.centre.tolist() == list(centre)
    assert square <= Fraction(region.radius.item()) ** 2 <= square * (1 + Fraction(1, 10**12))


@pytest.mark.parametrize(
    "text",
    [
        "(assert (<= (* X_0 X_0) 2))",
        "(assert (<= (+ (* X_0 X_0) (* 2 X_1 X_1)) 2))",
        "(assert (<= (+ (* X_0 X_0) (* X_1 X_1 X_1 X_1)) 2))",
        "(assert (<= (+ (* X_0 X_0) (* X_1 X_0)) 2))",
        "(assert (>= (+ (* X_0 X_0) (* X_1 X_1)) 2))",
        "(assert (<= (+ (* X_0 X_0) (* X_1 X_1) Y_0) 2))",
    ],
)
def test_other_polynomials_leave_a_box(ask: Ask, text: str) -> None:
    assert isinstance(region_of(ask, text), Box)


def test_inputs_with_one_value_need_no_square(ask: Ask) -> None:
    bounds = "(assert (and (>= X_0 -4)(<= X_0 4)))(assert (= X_1 0.5))"
    region = region_of(ask, "(assert (<= (* X_0 X_0) 2))", bounds)
    assert isinstance(region, Ball) and region.centre.tolist() == [0.0, 0.5]


def test_each_disjunct_over_a_box_has_its_own(ask: Ask) -> None:
    parts = " ".join(
        f"(and (<= X_0 {b}) (<= (+ (* X_0 X_0) (* X_1 X_1)) {b * b}) (>= Y_0 0))" for b in (1, 2)
    )
    clauses = ask(f"{AROUND}(assert (or {parts}))").clauses
    assert [c.region.radius.item() for c in clauses if isinstance(c.region, Ball)] == [1.0, 2.0]
