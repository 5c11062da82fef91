# SPDX-License-Identifier: Apache-2.0
"""Backends have their turns: each gets the clauses that the ones before it left open."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from vnnverify.deadline import Deadline
from vnnverify.engine.answer import Answer, Turn
from vnnverify.engine.course import Course, reasons
from vnnverify.engine.runner import replayed, run
from vnnverify.engine.schedule import PlannedTurn
from vnnverify.guard import Guard
from vnnverify.obstacle import Obstacle, ObstacleKind
from vnnverify.plugin.backend import Backend, Context
from vnnverify.query import Query
from vnnverify.query.model_points import Points, points_in
from vnnverify.sharing import Parcel, Team
from vnnverify.verdict import Guarantee, Support, Verdict

__all__ = ["decide"]

logger = logging.getLogger(__name__)

FEW_CLAUSES = 64
"""Up to so many open clauses are looked at for points that the model can be given."""


def decide(
    query: Query,
    schedule: Sequence[PlannedTurn],
    backends: Mapping[str, Backend[Any]],
    ctx: Context,
    report: Callable[[str, Answer], None] = lambda name, answer: None,
    team: Callable[[str], Team | None] = lambda name: None,
    course: Course | None = None,
) -> Answer:
    """Give each backend its turn until one settles the query.

    The answer holds the turns of each backend, in order. One that was passed over has a turn of no time, with
    the reason why.

    Args:
        report: called with each backend's name and answer as its turn ends.
        team: the other workers during a backend's turn, if there are any.
        course: is kept up to date.
    """
    course = Course() if course is None else course
    course.residual = query
    if not query.clauses:
        logger.warning(
            "no disjunct of the property can be satisfied, whatever the network computes: vacuously unsat"
        )
        return Answer(Verdict.UNSAT, "vacuous: no disjunct can be satisfied")
    relay = _Relay(query, backends, ctx, report, team, course)
    for planned in schedule:
        if ctx.deadline.expired:
            break
        answer = relay.take(planned)
        if answer is not None:
            return answer
    return relay.undecided()


class _Relay:
    """Hands what is open of a query from one backend to the next."""

    def __init__(
        self,
        query: Query,
        backends: Mapping[str, Backend[Any]],
        ctx: Context,
        report: Callable[[str, Answer], None],
        team: Callable[[str], Team | None],
        course: Course,
    ) -> None:
        self.query = query
        self.backends = backends
        self.guard = Guard(query)
        self.ctx = dataclasses.replace(ctx, confirm=self.guard.confirm)
        self.report = report
        self.team = team
        self.course = course
        self.open = query
        self.guarantee = Guarantee.REAL  # of the clauses discharged so far
        self.left: dict[str, Parcel | None] = {}  # where each backend's search stood, to go on from there
        self.failed = False
        self.last: Answer | None = None

    def take(self, planned: PlannedTurn) -> Answer | None:
        """Give a backend its turn, unless there is no use in it; the answer, if that settles the query."""
        backend = self.backends[planned.backend]
        if planned.precise and not _ended(self.course.turns.get(planned.backend, ()), self.ctx):
            return None
        turns = self.course.turns.setdefault(planned.backend, [])
        support = _support(backend, self.open)
        if not support:
            clauses = len(self.open.clauses)
            passed = Turn(Verdict.UNKNOWN, support.reason, open_clauses=clauses, obstacle=support.obstacle)
            turns.extend([] if passed in turns else [passed])
            return None
        ctx = self._context(planned)
        with self.course.during(planned.backend, ctx.tell) as tell:
            answer = run(self.open, planned.backend, backend, dataclasses.replace(ctx, tell=tell))
        self.left[planned.backend] = None if planned.precise else answer.left
        self.report(planned.backend, answer)
        before = self.open
        self._discharge(answer)
        turns.append(answer.turn(0 if answer.verdict is Verdict.UNSAT else len(self.open.clauses)))
        return self._settled(answer, before)

    def _context(self, planned: PlannedTurn) -> Context:
        """What the backend may use: until when, with which other workers, from where its search goes on."""
        limit = Deadline.after(min(planned.at_most, planned.share * self.ctx.deadline.remaining()))
        if planned.precise:  # what was left, and what others compute, is in the coarser type
            return dataclasses.replace(self.ctx, deadline=limit, dtype=torch.float64)
        known = self.left.get(planned.backend)
        if known is not None:
            known = known.about(self.open.clauses) if known.covers(self.open.clauses) else None
        return dataclasses.replace(self.ctx, deadline=limit, team=self.team(planned.backend), parcel=known)

    def _discharge(self, answer: Answer) -> None:
        """Leave to the next what an undecided answer leaves open."""
        if not answer.verdict.decided and _discharges(answer, self.open):
            self.guarantee = _weaker(self.guarantee, answer.guarantee)
            self.open = dataclasses.replace(answer.residual or self.open, source=self.query.source)
            self.course.residual = self.open

    def _settled(self, answer: Answer, asked: Query) -> Answer | None:
        """The answer, if it is the last word on the query. It may turn out to be none: see `_guarded`.

        A certificate is about the query that the backend was asked, and kept only if that is all of it.
        """
        turns = self.course.turns
        if answer.verdict is Verdict.SAT:
            return dataclasses.replace(answer, turns=turns)
        answer = _guarded(self.guard, answer)
        if answer.verdict.decided or answer.final:
            whole = answer.verdict is Verdict.UNSAT and asked.clauses == self.query.clauses
            return dataclasses.replace(
                answer,
                turns=turns,
                guarantee=_weaker(self.guarantee, answer.guarantee),
                certificate=answer.certificate if whole else None,
            )
        self.failed |= answer.verdict is Verdict.ERROR
        self.last = answer
        return None

    def undecided(self) -> Answer:
        """What all turns have come to."""
        verdict = Verdict.ERROR if self.failed else Verdict.UNKNOWN
        verdict = Verdict.TIMEOUT if self.ctx.deadline.expired else verdict
        reason = reasons(self.course.turns)
        if verdict is not Verdict.ERROR:
            reason = "; ".join(part for part in (_beside_the_point(self.open), reason) if part)
        if self.last is None:
            last, reason = Answer(verdict), reason or "no backend had a turn"
        else:
            last = self.last
        return dataclasses.replace(
            last, verdict=verdict, reason=reason, turns=self.course.turns, witness=None, residual=self.open
        )


def _guarded(guard: Guard, answer: Answer) -> Answer:
    """The answer, which is no proof if the graph is not the model; and `sat` if comparing the two came upon a
    counterexample to what was proved."""
    witness = guard.check()
    if witness is not None and answer.verdict is Verdict.UNSAT:
        logger.warning("backend %s proved what the model refutes; please report this", answer.backend)
        return dataclasses.replace(answer, verdict=Verdict.SAT, reason="", witness=witness)
    why = guard.objection or (guard.reservation if answer.verdict is Verdict.UNSAT else "")
    if not why:
        return answer
    differs = Obstacle(ObstacleKind.NOT_THE_MODEL)
    return dataclasses.replace(answer, verdict=Verdict.UNKNOWN, reason=why, obstacle=differs, final=True)


def _ended(turns: Sequence[Turn], ctx: Context) -> bool:
    """Whether the last of a backend's turns came to its end undecided, in another type than float64."""
    return ctx.dtype is not torch.float64 and bool(turns) and turns[-1].verdict is Verdict.UNKNOWN


