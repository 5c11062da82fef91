# SPDX-License-Identifier: Apache-2.0
"""The normal form contains exactly what the text means, but for outward rounding."""

from __future__ import annotations

import itertools
import logging
import math
import re
from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vnnverify.errors import SpecError
from vnnverify.query import Query
from vnnverify.vnnlib import ParsedProperty

Build = Callable[[int, int, str], ParsedProperty]
Compile = Callable[..., Query]
UNIT = "(assert (>= X_0 0))(assert (<= X_0 1))"
BELOW = math.nextafter(0.1, 0)
ALTERNATION = "(and (<= Y_0 0) (or (<= Y_0 1) " * 1_000 + "(<= Y_0 2)" + "))" * 1_000


def boxes(query: Query) -> list[tuple[list[float], list[float]]]:
    return [(c.region.lower.tolist(), c.region.upper.tolist()) for c in query.clauses]


def rows(query: Query, clause: int = 0) -> list[list[tuple[list[float], float, bool]]]:
    return [
        list(zip(p.A.tolist(), p.b.tolist(), p.strict.tolist(), strict=True))
        for p in query.clauses[clause].unsafe
    ]


def test_a_plain_conjunction_is_one_clause(prop: Build, compiled: Compile) -> None:
    found = compiled(prop(1, 2, UNIT + "(assert (<= Y_0 Y_1))(assert (> Y_1 0.5))"))
    assert boxes(found) == [([0.0], [1.0])]
    assert rows(found) == [[([1.0, -1.0], 0.0, False), ([0.0, -1.0], -0.5, True)]]
    assert found.clauses[0].region.linear is None
    assert found.clauses[0].unsafe[0].A.dtype == torch.float64


def test_a_disjunction_over_outputs_shares_one_region(prop: Build, compiled: Compile) -> None:
    found = compiled(prop(1, 2, UNIT + "(assert (or (and (<= Y_0 1)) (and (<= Y_1 2) (>= Y_0 3))))"))
    assert boxes(found) == [([0.0], [1.0])]
    assert rows(found) == [
        [([1.0, 0.0], 1.0, False)],
        [([0.0, 1.0], 2.0, False), ([-1.0, 0.0], -3.0, False)],
    ]


def test_disjunctions_over_inputs_and_outputs_multiply(prop: Build, compiled: Compile) -> None:
    found = compiled(
        prop(
            1,
            1,
            "(assert (>= X_0 0))(assert (or (<= X_0 1) (<= X_0 2)))(assert (or (<= Y_0 1) (>= Y_0 2)))",
        )
    )
    assert boxes(found) == [([0.0], [1.0]), ([0.0], [2.0])]
    assert rows(found, 0) == rows(found, 1) == [[([1.0], 1.0, False)], [([-1.0], -2.0, False)]]


def test_disjuncts_with_the_same_box_are_one_clause(prop: Build, compiled: Compile) -> None:
    box = "(>= X_0 0) (<= X_0 1)"
    text = f"(assert (or (and {box} (<= Y_0 1)) (and (>= X_0 2) (<= X_0 3)) (and {box} (>= Y_0 2))))"
    found = compiled(prop(1, 1, text))
    assert boxes(found) == [([0.0], [1.0]), ([2.0], [3.0])]
    assert rows(found, 0) == [[([1.0], 1.0, False)], [([-1.0], -2.0, False)]]
    assert rows(found, 1) == [[]]


def test_bounds_are_intersected_and_rounded_outward(prop: Build, compiled: Compile) -> None:
    text = (
        "(assert (>= X_0 0.1))(assert (<= X_0 9))(assert (<= X_0 0.7))(assert (>= X_0 0))(assert (= X_1 0.1))"
    )
    lower, upper = boxes(compiled(prop(2, 1, text)))[0]
    assert lower == [BELOW, BELOW]
    assert upper == [math.nextafter(0.7, 1), 0.1]


def test_without_rows_every_output_is_unsafe(prop: Build, compiled: Compile) -> None:
    (polytope,) = compiled(prop(1, 3, UNIT)).clauses[0].unsafe
    assert polytope.A.shape == (0, 3)
    assert polytope.contains(torch.zeros(2, 3, dtype=torch.float64)).tolist() == [True, True]


def test_rows_over_inputs_alone_cut_the_region(prop: Build, compiled: Compile) -> None:
    text = UNIT + "(assert (>= X_1 0))(assert (<= X_1 1))(assert (< (+ X_0 X_1) 1.5))(assert (<= Y_0 0))"
    region = compiled(prop(2, 1, text)).clauses[0].region
    assert region.linear is not None
    assert (region.linear.A.tolist(), region.linear.b.tolist()) == ([[1.0, 1.0]], [1.5])
    assert region.linear.strict.tolist() == [True]


def test_disjuncts_with_and_without_rows_over_inputs(prop: Build, compiled: Compile) -> None:
    text = (
        UNIT
        + "(assert (>= X_1 0))(assert (<= X_1 1))(assert (or (<= X_0 X_1) (and (<= X_0 0.5)) (>= Y_0 1)))"
    )
    found = compiled(prop(2, 1, text))
    assert [c.region.linear is not None for c in found.clauses] == [True, False, False]
    cut = ([0.0, 1.0, -1.0], 0.0, False)  # over the output and the exposed inputs: for who knows boxes only
    assert [rows(found, k) for k in range(3)] == [[[cut]], [[]], [[([-1.0, 0.0, 0.0], -1.0, False)]]]


