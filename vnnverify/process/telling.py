# SPDX-License-Identifier: Apache-2.0
"""How a job gets on, as log lines and, if it asks for it, as records."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vnnverify.process.job import Job, Progress
from vnnverify.results.text import counters
from vnnverify.verdict import Verdict

if TYPE_CHECKING:
    from vnnverify.engine.answer import Answer
    from vnnverify.engine.course import Course
    from vnnverify.plugin.backend import Context
    from vnnverify.query import Query

__all__ = ["Teller"]

TELLS_EVERY = 1.0
"""Seconds between two notes on how a search stands."""

logger = logging.getLogger(__name__)


class Teller:
    """Says what is being worked on, once a second how a search stands, and what came of each turn.

    Args:
        tell: called with a stage of `Progress` under `progress`, if the job asks for it.
        course: knows whose turn it is.
    """

    def __init__(self, job: Job, tell: Callable[[dict[str, Any]], object], course: Course) -> None:
        self._wanted = job.progress
        self._tell = tell
        self._course = course
        self._latest = time.monotonic()

    def query(self, query: Query, order: list[str], ctx: Context) -> None:
        """What is asked, and of whom."""
        details = {
            "inputs": query.graph.input_size,
            "outputs": query.graph.output_size,
            "nodes": len(query.graph.nodes),
            "clauses": len(query.clauses),
            "backends": list(dict.fromkeys(order)),
        }
        logger.info("%s on %s", Progress("query", details), ctx.device)
        self._pass_on("query", details)

    def search(self, visited: int, left: int, bound: float) -> None:
        """So many sub-problems were visited and are left, and the lowest bound of the last ones."""
        now = time.monotonic()
        if now - self._latest < TELLS_EVERY:
            return
        self._latest = now
        finite = bound if math.isfinite(bound) else None
        details = {"backend": self._course.running, "visited": visited, "open": left, "bound": finite}
        logger.info("%s", Progress("search", details))
        self._pass_on("search", details)

    def turn(self, name: str, answer: Answer) -> None:
        """What came of a turn of the backend of this name."""
        left = None if answer.residual is None else len(answer.residual.clauses)
        details = {
            "backend": name,
            "verdict": answer.verdict.value,
            "seconds": round(answer.seconds, 3),
            "reason": answer.reason,
            "open_clauses": 0 if answer.verdict is Verdict.UNSAT else left,
        }
        said = str(Progress("turn", details)), counters(answer.counters)
        logger.info("%s", "; ".join(part for part in said if part))
        self._pass_on("turn", details)

    def _pass_on(self, stage: str, details: dict[str, Any]) -> None:
        if self._wanted:
            self._tell({"progress": {"stage": stage, "details": details}})
