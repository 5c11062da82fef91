# SPDX-License-Identifier: Apache-2.0
"""Disjuncts that nothing satisfies are dropped before any network is looked at, and only those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vnnverify.query import Query
from vnnverify.vnnlib import ParsedProperty, contradiction

Build = Callable[[int, int, str], ParsedProperty]
Compile = Callable[..., Query]
FLOAT = "0.1000000000000000055511151231257827021181583404541015625"  # the float64 that is read for 0.1


def text(*assertions: str) -> str:
    """Assertions, and the unit square for those inputs that they do not bound."""
    return "".join(f"(assert {a})" for a in assertions)


SQUARE = ("(>= X_0 0)", "(<= X_0 1)", "(>= X_1 0)", "(<= X_1 1)")


@pytest.mark.parametrize(
    ("assertions", "polytopes"),
    [
        # boxes that strict rows empty, and twins that they do not
        (("(>= X_0 0.5)", "(<= X_0 1)", "(< X_0 0.5)"), 0),
        (("(>= X_0 0.5)", "(<= X_0 0.5)"), 1),
        (("(> X_0 0)", "(<= X_0 0)"), 0),
        (("(> X_0 1)", "(< X_0 1)"), 0),
        (("(> X_0 0.1)", "(< X_0 0.1)"), 0),
        (("(> X_0 0.1)", "(<= X_0 0.1)"), 0),
        (("(>= X_0 0.1)", "(<= X_0 0.1)"), 1),
        (("(>= X_0 0.1)", "(<= X_0 0.10)"), 1),
        (("(> X_0 0.1)", f"(< X_0 {FLOAT})"), 1),
        (("(< X_0 0.1)", f"(> X_0 {FLOAT})"), 0),
        ((f"(>= X_0 {FLOAT})", "(<= X_0 0.1)"), 0),
        (("(= X_0 0.1)", "(< X_0 0.1)"), 0),
        (("(>= X_0 0)", "(<= X_0 1)", "(> (* 2 X_0) 2)"), 0),
        (("(>= X_0 0)", "(<= X_0 1)", "(>= (* 2 X_0) 2)"), 1),
        (("(>= (* 3 X_0) 1)", "(< (* 6 X_0) 2)", "(<= X_0 1)"), 0),
        # the same in one of several disjuncts
        (("(>= X_0 0)", "(<= X_0 1)", "(or (> X_0 1) (and (< X_0 0)) (>= X_0 1))"), 1),
        (("(>= X_0 0)", "(<= X_0 1)", "(or (> X_0 1) (and (>= Y_0 1) (< Y_0 1)))"), 0),
        # rows over outputs
        ((*SQUARE, "(>= Y_0 1)", "(<= Y_0 0)"), 0),
        ((*SQUARE, "(>= Y_0 1)", "(<= Y_0 1)"), 1),
        ((*SQUARE, "(> Y_0 0.1)", "(<= Y_0 0.1)"), 0),
        ((*SQUARE, "(>= Y_0 0.1)", "(<= Y_0 0.1)"), 1),
        ((*SQUARE, "(> Y_0 Y_1)", "(> Y_1 Y_0)"), 0),
        ((*SQUARE, "(>= Y_0 Y_1)", "(>= Y_1 Y_0)"), 1),
        ((*SQUARE, "(> Y_0 Y_1)", "(>= Y_1 Y_2)", "(>= Y_2 Y_0)"), 0),
        ((*SQUARE, "(>= Y_0 Y_1)", "(>= Y_1 Y_2)", "(>= Y_2 Y_0)"), 1),
        ((*SQUARE, "(>= (+ Y_0 Y_1) 1)", "(< (+ (* 2 Y_1) (* 2 Y_0)) 2)"), 0),
        ((*SQUARE, "(>= (+ Y_0 Y_1) 1)", "(<= Y_0 0.3)", "(< Y_1 0.7)"), 0),
        ((*SQUARE, "(>= (+ Y_0 Y_1) 1)", "(<= Y_0 0.3)", "(<= Y_1 0.7)"), 1),
        ((*SQUARE, "(>= (* Y_0 Y_1) 1)", "(< (* Y_0 Y_1) 1)"), 0),
        ((*SQUARE, "(>= (* Y_0 Y_1) 1)", "(<= (* Y_0 Y_1) 1)"), 1),
        ((*SQUARE, "(< Y_0 Y_0)"), 0),
        # rows over inputs, and over both
        ((*SQUARE, "(>= (+ X_0 X_1) 3)"), 0),
        ((*SQUARE, "(> (+ X_0 X_1) 2)"), 0),
        ((*SQUARE, "(>= (+ X_0 X_1) 2)"), 1),
        ((*SQUARE, "(> X_0 X_1)", "(> X_1 X_0)"), 0),
        ((*SQUARE, "(>= X_0 X_1)", "(< X_0 0.5)", "(> X_1 0.5)"), 0),
        ((*SQUARE, "(>= X_0 X_1)", "(<= X_0 0.5)", "(>= X_1 0.5)"), 1),
        ((*SQUARE, "(> Y_0 X_0)", "(< Y_0 0)"), 0),
        ((*SQUARE, "(>= Y_0 X_0)", "(<= Y_0 0)"), 1),
        # disjunctions over outputs, with what holds everywhere and with each other
        ((*SQUARE, "(> Y_0 Y_1)", "(or (>= Y_1 Y_0) (>= Y_2 Y_0))"), 1),
        ((*SQUARE, "(or (>= Y_0 1) (>= Y_1 1))", "(or (< Y_0 1) (< Y_1 1))"), 2),
        ((*SQUARE, "(or (>= Y_0 2) (<= Y_0 -2))", "(< Y_0 2)", "(> Y_0 -2)"), 0),
    ],
)
def test_only_what_contradicts_itself_is_dropped(
    prop: Build, compiled: Compile, assertions: tuple[str, ...], polytopes: int
) -> None:
    used = sum(f"X_{k}" in " ".join(assertions) for k in range(3))
    found = compiled(prop(used, 3, text(*assertions)))
    assert sum(len(clause.unsafe) for clause in found.clauses) == polytopes
    assert all(clause.unsafe for clause in found.clauses)


def test_what_one_disjunct_contradicts_stays_in_the_others(prop: Build, compiled: Compile) -> None:
    cases = "(or (and (<= X_0 0.5) (> Y_0 0.1) (< Y_0 0.1)) (and (<= X_0 0.5) (>= Y_0 0.1) (<= Y_0 0.1)))"
    (clause,) = compiled(prop(1, 1, text("(>= X_0 0)", cases))).clauses
    (polytope,) = clause.unsafe
    assert polytope.strict.tolist() == [False, False]


def test_fixed_inputs_cost_no_rational_numbers(
    prop: Build, compiled: Compile, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    judge = contradiction.contradictory
    monkeypatch.setattr(contradiction, "contradictory", lambda rows: seen.append(len(rows)) or judge(rows))
    fixed = [f"({o} X_{k} 0.{k + 1})" for k in range(50) for o in (">=", "<=")]
    compiled(prop(50, 2, text(*fixed, "(or (<= Y_0 Y_1) (<= Y_1 0))")))
    assert max(seen) <= 1
