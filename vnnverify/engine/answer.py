# SPDX-License-Identifier: Apache-2.0
"""What the engine has to say about a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vnnverify.obstacle import Obstacle
from vnnverify.query import Query, Replay
from vnnverify.results.statistics import Statistics
from vnnverify.sharing import Parcel
from vnnverify.verdict import Guarantee, Verdict

__all__ = ["Answer", "Turn"]


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of one backend's turn."""

    verdict: Verdict
    reason: str = ""
    seconds: float = 0.0
    open_clauses: int = 0  # when it ended
    obstacle: Obstacle | None = None
    counters: Mapping[str, Any] = field(default_factory=dict)  # the backend's own, JSON-able

    @property
    def statistics(self) -> Statistics:
        """What its counters say about the search."""
        return Statistics.of(self.counters)

    def to_record(self) -> dict[str, Any]:
        """The turn as JSON can hold it; a counter does not take the place of what is said about all turns."""
        said: dict[str, Any] = {
            "verdict": self.verdict.value,
            "seconds": round(self.seconds, 3),
            "reason": self.reason,
            "open_clauses": self.open_clauses,
        }
        if self.obstacle is not None:
            said["obstacle"] = self.obstacle.to_record()
        return {**said, **self.counters, **said}


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The answer to a query: a backend's outcome after the runner has replayed its witness, or what the
    turns of all backends have come to."""

    verdict: Verdict
    reason: str = ""
    witness: Replay | None = None
    guarantee: Guarantee = Guarantee.REAL
    backend: str = ""
    seconds: float = 0.0
    obstacle: Obstacle | None = None  # of one backend's outcome
    counters: Mapping[str, Any] = field(default_factory=dict)  # of one backend's outcome, JSON-able
    turns: Mapping[str, Sequence[Turn]] = field(default_factory=dict)  # of each backend, in order
    certificate: object | None = None  # of unsat, for all clauses of the query; in the backend's own form
    residual: Query | None = None
    left: Parcel | None = None
    final: bool = False  # more time would change nothing

    def __bool__(self) -> bool:
        raise TypeError(
            "an Answer has no truth value; compare answer.verdict with Verdict.SAT or Verdict.UNSAT"
        )

    def turn(self, open_clauses: int) -> Turn:
        """This answer of one backend as the record of its turn."""
        return Turn(self.verdict, self.reason, self.seconds, open_clauses, self.obstacle, self.counters)
