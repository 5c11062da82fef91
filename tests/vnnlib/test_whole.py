# SPDX-License-Identifier: Apache-2.0
"""Boxes of whole-number inputs hold what their types hold, no more and no less."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vnnverify.ir import Graph, Node, Value
from vnnverify.ops.linear import Linear
from vnnverify.query import Layout, Query, Replay, TensorSpec
from vnnverify.query.representable import is_whole, whole_range
from vnnverify.vnnlib import normalize, parse_property
from vnnverify.vnnlib.whole import MOST_CASES

TYPES = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


class NoReplay:
    """A source that is never asked."""

    def replay(self, x: torch.Tensor) -> Replay:
        raise AssertionError("normalisation replays nothing")

    def outputs(self, x: torch.Tensor) -> tuple[float, ...]:
        raise AssertionError("normalisation runs nothing")


def asked(types: tuple[str, ...], *assertions: str) -> Query:
    """A query about the sum of one input of each type."""
    n = len(types)
    x, y = Value("x", (1, n)), Value("y", (1, 1))
    graph = Graph((x,), (y,), (Node(Linear(torch.ones(1, n, dtype=torch.float64)), (x,), y, "sum"),))
    inputs = tuple(TensorSpec(f"x{k}", (1,), kind) for k, kind in enumerate(types))
    names = [*(f"X_{k}" for k in range(n)), "Y_0"]
    text = "".join(f"(declare-const {name} Real)" for name in names)
    prop = parse_property(text + "".join(f"(assert {a})" for a in assertions))
    return normalize(prop, graph, Layout(inputs, (TensorSpec("y", (1, 1), "float32"),)), NoReplay())


def boxes(kind: str, *assertions: str) -> list[tuple[float, float]]:
    """The intervals of one input of this type, neighbouring ones joined."""
    ends = [
        (float(c.region.lower[0]), float(c.region.upper[0]))
        for c in asked((kind,), *assertions, "(>= Y_0 0)").clauses
    ]
    joined = ends[:1]
    for (_, before), (low, high) in pairwise(ends):
        joined[-1:] = [(joined[-1][0], high)] if low == before + 1 else [joined[-1], (low, high)]
    return joined


@pytest.mark.parametrize(
    ("kind", "assertions", "expected"),
    [
        ("uint8", ("(>= X_0 -5)", "(<= X_0 3)"), [(0, 3)]),
        ("uint8", ("(>= X_0 250)", "(<= X_0 300)"), [(250, 255)]),
        ("uint8", ("(>= X_0 256)", "(<= X_0 300)"), []),
        ("uint8", ("(>= X_0 255)", "(<= X_0 300)"), [(255, 255)]),
        ("int8", ("(>= X_0 -1000)", "(<= X_0 1000)"), [(-128, 127)]),
        ("bool", ("(>= X_0 -1)", "(<= X_0 7)"), [(0, 1)]),
        ("bool", ("(> X_0 0)", "(<= X_0 7)"), [(1, 1)]),
        ("bool", ("(>= X_0 0.5)", "(< X_0 1)"), []),
        ("int64", ("(>= X_0 0.25)", "(<= X_0 0.75)"), []),
        ("int64", ("(>= X_0 -0.25)", "(<= X_0 0.75)"), [(0, 0)]),
        ("int64", ("(> X_0 1)", "(< X_0 2)"), []),
        ("int64", ("(> X_0 1)", "(< X_0 3)"), [(2, 2)]),
        ("int64", ("(>= X_0 1.00000000000000000001)", "(<= X_0 2.00000000000000000001)"), [(2, 2)]),
        ("int64", ("(>= X_0 0.99999999999999999999)", "(<= X_0 1.99999999999999999999)"), [(1, 1)]),
        ("int64", ("(= X_0 1.00000000000000000001)",), []),
        ("int64", ("(>= (* 3 X_0) 1)", "(<= (* 3 X_0) 8)"), [(1, 2)]),
        ("int64", ("(> (* 2 X_0) 2)", "(< (* 2 X_0) 8)"), [(2, 3)]),
        ("int32", ("(>= X_0 0)", "(<= X_0 9)", "(or (< X_0 2) (> X_0 6))"), [(0, 1), (7, 9)]),
        ("int64", ("(>= X_0 -1e30)", "(<= X_0 1e30)"), [(-(2.0**63), 2.0**63)]),
        ("uint64", ("(>= X_0 18446744073709551616)", "(<= X_0 1e30)"), []),
        ("uint64", ("(>= X_0 18446744073709551615)", "(<= X_0 1e30)"), [(2.0**64 - 2048, 2.0**64)]),
        ("int64", ("(= X_0 9007199254740993)",), [(2.0**53, 2.0**53 + 2)]),
        ("int64", ("(> X_0 9007199254740992)", "(<= X_0 9007199254740996)"), [(2.0**53, 2.0**53 + 4)]),
        ("uint8", ("(>= X_0 -1e-400)", "(<= X_0 1e300)"), [(0, 255)]),
        ("float32", ("(>= X_0 0.25)", "(<= X_0 0.75)"), [(0.25, 0.75)]),
    ],
)
def test_interval_is_cut_to_the_type(
    kind: str, assertions: tuple[str, ...], expected: list[tuple[float, float]]
) -> None:
    assert boxes(kind, *assertions) == expected


NUMBERS = st.decimals(-(10**20), 10**20, allow_nan=False, places=3).map(
    lambda d: format(d, "f")
) | st.decimals(-300, 300, allow_nan=False, places=2).map(lambda d: format(d, "f"))


@given(st.sampled_from(TYPES), NUMBERS, NUMBERS, st.sampled_from([">=", ">"]), st.sampled_from(["<=", "<"]))
def test_no_number_of_the_type_is_lost_and_none_added(
    kind: str, low: str, high: str, above: str, below: str
) -> None:
    least, most = whole_range(kind)
    first, last = Fraction(low), Fraction(high)
    first = max(math.floor(first) + 1 if above == ">" else math.ceil(first), least)
    last = min(math.ceil(last) - 1 if below == "<" else math.floor(last), most)
    found = boxes(kind, f"({above} X_0 {low})", f"({below} X_0 {high})")
    if max(abs(first), abs(last)) <= 2**53:
        assert found == ([(first, last)] if first <= last else [])
    elif first <= last:
        assert found[0][0] <= first and last <= found[-1][1]


def test_few_values_are_a_clause_each() -> None:
    types = ("float32", "bool", "int8", "uint8")
    bounds = [
        bound for k, high in enumerate((1, 1, 4, 255)) for bound in (f"(>= X_{k} 0)", f"(<= X_{k} {high})")
    ]
    clauses = asked(types, *bounds, "(>= Y_0 0)").clauses
    assert len(clauses) == 10  # of the bool and the int8; the uint8 would make too many
    corners = {tuple(c.region.lower[1:3].tolist()) for c in clauses}
    assert corners == {(float(a), float(b)) for a in range(2) for b in range(5)}
    for clause in clauses:
        assert torch.equal(clause.region.lower[1:3], clause.region.upper[1:3])
        assert clause.region.upper[[0, 3]].tolist() == [1.0, 255.0]


def test_there_is_a_limit_to_clauses() -> None:
    bounds = [bound for k in range(8) for bound in (f"(>= X_{k} 0)", f"(<= X_{k} 1)")]
    clauses = asked(("bool",) * 8, *bounds, "(>= Y_0 0)").clauses
    assert len(clauses) == MOST_CASES == 2**6


def test_an_empty_interval_is_told_by_its_type(caplog: pytest.LogCaptureFixture) -> None:
    assert not boxes("uint8", "(>= X_0 256)", "(<= X_0 300)")
    assert "no uint8 lies between the bounds of X_0; 1 of 1 disjuncts are vacuous" in caplog.text


@pytest.mark.parametrize("kind", ["float32", "float16", "real", "object", "uint", "int8x", ""])
def test_other_types_hold_no_whole_numbers(kind: str) -> None:
    assert not is_whole(kind)
