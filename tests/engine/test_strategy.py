# SPDX-License-Identifier: Apache-2.0
"""Who has a turn, for how long, with what, and what their answers add up to."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections.abc import Callable, Mapping

import pytest
import torch

from vnnverify import (
    Backend,
    Clause,
    Context,
    Deadline,
    Guarantee,
    NoOptions,
    Outcome,
    Query,
    Support,
    Verdict,
)
from vnnverify.engine.answer import Answer, Turn
from vnnverify.engine.course import Course
from vnnverify.engine.runner import make_context
from vnnverify.engine.schedule import PlannedTurn, sequence
from vnnverify.engine.strategy import decide
from vnnverify.obstacle import Obstacle, ObstacleKind
from vnnverify.plugin.manager import load_plugins
from vnnverify.query import Replay
from vnnverify.results.statistics import Statistics
from vnnverify.sharing import Parcel
from vnnverify.testing import Network, box, context, halfspaces, query_of, zoo

Act = Callable[[Query, Context], Outcome]


class Scripted(Backend[NoOptions]):
    """Answers as told and keeps what it was asked, with the seconds it was given."""

    def __init__(self, act: Act, support: Support | Exception | None = None) -> None:
        super().__init__()
        self.act = act
        self.support = Support.yes() if support is None else support
        self.asked: list[tuple[Query, float]] = []

    def supports(self, query: Query) -> Support:
        if isinstance(self.support, Exception):
            raise self.support
        return self.support

    def verify(self, query: Query, ctx: Context) -> Outcome:
        self.asked.append((query, ctx.deadline.remaining()))
        return self.act(query, ctx)


class Floating(Scripted):
    guarantee = Guarantee.FLOAT


class Statistical(Scripted):
    guarantee = Guarantee.STATISTICAL


def says(outcome: Outcome) -> Scripted:
    return Scripted(lambda query, ctx: outcome)


def leaves(*indices: int) -> Act:
    """Undecided; these clauses of the query are left."""
    return lambda query, ctx: Outcome.unknown(
        "some left", query.with_clauses(query.clauses[k] for k in indices)
    )


@pytest.fixture(scope="module")
def query() -> Query:
    """|x| >= 3 on three boxes side by side, from −1/2 to 1: unsat."""
    return reaches(3.0)


@pytest.fixture(scope="module")
def violated() -> Query:
    """|x| >= 3/4 on the same boxes: sat."""
    return reaches(0.75)


def reaches(height: float) -> Query:
    absolute = Network.of(([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0]))
    high = halfspaces(([-1.0], -height))
    return query_of(absolute.to_onnx(), [Clause(box([k / 2], [k / 2 + 0.5]), (high,)) for k in (-1, 0, 1)])


def run(query: Query, backends: Mapping[str, Scripted], seconds: float = math.inf) -> Answer:
    ctx = make_context(query, Deadline.after(seconds))
    return decide(query, sequence(tuple(backends)), backends, ctx)


def test_first_decided_verdict_ends_the_turns(query: Query) -> None:
    backends = {
        "a": says(Outcome.unknown("no")),
        "b": says(Outcome.unsat(boxes=2)),
        "c": says(Outcome.unsat()),
    }
    result = run(query, backends)
    assert (result.verdict, result.backend, result.guarantee) == (Verdict.UNSAT, "b", Guarantee.REAL)
    assert backends["c"].asked == []
    assert set(result.turns) == {"a", "b"} and result.turns["b"][0].counters == {"boxes": 2}


def test_sat_carries_the_replayed_witness(violated: Query) -> None:
    result = run(violated, {"a": says(Outcome.sat(torch.tensor([0.875])))})
    assert result.verdict is Verdict.SAT
    assert result.witness == Replay(True, "", (0.875,), (0.875,))


def test_lie_about_a_witness_is_not_the_last_word(query: Query) -> None:
    result = run(query, {"a": says(Outcome.sat(torch.tensor([0.125]))), "b": says(Outcome.unknown("no"))})
    assert result.verdict is Verdict.UNKNOWN and result.witness is None
    assert result.reason.startswith("a: unconfirmed witness: ")


def test_wrong_proof_does_not_leave(caplog: pytest.LogCaptureFixture) -> None:
    """All inputs are counterexamples, so that the first points of the comparison are, however slow it is."""
    result = run(reaches(0.0), {"a": says(Outcome.unsat())})
    assert result.verdict is Verdict.SAT
    assert result.witness is not None and result.witness.valid
    assert "backend a proved what the model refutes" in caplog.text


def test_open_clauses_go_to_the_next(query: Query) -> None:
    backends = {"a": Scripted(leaves(1, 2)), "b": Scripted(leaves(1)), "c": says(Outcome.unsat())}
    assert run(query, backends).verdict is Verdict.UNSAT
    assert backends["b"].asked[0][0].clauses == query.clauses[1:]
    assert backends["c"].asked[0][0].clauses == query.clauses[2:]


def test_undecided_result_holds_what_is_left_and_every_reason(query: Query) -> None:
    result = run(query, {"a": Scripted(leaves(1, 2)), "b": says(Outcome.unknown("stuck"))})
    assert (result.verdict, result.reason) == (Verdict.UNKNOWN, "a: some left; b: stuck")
    assert result.residual is not None and result.residual.clauses == query.clauses[1:]


def test_empty_residual_of_an_undecided_backend_discharges_nothing(query: Query) -> None:
    backends = {"a": Scripted(leaves()), "b": Scripted(leaves(0, 1, 2))}
    result = run(query, backends)
    assert result.verdict is Verdict.UNKNOWN
    assert backends["b"].asked[0][0].clauses == query.clauses


def test_statistical_backend_discharges_nothing(query: Query) -> None:
    backends = {"a": Statistical(leaves(0)), "b": says(Outcome.unsat())}
    result = run(query, backends)
    assert (result.verdict, result.guarantee) == (Verdict.UNSAT, Guarantee.REAL)
    assert backends["b"].asked[0][0].clauses == query.clauses


def test_proof_is_worth_its_weakest_part(query: Query) -> None:
    result = run(query, {"a": Floating(leaves(0)), "b": says(Outcome.unsat())})
    assert (result.verdict, result.guarantee) == (Verdict.UNSAT, Guarantee.FLOAT)
    result = run(query, {"a": Floating(lambda query, ctx: Outcome.unknown("no")), "b": says(Outcome.unsat())})
    assert (result.verdict, result.guarantee) == (Verdict.UNSAT, Guarantee.REAL)


def test_residual_query_cannot_bring_its_own_judge(query: Query) -> None:
    class Yes:
        def replay(self, x: torch.Tensor) -> Replay:
            return Replay(True, "", tuple(x.tolist()), (9.0,))

    def cheats(query: Query, ctx: Context) -> Outcome:
        other = Query(query.graph, query.clauses[1:], query.layout, Yes())
        return Outcome.unknown("ask mine", other)

    result = run(query, {"a": Scripted(cheats), "b": says(Outcome.sat(torch.tensor([0.125])))})
    assert result.verdict is Verdict.UNKNOWN and result.witness is None


def test_failure_leaves_the_others_their_turn(query: Query) -> None:
    def fails(query: Query, ctx: Context) -> Outcome:
        raise RuntimeError("beads lost")

    assert run(query, {"a": Scripted(fails), "b": says(Outcome.unsat())}).verdict is Verdict.UNSAT
    result = run(query, {"a": Scripted(fails), "b": says(Outcome.unknown("stuck"))})
    assert result.verdict is Verdict.ERROR
    assert result.reason == "a: failed: RuntimeError: beads lost; b: stuck"


def test_every_turn_of_a_backend_is_kept(query: Query) -> None:
    outcomes = iter([Outcome.unknown("first", boxes=3), Outcome.unknown("second", boxes=4)])
    backends = {"a": Scripted(lambda query, ctx: next(outcomes)), "b": Scripted(leaves(1, 2))}
    ctx = make_context(query, Deadline.never())
    result = decide(query, [PlannedTurn("a"), PlannedTurn("b"), PlannedTurn("a")], backends, ctx)
    assert result.reason == "a: second; b: some left"
    one, two = (dataclasses.replace(turn, seconds=0.0) for turn in result.turns["a"])
    assert one == Turn(Verdict.UNKNOWN, "first", open_clauses=3, counters={"boxes": 3})
    assert two == Turn(Verdict.UNKNOWN, "second", open_clauses=2, counters={"boxes": 4})
    assert [turn.open_clauses for turn in result.turns["b"]] == [2]
    assert all(0 <= turn.seconds < 5 for turn in result.turns["a"])


def test_second_turn_goes_on_where_the_first_stopped(query: Query) -> None:
    """Only with what is still open, and not at all if something is that it does not know."""
    met: list[tuple[list[Clause], Parcel | None]] = []

    def searches(query: Query, ctx: Context) -> Outcome:
        met.append((list(query.clauses), ctx.parcel))
        count = len(query.clauses)
        left = Parcel(query.clauses, torch.arange(count), {"depth": torch.arange(count) + 10}, (0,))
        return dataclasses.replace(Outcome.unknown("later", query), left=left)

    searcher, other = Scripted(searches), Scripted(leaves(1))
    steps = [PlannedTurn("s"), PlannedTurn("o"), PlannedTurn("s"), PlannedTurn("new"), PlannedTurn("s")]
    new = Clause(query.clauses[1].region, query.clauses[1].unsafe)
    renews = Scripted(lambda query, ctx: Outcome.unknown("another", query.with_clauses([new])))
    ctx = make_context(query, Deadline.after(60.0))
    assert len(query.clauses) >= 2
    result = decide(query, steps, {"s": searcher, "o": other, "new": renews}, ctx)
    assert result.verdict is Verdict.UNKNOWN
    (_, first), (clauses, second), (last, third) = met
    assert first is None and third is None and last == [new]
    assert second is not None and clauses == [query.clauses[1]] == list(second.clauses)
    assert (second.clause.tolist(), second.columns["depth"].tolist(), second.stuck) == ([0], [11], ())


def test_searches_resume_to_the_same_end() -> None:
    """Zonotopes in many short turns decide what they decide in one."""
    plugins = load_plugins()
    backend = plugins.backend_class("zonotope")()
    resumed = 0
    for specimen in zoo():
        if specimen.tight or not specimen.query.clauses or not backend.supports(specimen.query):
            continue
        whole = backend.verify(specimen.query, context(specimen.query, 0.5))
        if not whole.verdict.decided:
            continue
        steps = [PlannedTurn("zonotope", at_most=0.005)] * 60 + [PlannedTurn("zonotope")]
        found = decide(specimen.query, steps, {"zonotope": backend}, context(specimen.query, 120.0))
        assert found.verdict is whole.verdict, specimen.name
        resumed += len(found.turns["zonotope"]) > 1
    assert resumed >= 3


def test_passed_over_twice_is_said_once(query: Query) -> None:
    backends = {"a": Scripted(lambda query, ctx: Outcome.unsat(), Support.no("too many beads"))}
    result = decide(
        query, [PlannedTurn("a"), PlannedTurn("a")], backends, make_context(query, Deadline.never())
    )
    declined = Obstacle(ObstacleKind.NOT_SUPPORTED)
    turn = Turn(Verdict.UNKNOWN, "too many beads", open_clauses=3, obstacle=declined)
    assert (result.reason, result.turns) == ("a: too many beads", {"a": [turn]})


@pytest.mark.parametrize(
    ("support", "reason"),
    [
        (Support.no("too many beads"), "a: too many beads"),
        (RuntimeError("no\nbeads"), "a: supports() failed: RuntimeError: no"),
    ],
)
def test_backend_that_cannot_is_passed_over(query: Query, support: Support | Exception, reason: str) -> None:
    backend = Scripted(lambda query, ctx: Outcome.unsat(), support)
    result = run(query, {"a": backend})
    assert (result.verdict, result.reason, backend.asked) == (Verdict.UNKNOWN, reason, [])


def test_nobody_to_ask_is_unknown(query: Query) -> None:
    result = run(query, {})
    assert (result.verdict, result.reason) == (Verdict.UNKNOWN, "no backend had a turn")


def test_no_clause_is_vacuously_unsat(query: Query, caplog: pytest.LogCaptureFixture) -> None:
    backend = says(Outcome.unknown("never asked"))
    with caplog.at_level(logging.WARNING):
        result = run(query.with_clauses(()), {"a": backend})
    assert result.verdict is Verdict.UNSAT and backend.asked == []
    assert "vacuously unsat" in caplog.text


def test_expired_deadline_is_a_timeout_without_a_turn(query: Query) -> None:
    backend = says(Outcome.unsat())
    assert run(query, {"a": backend}, seconds=0.0).verdict is Verdict.TIMEOUT
    assert backend.asked == []


def test_time_is_shared_and_what_is_left_over_passed_on(query: Query) -> None:
    def uses_it_up(query: Query, ctx: Context) -> Outcome:
        time.sleep(ctx.deadline.remaining())
        return Outcome.timeout("used up")

    backends = {"a": says(Outcome.unknown("quick")), "b": Scripted(uses_it_up), "c": Scripted(uses_it_up)}
    result = run(query, backends, seconds=1.2)
    assert (result.verdict, result.reason) == (Verdict.TIMEOUT, "a: quick; b: used up; c: used up")
    shares = [backends[name].asked[0][1] for name in backends]
    assert shares == pytest.approx([0.4, 0.6, 0.6], abs=0.15)


@pytest.mark.parametrize("seconds", [100.0, math.inf])
def test_cap_holds_whatever_time_there_is(query: Query, seconds: float) -> None:
    backend = says(Outcome.unknown("quick"))
    decide(query, [PlannedTurn("a", 1.0, 0.25)], {"a": backend}, make_context(query, Deadline.after(seconds)))
    assert backend.asked[0][1] <= 0.25


def test_each_turn_is_reported(query: Query) -> None:
    seen: list[tuple[str, Verdict]] = []
    backends = {"a": says(Outcome.unknown("no")), "b": says(Outcome.unsat())}
    ctx = make_context(query, Deadline.never())
    decide(
        query, sequence(["a", "b"]), backends, ctx, lambda name, result: seen.append((name, result.verdict))
    )
    assert seen == [("a", Verdict.UNKNOWN), ("b", Verdict.UNSAT)]


def test_certificate_of_the_whole_query_is_kept(query: Query) -> None:
    proof = dataclasses.replace(Outcome.unsat(), certificate={"leaves": 3})
    assert run(query, {"a": says(Outcome.unknown("no")), "b": says(proof)}).certificate == {"leaves": 3}
    assert run(query, {"a": Scripted(leaves(1, 2)), "b": says(proof)}).certificate is None


def test_certificate_of_what_is_no_proof_is_not_kept() -> None:
    proof = dataclasses.replace(Outcome.unsat(), certificate={"leaves": 3})
    found = run(reaches(0.0), {"a": says(proof)})
    assert (found.verdict, found.certificate) == (Verdict.SAT, None)


def test_course_tells_of_the_turn_that_is_not_over(query: Query) -> None:
    course = Course()
    seen: list[Answer] = []

    def searches(query: Query, ctx: Context) -> Outcome:
        ctx.tell(7, 2, -0.5)
        seen.append(course.answer())
        return Outcome.unsat()

    backends = {"a": Scripted(leaves(1, 2)), "b": Scripted(searches)}
    decide(query, sequence(["a", "b"]), backends, make_context(query, Deadline.never()), course=course)
    (then,) = seen
    assert (then.verdict, then.reason) == (Verdict.TIMEOUT, "a: some left; b: stopped at the time limit")
    (turn,) = then.turns["b"]
    assert turn.obstacle == Obstacle(ObstacleKind.OUT_OF_TIME) and turn.open_clauses == 2
    assert turn.statistics == Statistics(visited=7, open=2, bound=-0.5)
    assert course.running == ""
