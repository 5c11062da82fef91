# SPDX-License-Identifier: Apache-2.0
"""Which clauses are open, which is the hardest, and its polytope in words."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from vnnverify import Clause, Query
from vnnverify.diagnosis.explain.clauses import hardest, places, wording
from vnnverify.inputs.declared import Declared
from vnnverify.query import Layout, Polytope, TensorSpec
from vnnverify.testing import Network, box, halfspaces, query_of

LOW, HIGH = halfspaces(([1.0], -0.5)), halfspaces(([-1.0], -1.25))


@pytest.fixture(scope="module")
def query() -> Query:
    """Is |x| <= −1/2 or |x| >= 5/4, on three boxes side by side from −1/2 to 1?"""
    absolute = Network.of(([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0]))
    clauses = [Clause(box([k / 2], [k / 2 + 0.5]), (LOW, HIGH)) for k in (-1, 0, 1)]
    return query_of(absolute.to_onnx(), clauses)


def test_clauses_are_found_again_whatever_became_of_them(query: Query) -> None:
    one = query.clauses[1]
    fewer = dataclasses.replace(one, unsafe=(HIGH,))
    smaller = dataclasses.replace(one, region=box([0.125], [0.25]))
    foreign = Clause(box([0.125], [0.25]), (halfspaces(([1.0], -0.5)),))
    outside = dataclasses.replace(one, region=box([0.125], [7.0]))
    assert places([query.clauses[2], fewer, smaller, foreign, outside], query) == [2, 1, 1, None, None]


def test_hardest_is_what_comes_nearest(query: Query) -> None:
    found = hardest(query.graph, query.clauses, 48, torch.Generator().manual_seed(0))
    assert found is not None
    assert (found.clause, found.polytope) == (2, HIGH)
    assert found.margin == pytest.approx(0.25)


def test_inputs_outside_the_linear_rows_do_not_count(query: Query) -> None:
    cut = dataclasses.replace(query.clauses[2], region=box([0.5], [1.0], ([1.0], 0.75)))
    found = hardest(query.graph, [cut], 64, torch.Generator().manual_seed(0))
    assert found is not None and 0.5 <= found.margin < 0.75
    nowhere = dataclasses.replace(query.clauses[2], region=box([0.5], [1.0], ([1.0], 0.25)))
    assert hardest(query.graph, [nowhere], 64, torch.Generator().manual_seed(0)) is None


def test_of_many_clauses_the_first_share_the_samples(query: Query) -> None:
    easy, hard = query.clauses[0], query.clauses[2]
    found = hardest(query.graph, [easy] * 63 + [hard] * 100, 256, torch.Generator().manual_seed(0))
    assert found is not None and (found.clause, found.margin) == (63, pytest.approx(0.25))
    found = hardest(query.graph, [easy] * 64 + [hard] * 100, 256, torch.Generator().manual_seed(0))
    assert found is not None and (found.clause, found.margin) == (0, pytest.approx(0.5))


@pytest.mark.parametrize(
    ("polytope", "words"),
    [
        (halfspaces(([1.0, 0.0, 0.0], -0.5)), "Y_0 <= -0.5"),
        (halfspaces(([0.0, -2.0, 0.0], -3.0)), "Y_1 >= 1.5"),
        (halfspaces(([0.0, -1.0, 0.0], 0.0), strict=True), "Y_1 > 0"),
        (halfspaces(([1.0, 0.0, -1.0], 0.0)), "Y_0 <= Y_2"),
        (halfspaces(([-2.0, 2.0, 0.0], 0.0), strict=True), "Y_0 > Y_1"),
        (halfspaces(([1.0, 0.0, -1.0], 0.25)), "Y_0 - Y_2 <= 0.25"),
        (halfspaces(([-1.0, 0.5, 3.0], 0.0)), "- Y_0 + 0.5 Y_1 + 3 Y_2 <= 0"),
        (halfspaces(([0.0, 0.0, 0.0], 0.0)), "0 <= 0"),
        (halfspaces(([1.0, 0.0, 0.0], 1.0), ([0.0, 1.0, 0.0], 2.0)), "Y_0 <= 1 and Y_1 <= 2"),
        (halfspaces(([0.0, 0.0, 0.0, 1.0], 1.0)), "term 0 <= 1"),
        (halfspaces(*[([1.0, 0.0, 0.0], 1.0)] * 7), "a polytope of 7 rows over 1 outputs"),
        (halfspaces(([1.0] * 5, 1.0)), "a polytope of 1 rows over 5 outputs"),
    ],
)
def test_wording(polytope: Polytope, words: str) -> None:
    assert wording(polytope, Layout((), (TensorSpec("y", (1, 3), "float32"),))) == words


def test_wording_in_the_names_of_the_second_version() -> None:
    """Hidden nodes come after the outputs; a term of the property has no name there either."""
    specs = TensorSpec("y", (2, 2), "float32"), TensorSpec("h", (), "float32")
    tensors = (
        Declared("X_f", "float32", (1, 2), "input", 0),
        Declared("Y_f", "float32", (2, 2), "output", 0),
        Declared("hidden", "real", (), "hidden", 4),
    )
    layout = Layout((), specs, tensors)
    rows = halfspaces(([0.0, 1, -1, 0, 0, 0], 0.0), ([0.0, 0, 0, 0, -1, 0], 2.0), ([0.0] * 5 + [1.0], 1.0))
    assert wording(rows, layout) == "Y_f[0,1] <= Y_f[1,0] and hidden >= -2 and term 0 <= 1"
