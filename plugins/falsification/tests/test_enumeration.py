# SPDX-License-Identifier: Apache-2.0
"""Running the model at every input, where all that vary are cut to whole numbers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import onnx
import pytest
from vnnverify_falsification.enumeration import Enumeration, EnumerationOptions

from vnnverify import Backend, Clause, Guarantee, Query, Verdict
from vnnverify.importer import read_model
from vnnverify.testing import box, context, halfspaces, parametrize_with_backend_checks, query_of

MODEL = """
    <ir_version: 8, opset_import: ["" : 13]>
    g (float[5] x) => (float[1] y)
    <int64[1] zero = {0}, int64[1] three = {3}, int64[1] five = {5}>
    {
        values = Slice(x, zero, three)  tail = Slice(x, three, five)
        parts = Cast<to = 7>(tail)  place = ReduceSum<keepdims = 1>(parts)
        one = Gather(values, place)  all = ReduceSum<keepdims = 1>(values)  y = Sub(all, one)
    }
"""
"""The sum of x_0, x_1, x_2 but for the one at the place that the whole parts of x_3 and x_4 add up to."""


def asked(upper: Sequence[float], limit: float) -> Query:
    """Whether 1 + 2 + 4 but for one of them can be at most `limit`; `upper` are the ends of x_3 and x_4."""
    data = onnx.parser.parse_model(MODEL).SerializeToString()
    unsafe = halfspaces(((1.0,), limit))
    query = query_of(data, [Clause(box([1, 2, 4, 0, 0], [1, 2, 4, *upper]), (unsafe,))])
    return dataclasses.replace(query, truncated=read_model(data).truncated)


def verdict_of(query: Query, **options: int) -> Verdict:
    return Enumeration(EnumerationOptions(**options)).verify(query, context(query, 20.0)).verdict


@pytest.mark.parametrize(
    ("upper", "limit", "verdict"),
    [
        ((1.9, 0.5), 4.9, Verdict.UNSAT),  # places 0 and 1: the sums 6 and 5
        ((1.9, 1.0), 4.9, Verdict.SAT),  # place 2 too: 3
        ((2.0, 0.9), 3.5, Verdict.SAT),
        ((1.9, 0.5), 4.99999, Verdict.UNKNOWN),  # another machine may compute 4.99999
        ((2.9, 1.0), 2.9, Verdict.UNKNOWN),  # no element has the place 3
    ],
)
def test_every_choice_of_whole_parts_is_tried(
    upper: tuple[float, float], limit: float, verdict: Verdict
) -> None:
    assert verdict_of(asked(upper, limit)) is verdict


def test_only_inputs_that_are_cut_to_whole_numbers_may_vary() -> None:
    query = asked((1.0, 1.0), 2.0)
    assert Enumeration().supports(query)
    wide = dataclasses.replace(query, truncated=(3,))
    assert "inputs vary that neither" in Enumeration().supports(wide).reason
    assert verdict_of(wide) is Verdict.UNKNOWN
    assert "more than 3 inputs" in Enumeration(EnumerationOptions(most=3)).supports(query).reason


@pytest.mark.parametrize(("ulps", "known"), [(1, True), (2, True), (3, False)])
def test_an_input_may_be_a_decimal_rounded_outward_but_no_wider(ulps: int, known: bool) -> None:
    """The model is run at one point of it: some float32 units of width are too many already."""
    query = asked((1.9, 0.5), 4.9)
    region = query.clauses[0].region
    upper = region.upper.clone()
    for _ in range(ulps):
        upper[0] = math.nextafter(float(upper[0]), math.inf)
    wider = dataclasses.replace(region, upper=upper)
    clause = dataclasses.replace(query.clauses[0], region=wider)
    assert bool(Enumeration().supports(dataclasses.replace(query, clauses=(clause,)))) is known


def test_a_proof_is_about_floats() -> None:
    assert Enumeration.guarantee is Guarantee.FLOAT


@parametrize_with_backend_checks([Enumeration()])
def test_conformance(backend: Backend[Any], check: Callable[[Backend[Any]], None]) -> None:
    check(backend)