def test_mixed_rows_see_inputs_as_further_outputs(prop: Build, compiled: Compile) -> None:
    text = "".join(f"(assert (>= X_{k} 0))(assert (<= X_{k} 1))" for k in range(4))
    found = compiled(prop(4, 2, text + "(assert (<= (+ Y_1 (* 2 X_3)) X_1))"))
    assert found.graph.output_size == 4
    x = torch.tensor([[0.1, 0.2, 0.3, 0.4], [1, 2, 3, 4]], dtype=torch.float64)
    assert torch.equal(found.graph(x)[:, 2:], x[:, [1, 3]])
    assert rows(found) == [[([0.0, 1.0, -1.0, 2.0], 0.0, False)]]


def test_a_crossed_box_is_dropped_with_a_warning(
    prop: Build, compiled: Compile, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = compiled(prop(1, 1, "(assert (>= X_0 2))(assert (<= X_0 1))(assert (<= Y_0 0))"))
    assert found.clauses == ()
    assert caplog.messages == [
        "p.vnnlib: X_0 has a lower bound above its upper bound; 1 of 1 disjuncts are vacuous and dropped"
    ]


def test_only_the_crossed_disjuncts_are_dropped(
    prop: Build, compiled: Compile, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = compiled(prop(1, 1, UNIT + "\n(assert (or (<= X_0 0.5) (<= X_0 -1) (<= 1 0)))"))
    assert boxes(found) == [([0.0], [0.5])]
    assert "in disjunct 2 of 3 in line 4; 2 of 3 disjuncts are vacuous" in caplog.text


def test_a_false_comparison_of_constants_leaves_nothing(
    prop: Build, compiled: Compile, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert compiled(prop(1, 1, UNIT + "(assert (< Y_0 Y_0))")).clauses == ()
        assert len(compiled(prop(1, 1, UNIT + "(assert (<= Y_0 Y_0))")).clauses) == 1
        union = "(assert (or (<= X_0 0.5) (<= Y_0 1)))"
        assert compiled(prop(1, 1, UNIT + "(assert (<= 1 0))" + union)).clauses == ()
        assert boxes(compiled(prop(1, 1, UNIT + "(assert (or (<= 1 0) (<= X_0 0.25)))" + union))) == [
            ([0.0], [0.25])
        ]
    assert "a comparison is never true" in caplog.text


@pytest.mark.parametrize(
    ("assertions", "place", "message"),
    [
        ("(assert (<= X_0 1))", "", "X_0 has no finite lower bound; add (assert (>= X_0 …))"),
        ("(assert (>= X_0 1))", "", "X_0 has no finite upper bound; add (assert (<= X_0 …))"),
        (
            UNIT + "\n(assert (>= (+ (* 1e-400 Y_0) X_0) 0))",
            "4:9",
            "coefficients beyond the range of float64, or too far apart for it; scale them",
        ),
        (
            "(assert (>= X_0 1))\n(assert (or (<= X_0 2) (and (<= Y_0 0))))",
            "",
            "X_0 has no finite upper bound in disjunct 2 of 2 in line 4",
        ),
        (
            UNIT + "\n(assert (or (>= Y_0 9) " + ALTERNATION + "))",
            "4:1",
            "multiplies out to too many disjuncts; at most 1,000,000",
        ),
    ],
)
def test_refuses(prop: Build, compiled: Compile, assertions: str, place: str, message: str) -> None:
    found = prop(1, 1, assertions)
    with pytest.raises(SpecError, match=re.escape(message)) as caught:
        compiled(found)
    assert str(caught.value).startswith(f"p.vnnlib:{place}: " if place else "p.vnnlib: ")


def test_a_bound_that_no_float_reaches(prop: Build, compiled: Compile) -> None:
    wide = "(assert (and (>= X_0 -1e400) (<= X_0 1e400)))"
    largest = 1.7976931348623157e308
    assert boxes(compiled(prop(1, 1, wide + "(assert (>= Y_0 0))"))) == [([-largest], [largest])]
    found = compiled(prop(1, 1, UNIT + "(assert (<= X_0 1e400))(assert (<= Y_0 1e400))(assert (>= Y_0 2))"))
    assert boxes(found) == [([0.0], [1.0])] and found.clauses[0].unsafe[0].b.tolist() == [-2.0]
    for never in ("(>= X_0 1e400)", "(= X_0 -1e400)", "(< X_0 -1e400)"):
        assert compiled(prop(1, 1, wide + f"(assert {never})")).clauses == ()


def test_refuses_a_model_of_another_size(prop: Build, compiled: Compile) -> None:
    found = prop(1, 1, UNIT)
    with pytest.raises(SpecError, match=r"declares 1 inputs X, the model has 5 \(in \[1, 5\]\)"):
        compiled(found, inputs=5)
    with pytest.raises(SpecError, match=r"declares 1 outputs Y, the model has 3 \(out \[1, 3\]\)"):
        compiled(found, outputs=3)


def test_many_disjuncts_are_slices_of_shared_arrays(prop: Build, compiled: Compile) -> None:
    cases = " ".join(f"(and (>= X_0 {k}) (<= X_0 {k}.5) (<= Y_0 {k}))" for k in range(20_000))
    found = compiled(prop(1, 1, f"(assert (or {cases}))"))
    assert len(found.clauses) == 20_000
    last = found.clauses[-1]
    assert boxes(found)[-1] == ([19_999.0], [19_999.5])
    assert last.unsafe[0].b.tolist() == [19_999.0]
    first = found.clauses[0].unsafe[0].A.untyped_storage()
    assert last.unsafe[0].A.untyped_storage().data_ptr() == first.data_ptr()


def test_a_wide_disjunction_over_outputs_stores_its_box_once(prop: Build, compiled: Compile) -> None:
    bounds = "".join(f"(assert (>= X_{k} 0))(assert (<= X_{k} 1))" for k in range(3_000))
    cases = " ".join(f"(and (>= Y_{k} Y_0))" for k in range(1, 200))
    found = compiled(prop(3_000, 200, f"{bounds}(assert (or {cases}))"))
    assert len(found.clauses) == 1
    assert len(found.clauses[0].unsafe) == 199


GRID = st.integers(-4, 4).map(lambda k: f"{k / 4}")
X_BOUND = st.builds("({} X_{} {})".format, st.sampled_from(["<=", ">=", "="]), st.integers(0, 1), GRID)
FLIPPED = st.builds("({} {} X_{})".format, st.sampled_from(["<=", ">="]), GRID, st.integers(0, 1))
TERM = st.one_of(
    st.sampled_from(["X_0", "X_1", "Y_0", "Y_1"]),
    GRID,
    st.builds("(- {} {})".format, st.sampled_from(["X_0", "Y_0"]), st.sampled_from(["X_1", "Y_1"])),
    st.builds("(* {} {})".format, st.sampled_from(["2", "0.1", "-3"]), st.sampled_from(["X_0", "Y_1"])),
)
ROW = st.builds("({} {} {})".format, st.sampled_from(["<=", "<", ">=", ">", "="]), st.just("Y_0"), TERM)
ANY_ROW = st.builds("({} {} {})".format, st.sampled_from(["<=", ">=", "="]), TERM, TERM)
TREE = st.recursive(
    st.one_of(X_BOUND, FLIPPED, ROW, ANY_ROW),
    lambda inner: st.builds(
        lambda kind, args: f"({kind} {' '.join(args)})",
        st.sampled_from(["and", "or"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=9,
)
BOX = "".join(f"(assert (>= X_{k} -1))(assert (<= X_{k} 1))" for k in range(2))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(TREE, min_size=1, max_size=3))
def test_contains_what_the_text_says(prop: Build, compiled: Compile, trees: list[str]) -> None:
    """On a grid where all sums are exact; 0.1 as a coefficient is scaled to a whole number."""
    found = prop(2, 2, BOX + "".join(f"(assert {tree})" for tree in trees))
    query = compiled(found)
    x = torch.tensor(list(itertools.product([-1.25, -0.5, 0.25, 1.0], repeat=2)), dtype=torch.float64)
    exposed = query.graph(x)[:, 2:]
    for y in itertools.product([-1.0, 0.0, 0.25, 2.0], repeat=2):
        z = torch.cat([torch.tensor([y], dtype=torch.float64).expand(len(x), 2), exposed], dim=1)
        inside = torch.zeros(len(x), dtype=torch.bool)
        for clause in query.clauses:
            inside |= clause.violated_by(x, z)
        expected = [found.holds_at(point, y)[0] for point in x.tolist()]
        assert inside.tolist() == expected


DECIMAL = st.decimals(-2, 2, places=3).map(str)
STRICT = st.builds("({} X_0 {})".format, st.sampled_from(["<=", "<", ">=", ">", "="]), DECIMAL)
OUT = st.builds("({} Y_0 {})".format, st.sampled_from(["<=", "<", ">=", ">"]), DECIMAL)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.lists(st.one_of(STRICT, OUT), min_size=1, max_size=3), min_size=1, max_size=3), st.data())
def test_never_loses_a_point_of_the_text(
    prop: Build, compiled: Compile, cases: list[list[str]], data: st.DataObject
) -> None:
    union = " ".join(f"(and {' '.join(case)})" for case in cases)
    found = prop(1, 1, f"(assert (>= X_0 -2))(assert (<= X_0 2))(assert (or {union}))")
    query = compiled(found)
    ends = st.one_of(DECIMAL.map(float), st.floats(-2, 2))
    for _ in range(10):
        x, y = data.draw(ends), data.draw(ends)
        if found.holds_at([x], [y])[0]:
            points = torch.tensor([[x]], dtype=torch.float64), torch.tensor([[y]], dtype=torch.float64)
            assert any(bool(clause.violated_by(*points)) for clause in query.clauses)
