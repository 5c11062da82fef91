# SPDX-License-Identifier: Apache-2.0
"""Products, inexact sums, != and bounds that follow, in the normal form; compared with the text at points."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch

from vnnverify.query import Query
from vnnverify.vnnlib import ParsedProperty
from vnnverify.vnnlib.ast import Compare, Variable
from vnnverify.vnnlib.disjuncts import MAX_UNEQUAL
from vnnverify.vnnlib.parse import parse
from vnnverify.vnnlib.terms import Form, Power, Product, Terms

X0, X1, Y0 = Variable("X", 0), Variable("X", 1), Variable("Y", 0)
BOX = "".join(f"(assert (and (>= X_{k} -2)(<= X_{k} 2)))" for k in range(2))


def form(*pairs: tuple[Variable, int], constant: int = 0) -> Form:
    return Form(tuple((v, Fraction(c)) for v, c in pairs), Fraction(constant))


A, B, Z0 = form((X0, 1)), form((X1, 1)), Variable("Z", 0)
SQUARE = Power(A, 2)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("(* X_0 X_1)", [Product(A, B)]),
        ("(* (- X_0 X_1) (- (* 2 X_1) (* 2 X_0)))", [Power(form((X0, 1), (X1, -1)), 2)]),
        ("(* X_0 3 X_0 X_0)", [Power(form((X0, 1)), 3)]),
        ("(* X_0 (+ Y_0 1) X_0)", [SQUARE, Product(form((Z0, 1)), form((Y0, 1), constant=1))]),
        ("(+ (* X_0 X_1) (* X_1 X_0))", [Product(A, B), Product(B, A)]),
        ("(* X_0 (- X_1 X_1))", []),
    ],
)  # fmt: skip
def test_factors_stay_together(text: str, terms: list[object]) -> None:
    found = Terms()
    (comparison,) = parse(f"(assert (<= {text} 1))").assertions
    assert isinstance(comparison, Compare)
    found.read(comparison)
    assert found.found == terms


POLYNOMIAL = [
    "(<= (* X_0 X_1) 0.3)",
    "(> (- (* X_0 X_0) (* 0.3 Y_0 X_1)) 1)",
    "(<= (* (- X_0 X_1) (- X_0 X_1)) 0.5)",
    "(<= (+ (* X_0 X_0 X_0) (* X_1 X_1)) (* (+ Y_0 1.7) (- Y_1 X_0) 0.1))",
    "(or (<= (* X_0 Y_1) -1) (and (>= (* X_1 X_1) 1) (< Y_0 (* X_0 X_1))))",
    "(<= (+ (* 0.12345678901234567 X_0) (* 1000.1 Y_0)) 1)",
    "(>= (* (* X_0 X_1) (* X_0 Y_0)) 0.5)",
]


@pytest.mark.parametrize("assertion", POLYNOMIAL)
def test_the_normal_form_says_what_the_text_says(
    assertion: str, prop: Callable[[int, int, str], ParsedProperty], compiled: Callable[..., Query]
) -> None:
    found = prop(2, 2, f"{BOX}(assert {assertion})")
    query = compiled(found)
    source = random.Random(0)
    points = [[source.uniform(-2, 2), source.uniform(-2, 2)] for _ in range(200)]
    x = torch.tensor(points, dtype=torch.float64)
    y = query.graph(x)
    said = torch.stack([clause.violated_by(x, y) for clause in query.clauses]).any(dim=0).tolist()
    text = [found.holds_at(a, b[:2])[0] for a, b in zip(points, y.tolist(), strict=True)]
    assert said == text
    assert 0 < sum(text) < len(text)


def test_unequal_is_below_or_above(
    prop: Callable[..., ParsedProperty], compiled: Callable[..., Query]
) -> None:
    (clause,) = compiled(prop(2, 1, BOX + "(assert (<= Y_0 1))")).clauses
    assert len(clause.unsafe) == 1
    found = prop(2, 1, BOX + "(assert (<= Y_0 1))")
    unequal = Compare("!=", Y0, parse("(assert (<= 0 Y_0))").assertions[0].lhs)  # type: ignore[union-attr]
    for count in (1, MAX_UNEQUAL + 1):
        more = ParsedProperty(
            2, 1, (*found.assertions, *[unequal] * count), (*found.offsets, *[0] * count), "", found.text
        )
        (clause,) = compiled(more).clauses
        rows = [
            [(r, b, s) for r, b, s in zip(p.A[:, 0].tolist(), p.b.tolist(), p.strict.tolist(), strict=True)]
            for p in clause.unsafe
        ]
        upper = (1.0, 1.0, False)
        assert rows == ([[upper, (1.0, 0.0, True)], [upper, (-1.0, 0.0, True)]] if count == 1 else [[upper]])
        assert more.holds_at([0.0, 0.0], [0.0])[0] is False and more.holds_at([0.0, 0.0], [0.5])[0]


@pytest.mark.parametrize(
    ("assertions", "lower", "upper"),
    [
        ("(= X_1 X_0)", 0.0, 1.0),
        ("(and (<= (- X_1 X_0) 0.5) (<= (- X_0 X_1) 0.25))", -0.25, 1.5),
        ("(= X_1 (+ X_0 3))", 3.0, 4.0),
        ("(and (<= (* 2 X_1) (+ X_0 1)) (>= X_1 -7))", -7.0, 1.0),
        ("(and (<= X_2 1) (>= X_2 0) (<= (+ X_0 X_1 X_2) 1) (>= (+ X_1 X_2) X_0))", -1.0, 1.0),
    ],
)
def test_bounds_that_follow(
    assertions: str,
    lower: float,
    upper: float,
    prop: Callable[..., ParsedProperty],
    compiled: Callable[..., Query],
) -> None:
    third = "" if "X_2" in assertions else "(assert (and (>= X_2 0)(<= X_2 0)))"
    found = prop(3, 1, f"(assert (and (>= X_0 0)(<= X_0 1))){third}(assert {assertions})")
    (clause,) = compiled(found).clauses
    assert (float(clause.region.lower[1]), float(clause.region.upper[1])) == (lower, upper)
