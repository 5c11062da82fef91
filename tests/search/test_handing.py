# SPDX-License-Identifier: Apache-2.0
"""A search that hands boxes to others says what it would say alone, whatever becomes of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vnnverify import Query, Verdict
from vnnverify.bounds.specification import Specification
from vnnverify.deadline import Deadline
from vnnverify.domains import interval
from vnnverify.search import BoxBounds, InputSplit, SearchResult, handing
from vnnverify.sharing import Parcel, Returned
from vnnverify.testing import context, zoo


@pytest.fixture(autouse=True)
def any_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little work there is, it is handed out."""
    monkeypatch.setattr(handing, "WORTH_HANDING", 0.0)


class Intervals:
    """Interval margins over each box."""

    def __init__(self, query: Query) -> None:
        self.query = query

    def bound(self, lower: Tensor, upper: Tensor, spec: Specification, memory: Tensor | None) -> BoxBounds:
        graph = self.query.graph.to("cpu", lower.dtype)
        found = interval.bounds_of_values(graph, lower, upper)
        low, high = (graph.join_outputs({v: found[v][k] for v in graph.outputs})[:, :, None] for k in (0, 1))
        spec = spec.as_type(lower.dtype)
        least = (spec.C.clamp(min=0) @ low + spec.C.clamp(max=0) @ high)[:, :, 0] - spec.d
        return BoxBounds(least - 1e-4, memory=upper - lower)


def search(
    query: Query, team: object = None, parcel: Parcel | None = None, seconds: float = 60.0
) -> SearchResult:
    """What intervals and halving come to."""
    ctx = dataclasses.replace(context(query, seconds), team=team, parcel=parcel)
    return InputSplit(query, Intervals(query), ctx).run()


def honest(query: Query, parcel: Parcel, number: int) -> Returned:
    """Search the parcel, as a member of a team would."""
    found = search(query.with_clauses(parcel.clauses), parcel=Parcel.from_text(parcel.to_text()))
    assert found.witness is not None or found.left is not None
    return Returned(number, found.left, found.witness, found.stats)


def lost(query: Query, parcel: Parcel, number: int) -> Returned:
    """The worker died."""
    return Returned(number, None)


def untouched(query: Query, parcel: Parcel, number: int) -> Returned:
    """There was no time to do anything."""
    return Returned(number, Parcel((), parcel.clause, parcel.columns))


def mistaken(query: Query, parcel: Parcel, number: int) -> Returned:
    """A witness that is none, and nothing left."""
    return Returned(number, parcel.about(()), query.clauses[0].region.upper + 1e6)


class Here:
    """A team of `size` that does its work as it is given, and hands it back when asked."""

    def __init__(self, query: Query, work: Callable[[Query, Parcel, int], Returned], size: int = 1) -> None:
        self.query, self.work, self.size = query, work, size
        self.given: list[Parcel] = []
        self.done: list[Returned] = []

    def idle(self) -> int:
        return self.size - len(self.done)

    def give(self, parcel: Parcel, seconds: float) -> int:
        assert seconds > 0 and len(parcel)
        self.given.append(parcel)
        self.done.append(self.work(self.query, parcel, len(self.given)))
        return len(self.given)

    def take(self, wait: float) -> list[Returned]:
        found, self.done = self.done, []
        return found


def specimens(truth: Verdict) -> list[Query]:
    """Those that intervals decide by halving, several times."""
    found = []
    for s in zoo():
        plain = s.query.clauses and all(c.region.linear is None for c in s.query.clauses)
        if s.truth is truth and not s.tight and plain:
            alone = search(s.query, seconds=0.5)
            if not alone.open_clauses and alone.stats["boxes"] > len(s.query.clauses) + 8:
                found.append(s.query)
    assert found
    return found[:4]


@pytest.fixture(scope="module")
def unsat() -> list[Query]:
    """Queries without a witness."""
    return specimens(Verdict.UNSAT)


@pytest.fixture(scope="module")
def sat() -> list[Query]:
    """Queries with one."""
    return specimens(Verdict.SAT)


@pytest.mark.parametrize("work", [honest, lost, untouched, mistaken])
@pytest.mark.parametrize("size", [1, 3])
def test_unsat_stays_unsat(unsat: list[Query], size: int, work: Callable[..., Returned]) -> None:
    for query in unsat:
        team = Here(query, work, size)
        found = search(query, team)
        assert team.given
        assert (found.open_clauses, found.witness) == ([], None)
        if work is honest:
            assert found.stats["boxes"] == search(query).stats["boxes"]


@pytest.mark.parametrize("work", [honest, lost, untouched, mistaken])
def test_sat_stays_sat(sat: list[Query], work: Callable[..., Returned]) -> None:
    for query in sat:
        found = search(query, Here(query, work))
        assert found.witness is not None and query.source.replay(found.witness).valid


def test_what_does_not_come_back_stays_open(unsat: list[Query]) -> None:
    class Hole(Here):
        def take(self, wait: float) -> list[Returned]:
            return []

    query = unsat[0]
    found = search(query, Hole(query, untouched), seconds=0.5)
    assert found.timed_out and found.open_clauses


def test_clauses_keep_their_numbers_and_what_was_given_up_is_told(unsat: list[Query]) -> None:
    clause = unsat[0].clauses[0]
    query = unsat[0].with_clauses([clause] * 5)

    def gives_up(query: Query, parcel: Parcel, number: int) -> Returned:
        assert len(parcel.clauses) <= 5 and int(parcel.clause.max()) < len(parcel.clauses)
        return Returned(number, dataclasses.replace(parcel.about(()), stuck=(0,)))

    team = Here(query, gives_up)
    found = search(query, team)
    assert not found.timed_out and found.open_clauses
    assert set(found.open_clauses) <= set(range(5))
    assert len(found.open_clauses) <= len(team.given)


def test_a_parcel_is_given_back_before_time_is_up(unsat: list[Query]) -> None:
    query = unsat[0]
    ctx = context(query, 10.0)
    parcels: list[Parcel] = []

    def keep(query: Query, parcel: Parcel, number: int) -> Returned:
        parcels.append(parcel)
        return lost(query, parcel, number)

    search(query, Here(query, keep))
    late = dataclasses.replace(ctx, deadline=Deadline.after(5.0), parcel=parcels[0], last_batch=10.0)
    part = query.with_clauses(parcels[0].clauses)
    found = InputSplit(part, Intervals(part), late).run()
    assert found.stats["boxes"] == 0 and found.left is not None
    assert torch.equal(found.left.columns["lower"], parcels[0].columns["lower"])
