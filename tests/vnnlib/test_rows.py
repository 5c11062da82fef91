# SPDX-License-Identifier: Apache-2.0
"""Comparisons become bounds and rows that mean no less than the text, and no more than rounding."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vnnverify.vnnlib.ast import Compare, Variable
from vnnverify.vnnlib.parse import parse
from vnnverify.vnnlib.rows import (
    Bound,
    FloatRow,
    InexactCoefficient,
    NonlinearTerm,
    Statement,
    read_comparison,
)

X0, X1, Y0, Y1 = Variable("X", 0), Variable("X", 1), Variable("Y", 0), Variable("Y", 1)
INF = math.inf
LARGEST = math.nextafter(INF, 0)
ABOVE = math.nextafter(0.1, INF)
BELOW = math.nextafter(0.1, 0)  # 0.1 as float64 is above the decimal
THIRD = 1 / 3  # as float64 below the fraction


def read(text: str) -> Statement:
    comparison = parse(f"(assert {text})").assertions[0]
    assert isinstance(comparison, Compare)
    return read_comparison(comparison)


def row(variables: tuple[Variable, ...], coefficients: tuple[float, ...], bound: float, strict: bool = False):
    return FloatRow(variables, coefficients, bound, strict)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(<= X_0 0.1)", Bound(0, -INF, 0.1)),
        ("(>= X_0 0.1)", Bound(0, BELOW, INF)),
        ("(< X_0 0.5)", Bound(0, -INF, 0.5)),
        ("(> X_0 0.5)", Bound(0, 0.5, INF)),
        ("(= X_0 0.1)", Bound(0, BELOW, 0.1)),
        ("(<= 0.5 X_1)", Bound(1, 0.5, INF)),
        ("(> 0.5 X_1)", Bound(1, -INF, 0.5)),
        ("(= 0.5 X_1)", Bound(1, 0.5, 0.5)),
        ("(<= (* 3 X_0) 1)", Bound(0, -INF, math.nextafter(THIRD, 1))),
        ("(<= (* -3 X_0) 1)", Bound(0, -math.nextafter(THIRD, 1), INF)),
        ("(= (* 3 X_0) 1)", Bound(0, THIRD, math.nextafter(THIRD, 1))),
        ("(<= (+ X_0 X_0) (- X_0 1))", Bound(0, -INF, -1.0)),
        ("(<= Y_0 0.1)", (row((Y0,), (1.0,), 0.1),)),
        ("(>= Y_0 0.1)", (row((Y0,), (-1.0,), -BELOW),)),
        ("(< Y_0 0.5)", (row((Y0,), (1.0,), 0.5, True),)),
        ("(> 0.5 Y_0)", (row((Y0,), (1.0,), 0.5, True),)),
        ("(= Y_0 0.5)", (row((Y0,), (1.0,), 0.5), row((Y0,), (-1.0,), -0.5))),
        ("(<= Y_0 Y_1)", (row((Y0, Y1), (1.0, -1.0), 0.0),)),
        ("(> Y_0 Y_1)", (row((Y0, Y1), (-1.0, 1.0), 0.0, True),)),
        ("(<= X_0 Y_1)", (row((X0, Y1), (1.0, -1.0), 0.0),)),
        ("(<= X_0 X_1)", (row((X0, X1), (1.0, -1.0), 0.0),)),
        ("(<= (+ X_0 (* 0.5 Y_0)) 2)", (row((X0, Y0), (1.0, 0.5), 2.0),)),
        ("(<= (+ X_0 (* 0.1 Y_0)) 2)", (row((X0, Y0), (10.0, 1.0), 20.0),)),
        ("(<= (+ (* 0.2 X_0) (* 0.1 Y_0)) 0.01)", (row((X0, Y0), (2.0, 1.0), 0.1),)),
        ("(<= (* 2 (- Y_0 (* 3 (- Y_1 1)))) 0)", (row((Y0, Y1), (2.0, -6.0), -6.0),)),
        ("(<= (* (- 3 1) Y_0 (+ 1 1)) 8)", (row((Y0,), (1.0,), 2.0),)),
        ("(<= (- Y_0 Y_0) 0)", True),
        ("(< Y_0 Y_0)", False),
        ("(<= 1 0)", False),
        ("(= (* 2 3) 6)", True),
        ("(<= Y_0 1e400)", True),
        ("(> Y_0 -1e400)", True),
        ("(<= (+ Y_0 Y_1) 1e400)", True),
        ("(= Y_0 1e400)", (row((Y0,), (-1.0,), -LARGEST),)),
        ("(>= Y_0 1e400)", (row((Y0,), (-1.0,), -LARGEST),)),
        ("(<= X_0 1e400)", Bound(0, -INF, LARGEST)),
        ("(> X_0 -1e400)", Bound(0, -LARGEST, INF)),
        ("(<= (* 2 X_0) 1e400)", Bound(0, -INF, LARGEST)),
        ("(>= (* -2 X_0) -1e400)", Bound(0, -INF, LARGEST)),
        ("(<= X_0 1.7976931348623158e308)", Bound(0, -INF, LARGEST)),
        ("(>= X_0 1e400)", False),
        ("(< X_0 -1e400)", False),
        ("(= X_0 1e400)", False),
        ("(>= (* -2 X_0) 1e400)", False),
        ("(= (* 2 X_0) -1e400)", False),
        ("(<= Y_0 -1e400)", (row((Y0,), (1.0,), -LARGEST),)),
    ],
)
def test_reads(text: str, expected: Statement) -> None:
    assert read(text) == expected


@pytest.mark.parametrize("text", ["(<= (* X_0 X_1) 1)", "(<= (* Y_0 (+ X_1 1)) 1)", "(<= 1 (* X_0 X_0))"])
def test_refuses_products_of_variables(text: str) -> None:
    with pytest.raises(NonlinearTerm):
        read(text)


def test_refuses_coefficients_that_no_scaling_makes_exact() -> None:
    with pytest.raises(InexactCoefficient):
        read("(<= (+ (* 0.12345678901234567 X_0) (* 1000.1 Y_0)) 2)")


def test_deep_terms_need_no_recursion() -> None:
    depth = 3_000
    assert read(f"(<= {'(+ X_0 ' * depth}X_1{')' * depth} 1)") == (row((X0, X1), (float(depth), 1.0), 1.0),)
    assert read(f"(<= {'(* 1 ' * depth}X_1{')' * depth} 1)") == Bound(1, -INF, 1.0)


SMALL = st.decimals(-9, 9, places=2)


@given(
    st.dictionaries(st.sampled_from([X0, X1, Y0, Y1]), SMALL, min_size=1),
    SMALL,
    st.sampled_from(["<=", "<", ">=", ">", "="]),
)
def test_rows_are_the_text_scaled_with_the_bound_rounded_up(terms, right, operator: str) -> None:
    left = "".join(f" (* {c} {v.name})" for v, c in terms.items())
    found = read(f"({operator} (+ 0{left}) {right})")
    exact = {v: Fraction(c) for v, c in terms.items() if c}
    if not isinstance(found, tuple):
        assert len(exact) <= 1
        return
    assert len(found) == (2 if operator == "=" else 1)
    for part in found:
        assert set(part.variables) == set(exact)
        ratios = {Fraction(c) / exact[v] for v, c in zip(part.variables, part.coefficients, strict=True)}
        assert len(ratios) == 1
        bound = Fraction(part.bound)
        wanted = ratios.pop() * Fraction(right)
        assert bound >= wanted
        assert bound == wanted or Fraction(math.nextafter(part.bound, -INF)) < wanted
