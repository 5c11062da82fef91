# SPDX-License-Identifier: Apache-2.0
"""How far the engine has come with a query, for others to look at while backends work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from vnnverify.engine.answer import Answer, Turn
from vnnverify.obstacle import Obstacle, ObstacleKind
from vnnverify.query import Query
from vnnverify.verdict import Verdict

__all__ = ["Course", "reasons"]

Tell = Callable[[int, int, float], None]


@dataclass(slots=True)
class Course:
    """How far `decide` has come. Another thread may read it at any time."""

    turns: dict[str, list[Turn]] = field(default_factory=dict)  # by backend, in order
    residual: Query | None = None  # what is still open
    running: str = ""  # the backend whose turn it is
    since: float = 0.0  # when the turn began (`time.monotonic`)
    search: Mapping[str, Any] = field(default_factory=dict)  # how its search stood when it last told

    @contextmanager
    def during(self, backend: str, tell: Tell) -> Iterator[Tell]:
        """While inside, it is this backend's turn. Gives what its search is to call, in place of `tell`, with
        how it stands."""

        def told(visited: int, left: int, bound: float) -> None:
            self.search = {"subproblems": visited, "open_subproblems": left, "lowest_bound": bound}
            tell(visited, left, bound)

        self.search, self.since, self.running = {}, time.monotonic(), backend
        yield told
        self.running = ""

    def answer(self) -> Answer:
        """The undecided answer of an end here and now, with the unfinished turn as far as it has come."""
        turns = {name: list(each) for name, each in self.turns.items()}
        if self.running:
            unfinished = Turn(
                Verdict.TIMEOUT,
                "stopped at the time limit",
                time.monotonic() - self.since,
                0 if self.residual is None else len(self.residual.clauses),
                Obstacle(ObstacleKind.OUT_OF_TIME),
                self.search,
            )
            turns.setdefault(self.running, []).append(unfinished)
        reason = reasons(turns) or "no backend had a turn"
        return Answer(Verdict.TIMEOUT, reason, turns=turns, residual=self.residual)


def reasons(turns: Mapping[str, list[Turn]]) -> str:
    """What each backend said last."""
    return "; ".join(f"{name}: {each[-1].reason}" for name, each in turns.items() if each)
