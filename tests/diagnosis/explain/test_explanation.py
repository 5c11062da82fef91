# SPDX-License-Identifier: Apache-2.0
"""An undecided query explains itself, from what real turns left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from vnnverify import Backend, Clause, Context, Deadline, NoOptions, Outcome, Query, Verdict
from vnnverify.diagnosis.explain import explain
from vnnverify.engine.answer import Answer
from vnnverify.engine.runner import make_context
from vnnverify.engine.schedule import sequence
from vnnverify.engine.strategy import decide
from vnnverify.results import Explanation
from vnnverify.testing import Network, box, halfspaces, query_of

ASKED: dict[str, Any] = {"seed": 0, "seconds": 60.0, "dtype": "float32"}


class Scripted(Backend[NoOptions]):
    def __init__(self, act: Callable[[Query], Outcome]) -> None:
        super().__init__()
        self.act = act

    def verify(self, query: Query, ctx: Context) -> Outcome:
        return self.act(query)


@pytest.fixture(scope="module")
def query() -> Query:
    """|x| >= 5/4 on three boxes side by side, from −1/2 to 1."""
    absolute = Network.of(([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0]))
    high = halfspaces(([-1.0], -1.25))
    return query_of(absolute.to_onnx(), [Clause(box([k / 2], [k / 2 + 0.5]), (high,)) for k in (-1, 0, 1)])


def turns(query: Query, *outcomes: Callable[[Query], Outcome]) -> tuple[Answer, dict[str, Scripted]]:
    """One backend after another, all called by what they are: a, b, …"""
    backends = {name: Scripted(act) for name, act in zip("abc", outcomes, strict=False)}
    ctx = make_context(query, Deadline.never())
    return decide(query, sequence(tuple(backends)), backends, ctx), backends


def explained(query: Query, *outcomes: Callable[[Query], Outcome], seconds: float = 60.0) -> Explanation:
    result, backends = turns(query, *outcomes)
    deadline = Deadline.after(seconds)
    return explain(query, result, deadline, **ASKED, backends=backends)


def test_open_clauses_keep_their_place_in_the_query(query: Query) -> None:
    found = explained(query, lambda q: Outcome.unknown("some left", q.with_clauses(q.clauses[1:])))
    assert (found.clauses, found.open_clauses) == (3, (1, 2))
    assert (found.hardest, found.unsafe) == (2, "Y_0 >= 1.25")
    assert found.margin == pytest.approx(0.25)
    assert (found.node, found.operator) == (query.graph.nodes[1].name, "Relu")


def test_best_bound_and_nearest_margin_of_all_turns(query: Query) -> None:
    found = explained(
        query,
        lambda q: Outcome.unknown("wide", boxes=3, worst_bound=-4.0, best_margin=None),
        lambda q: Outcome.unknown("wide", subproblems=5, lowest_bound=-0.5, best_margin=0.125),
        lambda q: Outcome.unknown("wide", boxes=1, worst_bound=float("-inf")),
    )
    assert (found.bound, found.bound_by, found.margin) == (-0.5, "b", 0.125)
    assert found.subproblems == {"a": 3, "b": 5, "c": 1}


def test_bound_of_nothing_is_none(query: Query) -> None:
    found = explained(
        query, lambda q: Outcome.unknown("odd", worst_bound=0.0, lowest_bound=True, boxes="many")
    )
    assert (found.bound, found.bound_by, found.subproblems) == (None, "", {})


def test_sub_problems_of_two_turns_add_up(query: Query) -> None:
    backends = {"a": Scripted(lambda q: Outcome.unknown("wide", boxes=3))}
    result = decide(query, sequence(["a", "a"]), backends, make_context(query, Deadline.never()))
    found = explain(query, result, Deadline.never(), **ASKED, backends=backends)
    assert found.subproblems == {"a": 6}


def test_expired_deadline_leaves_out_what_needs_computing(query: Query) -> None:
    found = explained(query, lambda q: Outcome.unknown("wide", boxes=3, worst_bound=-4.0), seconds=0.0)
    assert (found.open_clauses, found.bound, found.subproblems) == ((0, 1, 2), -4.0, {"a": 3})
    assert (found.hardest, found.unsafe, found.node, found.samples) == (None, "", "", 0)


def test_nobody_had_a_turn(query: Query) -> None:
    result = decide(query, [], {}, make_context(query, Deadline.never()))
    found = explain(query, result, Deadline.never(), **ASKED, backends={}, untried=lambda: ("abacus",))
    assert found.open_clauses == (0, 1, 2)
    assert found.advice == ("--backend abacus: not tried yet",)


def test_the_same_seed_gives_the_same_explanation_and_it_survives_json(query: Query) -> None:
    result, backends = turns(query, lambda q: Outcome.unknown("wide", worst_bound=-4.0))
    assert result.verdict is Verdict.UNKNOWN
    one, two = (explain(query, result, Deadline.never(), **ASKED, backends=backends) for _ in range(2))
    assert one == two
    text = json.dumps(one.to_record(), allow_nan=False)
    assert Explanation.from_record(json.loads(text)) == one