def _beside_the_point(query: Query) -> str:
    """Why no input of the model can be a counterexample, if that is so, though one over the reals may be;
    empty otherwise."""
    if len(query.clauses) > FEW_CLAUSES:
        return ""
    kinds = {points_in(clause.region, query.layout) for clause in query.clauses}
    if not kinds <= {Points.NONE, Points.BESIDE}:
        return ""
    region = query.clauses[0].region
    judged = replayed(query, (region.lower + region.upper) / 2)
    return f"no input of the model is a counterexample, though some real number may be: {judged.reason}"


def _support(backend: Backend[Any], query: Query) -> Support:
    try:
        return backend.supports(query)
    except Exception as error:  # fence: a backend is somebody else's code
        logger.debug("supports() failed", exc_info=True)
        reason = f"supports() failed: {type(error).__name__}: {error}".splitlines()[0]
        return Support.no(reason, Obstacle.of(error))


def _discharges(answer: Answer, query: Query) -> bool:
    """Whether the answer's residual query may replace `query` as what is left to decide.

    A residual without clauses contradicts the verdict that came with it, and what only a statistical
    guarantee discharges stays open for those who prove.
    """
    if answer.residual is None or answer.residual is query:
        return False
    return bool(answer.residual.clauses) and answer.guarantee is not Guarantee.STATISTICAL


def _weaker(a: Guarantee, b: Guarantee) -> Guarantee:
    order = list(Guarantee)
    return max(a, b, key=order.index)
