# SPDX-License-Identifier: Apache-2.0
"""Disjunctions whose product would be large: dropped, or computed, and always with the same meaning."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vnnverify.query import Query
from vnnverify.vnnlib import ParsedProperty
from vnnverify.vnnlib.ast import Variable
from vnnverify.vnnlib.extents import narrowed
from vnnverify.vnnlib.rows import FloatRow

Build = Callable[[int, int, str], ParsedProperty]
Compile = Callable[..., Query]

BOX = "".join(f"(assert (>= X_{k} -1))(assert (<= X_{k} 1))" for k in range(2))
GRID = torch.tensor(
    list(itertools.product([-1.0, -0.5, -0.25, 0.0, 0.25, 1.0], repeat=2)), dtype=torch.float64
)


def band(name: str, below: object, above: object) -> str:
    return f"(or (<= {name} {below}) (>= {name} {above}))"


def violated(query: Query, x: torch.Tensor) -> list[bool]:
    inside = torch.zeros(len(x), dtype=torch.bool)
    for clause in query.clauses:
        inside |= clause.violated_by(x, query.graph(x))
    return inside.tolist()


def means_the_text(found: ParsedProperty, query: Query) -> None:
    y = query.graph(GRID)[:, : found.outputs].tolist()
    expected = [found.holds_at(a, b)[0] for a, b in zip(GRID.tolist(), y, strict=True)]
    assert violated(query, GRID) == expected


NUMBER = st.integers(-6, 6).map(lambda k: f"{k / 4}")
ATOM = st.builds(
    "({} {} {})".format,
    st.sampled_from(["<=", ">=", "<", ">", "="]),
    st.sampled_from(["Y_0", "Y_1", "(+ Y_0 Y_1)", "(- Y_2 X_0)", "(* 2 Y_2)", "(* Y_0 X_1)"]),
    NUMBER,
)
BOUND = st.builds("({} X_{} {})".format, st.sampled_from(["<=", ">="]), st.integers(0, 1), NUMBER)
CASE = st.lists(st.one_of(ATOM, BOUND), min_size=1, max_size=3).map(lambda rows: f"(and {' '.join(rows)})")
INNER = st.lists(CASE, min_size=2, max_size=3).map(lambda cases: f"(or {' '.join(cases)})")
NESTED = st.lists(INNER, min_size=7, max_size=8).map(
    lambda parts: f"(or (>= Y_0 1.5) (and {' '.join(parts)}))"
)
STRICT = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@STRICT
@given(st.lists(INNER, min_size=8, max_size=14))
def test_many_disjunctions_hold_where_the_text_does_or_at_strict_ends(
    prop: Build, compiled: Compile, unions: list[str]
) -> None:
    text = BOX + "".join(f"(assert {union})" for union in unions)
    query = compiled(prop(2, 3, text))
    wider = prop(2, 3, text.replace("(< ", "(<= ").replace("(> ", "(>= "))
    y = query.graph(GRID)[:, :3].tolist()
    for point, value, inside in zip(GRID.tolist(), y, violated(query, GRID), strict=True):
        assert inside or not prop(2, 3, text).holds_at(point, value)[0]  # nothing is lost
        assert not inside or wider.holds_at(point, value)[0]  # nothing but ends is added
    if text == wider.text:
        means_the_text(wider, query)


@STRICT
@given(st.lists(NESTED, min_size=1, max_size=2))
def test_nested_disjunctions_mean_the_text(prop: Build, compiled: Compile, trees: list[str]) -> None:
    text = BOX + "".join(f"(assert {tree})" for tree in trees).replace("(< ", "(<= ").replace("(> ", "(>= ")
    found = prop(2, 3, text)
    means_the_text(found, compiled(found))


@pytest.mark.parametrize("count", [16, 40])
def test_bands_over_many_outputs_are_one_polytope(prop: Build, compiled: Compile, count: int) -> None:
    text = BOX + "".join(f"(assert {band(f'Y_{k}', k - 1, k + 1.5)})" for k in range(count))
    found = prop(2, count, text)
    query = compiled(found)
    (clause,) = query.clauses
    assert [p.b.numel() for p in clause.unsafe] == [count]
    means_the_text(found, query)


def test_a_few_disjunctions_are_still_multiplied_out(prop: Build, compiled: Compile) -> None:
    found = prop(2, 5, BOX + "".join(f"(assert {band(f'Y_{k}', k - 1, k + 1.5)})" for k in range(5)))
    query = compiled(found)
    (clause,) = query.clauses
    assert len(clause.unsafe) == 32 and query.graph.output_size == 5
    means_the_text(found, query)


def test_contradictory_disjuncts_are_dropped_while_multiplying(prop: Build, compiled: Compile) -> None:
    """Of 2^40 choices of sides of numbers on one line, 41 are possible."""
    bands = "".join(f"(assert {band('Y_0', k, k + 0.5)})" for k in range(40))
    query = compiled(prop(2, 1, BOX + bands))
    (clause,) = query.clauses
    assert len(clause.unsafe) == 41 and query.graph.output_size == 1
    scaled = "".join(
        f"(assert {band('(- Y_0 (* 2 Y_1))', k, k + 0.5)})(assert (>= (- (* 4 Y_1) (* 2 Y_0)) {k}))"
        for k in range(1, 30)
    )
    query = compiled(prop(2, 2, BOX + scaled))
    assert [len(c.unsafe) for c in query.clauses] == [1]


def test_what_contradicts_itself_in_every_disjunct_leaves_nothing(prop: Build, compiled: Compile) -> None:
    for text in (
        "(assert (<= Y_0 1))(assert (or (>= Y_0 2) (> Y_0 1)))",
        "(assert (or (<= Y_0 1) (<= Y_1 1)))(assert (>= Y_0 2))(assert (> Y_1 1))",
        "(assert (< Y_0 Y_1))(assert (<= Y_1 Y_0))",
    ):
        assert compiled(prop(2, 2, BOX + text)).clauses == ()
    kept = compiled(prop(2, 2, BOX + "(assert (<= Y_0 1))(assert (or (>= Y_0 1) (> Y_0 1)))"))
    assert [len(c.unsafe) for c in kept.clauses] == [1]


def test_bands_over_many_inputs_are_rows_over_one_box(prop: Build, compiled: Compile) -> None:
    n = 24
    box = "".join(f"(assert (>= X_{k} -1))(assert (<= X_{k} 1))" for k in range(n))
    found = prop(n, 1, box + "".join(f"(assert {band(f'X_{k}', -0.5, 0.5)})" for k in range(n)))
    query = compiled(found)
    assert len(query.clauses) == 1
    x = torch.where(torch.rand(400, n) < 0.95, 0.75, 0.25).double()
    y = query.graph(x)[:, :1].tolist()
    expected = [found.holds_at(a, b)[0] for a, b in zip(x.tolist(), y, strict=True)]
    assert violated(query, x) == expected and any(expected) and not all(expected)


def test_inputs_that_only_disjunctions_bound_have_the_hull(prop: Build, compiled: Compile) -> None:
    unions = "".join(
        f"(assert (or (and (>= X_{k} {k}) (<= X_{k} {k + 1})) (and (>= X_{k} {k + 2}) (<= X_{k} {k + 3}))))"
        for k in range(14)
    )
    query = compiled(prop(14, 1, unions))
    (clause,) = query.clauses
    assert clause.region.lower.tolist() == list(range(14))
    assert clause.region.upper.tolist() == list(range(3, 17))


def test_the_longest_disjunction_keeps_polytopes_of_its_own(prop: Build, compiled: Compile) -> None:
    bands = "".join(f"(assert {band(f'Y_{k}', k - 1, k + 1.5)})" for k in range(10))
    longest = f"(assert (or {' '.join(f'(<= Y_9 Y_{k})' for k in range(9))}))"
    found = prop(2, 10, BOX + bands + longest)
    query = compiled(found)
    (clause,) = query.clauses
    assert [p.b.numel() for p in clause.unsafe] == [11] * 9
    means_the_text(found, query)


def test_a_clause_with_too_many_polytopes_becomes_several(prop: Build, compiled: Compile) -> None:
    cases = " ".join(f"(and (<= Y_0 {k}) (>= Y_1 {k}))" for k in range(3_000))
    query = compiled(prop(2, 2, f"{BOX}(assert (or {cases}))"))
    assert len(query.clauses) > 1 and sum(len(c.unsafe) for c in query.clauses) == 3_000
    assert max(len(c.unsafe) * sum(p.b.numel() for p in c.unsafe) for c in query.clauses) <= 1 << 21


Y0, Y1 = Variable("Y", 0), Variable("Y", 1)


@pytest.mark.parametrize(
    ("rows", "left"),
    [
        ([((Y0,), (1.0,), 1.0, False), ((Y0,), (-1.0,), -1.0, False)], True),
        ([((Y0,), (1.0,), 1.0, True), ((Y0,), (-1.0,), -1.0, False)], False),
        ([((Y0,), (1.0,), 1.0, False), ((Y1,), (-1.0,), -2.0, False)], True),
        ([((Y0,), (1.0,), 1e-320, False), ((Y0,), (-1.0,), -2e-320, False)], False),
        ([((Y0, Y1), (2.0, -6.0), 1.0, False), ((Y0, Y1), (-1.0, 3.0), -0.51, False)], False),
        ([((Y0, Y1), (2.0, -6.0), 1.0, False), ((Y0, Y1), (-1.0, 3.0), -0.5, False)], True),
        ([((Y0, Y1), (2.0, -6.0), 1.0, False), ((Y0, Y1), (-1.0, 3.0), -0.5, True)], False),
        ([((Y0, Y1), (0.1, 1.0), 0.0, True), ((Y0, Y1), (-0.1, -1.0), 0.0, True)], False),
        ([((Y0,), (1.0,), float("inf"), False), ((Y0,), (-1.0,), -1.0, False)], True),
        ([((Y0,), (1.0,), 3.0, False), ((Y0,), (1.0,), 1.0, False), ((Y0,), (-1.0,), -2.0, False)], False),
    ],
)  # fmt: skip
def test_extents(rows: list[tuple[tuple[Variable, ...], tuple[float, ...], float, bool]], left: bool) -> None:
    for order in itertools.permutations(FloatRow(*row) for row in rows):
        assert (narrowed({}, order) is not None) == left
