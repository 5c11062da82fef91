# SPDX-License-Identifier: Apache-2.0
"""Systems of inequalities without a solution, against Fourier–Motzkin elimination."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vnnverify.query import inequalities
from vnnverify.query.inequalities import Inequality, contradictory
from vnnverify.testing import exact


def row(coefficients: str, bound: str, strict: bool = False) -> Inequality:
    """`"1 -1"`, `"0"` is x0 − x1 <= 0."""
    parts = map(Fraction, coefficients.split())
    return Inequality({f"x{k}": c for k, c in enumerate(parts)}, Fraction(bound), strict)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], False),
        ([row("0", "0")], False),
        ([row("0", "0", True)], True),
        ([row("0", "-1")], True),
        ([row("1", "0"), row("-1", "-1")], True),
        ([row("1", "0"), row("-1", "0")], False),
        ([row("1", "0", True), row("-1", "0")], True),
        ([row("1", "0"), row("-1", "0", True)], True),
        ([row("3", "1/10"), row("-7", "-7/30", True)], True),
        ([row("3", "1/10"), row("-7", "-7/30")], False),
        ([row("1 -1", "0", True), row("-1 1", "0", True)], True),
        ([row("1 -1", "0"), row("-1 1", "0")], False),
        ([row("2 -2", "1"), row("-3 3", "-8/5")], True),
        ([row("1 -1 0", "0"), row("0 1 -1", "0"), row("-1 0 1", "0", True)], True),
        ([row("1 -1 0", "0"), row("0 1 -1", "0"), row("-1 0 1", "0")], False),
        ([row("1 -1 0", "0"), row("1 0 -1", "0", True)], False),
        ([row("1 1", "1"), row("-1 0", "-1/2"), row("0 -1", "-1/2", True)], True),
        ([row("1 1", "1"), row("-1 0", "-1/2"), row("0 -1", "-1/2")], False),
        ([row("-1 -1", "-3"), row("1 0", "1"), row("0 1", "1")], True),
        (
            [
                row("1 2 3", "6", True),
                *(row(" ".join("-1" if i == k else "0" for i in range(3)), "-1") for k in range(3)),
            ],
            True,
        ),
    ],
)
def test_tells_systems_without_a_solution(rows: list[Inequality], expected: bool) -> None:
    assert contradictory(rows) is expected


SMALL = st.integers(-2, 2).map(Fraction)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.tuples(SMALL, SMALL, SMALL), SMALL, st.booleans()), min_size=1, max_size=6))
def test_agrees_with_elimination(rows: list[tuple[tuple[Fraction, ...], Fraction, bool]]) -> None:
    ours = [Inequality(dict(enumerate(a)), b, strict) for a, b, strict in rows]
    theirs = [exact.Inequality(a, b, strict) for a, b, strict in rows]
    assert contradictory(ours) is (exact.solution(theirs, 3) is None)


def test_a_system_that_is_too_large_counts_as_satisfiable(monkeypatch: pytest.MonkeyPatch) -> None:
    cycle = [row("1 -1 0", "0"), row("0 1 -1", "0"), row("-1 0 1", "0", True)]
    monkeypatch.setattr(inequalities, "MAX_ENTRIES", 5)
    assert contradictory(cycle) is False
