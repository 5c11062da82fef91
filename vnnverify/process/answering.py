# SPDX-License-Identifier: Apache-2.0
"""From a job to its answer: files are read, backends asked in turn, and the result told as plain data."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from vnnverify.deadline import Deadline
from vnnverify.process.condition import condition
from vnnverify.process.job import Job
from vnnverify.process.session import Asked, Kept, others, prepare, read_job, resources
from vnnverify.process.watchdog import LastWord

if TYPE_CHECKING:
    from vnnverify.engine.answer import Answer
    from vnnverify.engine.course import Course
    from vnnverify.loading.loader import Models
    from vnnverify.plugin.manager import Plugins
    from vnnverify.query import Query

__all__ = ["answers", "contribution", "verify"]

EXPLAINING = 0.5
"""Seconds that an explanation may take; so many are kept of the time for it …"""
EXPLAINING_SHARE = 0.05
"""… but no larger share of it than this."""
ASKING = 0.2
"""Seconds after which no further backend is asked, for an explanation, whether it takes the query."""
EXPLAINING_LATE = 0.1
"""Seconds that it may take when the limit has passed."""

Tell = Callable[[dict[str, Any]], object]

logger = logging.getLogger(__name__)


def contribution(job: Job, deadline: Deadline, kept: Kept) -> dict[str, Any]:
    """What has become of the job's parcel. The query and its backends are kept for the next one."""
    from vnnverify.engine.runner import make_context
    from vnnverify.process.member import work_on

    plugins, models = prepare(kept)
    about = dataclasses.replace(job, parcel="", turn="", seconds=0.0, number=0)
    if kept.shared is None or kept.shared[0] != about:
        asked = read_job(job, plugins, models)
        kept.shared = about, asked.query, asked.backends
    _, query, backends = kept.shared
    return work_on(job.parcel, query, backends[job.turn], make_context(query, deadline, **resources(job)))


def verify(job: Job, deadline: Deadline) -> dict[str, Any]:
    """Decide the job's query; the result as JSON-able data, without an explanation.

    Raises:
        VnnverifyError: a file or an option is bad.
    """
    return next(answers(dataclasses.replace(job, explain=False), deadline))


def _unwatched(last_word: LastWord) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


def answers(
    job: Job,
    deadline: Deadline,
    tell: Tell = lambda told: None,
    kept: Kept | None = None,
    watch: Callable[[LastWord], contextlib.AbstractContextManager[None]] = _unwatched,
) -> Iterator[dict[str, Any]]:
    """The result as JSON-able data; then, if it is undecided and the job asks for it, its explanation under
    `explanation`. For that a little of the time is kept.

    Args:
        tell: called with the stages of a `Progress` under `progress`, if the job asks for them.
        kept: from the jobs before; what this one reads is added.
        watch: sees to it that there is an answer in time while backends work.

    Raises:
        VnnverifyError: a file or an option is bad.
    """
    kept = kept or Kept()
    plugins, models = prepare(kept)
    before = condition() if kept.again else None
    work = _Work(job, plugins, models)
    with watch(work.last_word):
        answer = work.decide(deadline, tell, kept)
    wanted = job.explain and not answer.verdict.decided and not answer.final
    record = work.record(answer)
    if before is not None:
        record["spent"] = record["cause"] == "memory" or condition() != before
    yield {**record, "explained": wanted}
    if wanted:
        at_most = min(EXPLAINING, max(EXPLAINING_LATE, deadline.remaining()))
        found = work.explanation(answer, Deadline.after(at_most))
        yield {"explanation": found, "spent": before is not None and condition() != before}


class _Work:
    """One job, and how far it has come."""

    def __init__(self, job: Job, plugins: Plugins, models: Models) -> None:
        self._job = job
        self._plugins, self._models = plugins, models
        self._asked: Asked | None = None
        self._course: Course | None = None

    def decide(self, deadline: Deadline, tell: Tell, kept: Kept) -> Answer:
        """Read the job's files and have its backends decide the query.

        Raises:
            VnnverifyError: a file or an option is bad.
        """
        from vnnverify.engine.course import Course
        from vnnverify.engine.runner import make_context
        from vnnverify.engine.strategy import decide
        from vnnverify.process.telling import Teller

        job = self._job
        asked = self._asked = read_job(job, self._plugins, self._models)
        spared = min(EXPLAINING, EXPLAINING_SHARE * deadline.remaining()) if job.explain else 0.0
        ctx = make_context(asked.query, Deadline(deadline.at - spared), **resources(job))
        course = Course()
        teller = Teller(job, tell, course)
        teller.query(asked.query, asked.order, ctx)
        self._course = course
        ctx = dataclasses.replace(ctx, tell=teller.search)
        with others(job, kept, ctx) as workers:
            team = (lambda name: None) if workers is None else workers.turn
            found = decide(asked.query, asked.schedule, asked.backends, ctx, teller.turn, team, course)
        return _with_cause(asked.query, found)

    def last_word(self) -> Iterator[dict[str, Any]]:
        """The answer as far as it is known, and why it is no other."""
        if self._asked is None or self._course is None:
            yield {
                "verdict": "timeout",
                "reason": "stopped at the time limit, before any backend had its turn",
                "cause": "hang",
            }
            return
        found = _with_cause(self._asked.query, self._course.answer())
        yield {**self.record(found), "cause": "hang", "explained": self._job.explain}
        if self._job.explain:
            yield {"explanation": self.explanation(found, Deadline.after(EXPLAINING))}

    def record(self, answer: Answer) -> dict[str, Any]:
        """The answer as plain data."""
        from vnnverify.process.record import record_of

        assert self._asked is not None
        return record_of(self._asked.query, answer, self._asked.hashes)

    def explanation(self, answer: Answer, deadline: Deadline) -> dict[str, Any] | None:
        """Why the answer is undecided; None if finding out failed, which costs no verdict."""
        from vnnverify.diagnosis.coverage import untried_backends
        from vnnverify.diagnosis.explain import explain

        assert self._asked is not None
        asked = self._asked

        def untried() -> list[str]:
            tried = [*answer.turns, *asked.order]
            rest = answer.residual or asked.query
            return untried_backends(self._plugins, rest, tried, Deadline.after(ASKING))

        try:
            found = explain(
                asked.query,
                answer,
                deadline,
                seed=self._job.seed,
                seconds=self._job.seconds,
                dtype=self._job.dtype,
                backends=asked.backends,
                untried=untried,
            )
        except Exception:  # fence: an explanation is no part of the answer
            logger.debug("the explanation failed", exc_info=True)
            return None
        return found.to_record()


def _with_cause(query: Query, answer: Answer) -> Answer:
    """The answer, which says why nothing can be proved of a model that could not be read."""
    from vnnverify.importer.opaque import unread

    why = "" if answer.verdict.decided else unread(query.graph)
    if not why:
        return answer
    return dataclasses.replace(answer, reason=f"no proof is possible ({why}); {answer.reason}")
