# SPDX-License-Identifier: Apache-2.0
"""Numbers about many records."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from vnnverify.suites.record import Record
from vnnverify.verdict import Verdict

__all__ = ["BackendSummary", "Summary", "backends", "families"]


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of some instances. PAR2 is the mean time, an undecided one counting twice its limit."""

    name: str
    instances: int
    unsat: int
    sat: int
    undecided: int
    errors: int
    wrong: int  # decided otherwise than expected
    median: float | None  # seconds of the decided ones
    longest: float | None
    par2: float | None

    @classmethod
    def of(cls, name: str, records: Sequence[Record]) -> Summary:
        """The summary of these records."""
        count = {verdict: sum(r.verdict is verdict for r in records) for verdict in Verdict}
        decided = [r for r in records if r.verdict.decided and not r.contradicts]
        times = [r.seconds for r in decided]
        others = [r for r in records if not r.verdict.decided or r.contradicts]
        limits = [r.timeout if math.isfinite(r.timeout) else r.seconds for r in others]
        return cls(
            name,
            len(records),
            count[Verdict.UNSAT],
            count[Verdict.SAT],
            count[Verdict.UNKNOWN] + count[Verdict.TIMEOUT],
            count[Verdict.ERROR],
            sum(r.contradicts for r in records),
            statistics.median(times) if times else None,
            max(times, default=None),
            (sum(times) + 2 * sum(limits)) / len(records) if records else None,
        )


@dataclass(frozen=True, slots=True)
class BackendSummary:
    """What one backend contributed."""

    name: str
    unsat: int
    sat: int
    turns: int
    seconds: float  # of its turns
    median: float | None  # seconds of the instances it decided


def families(records: Sequence[Record]) -> list[Summary]:
    """A summary of each family, and of all if there are several."""
    names = dict.fromkeys(r.family for r in records)
    found = [Summary.of(name, [r for r in records if r.family == name]) for name in names]
    return [*found, Summary.of("all", records)] if len(found) > 1 else found


def backends(records: Iterable[Record]) -> list[BackendSummary]:
    """What each backend contributed, the one that decided most first."""
    records = list(records)
    names = dict.fromkeys(name for r in records for name in (*r.stats, r.backend) if name)
    found = []
    for name in names:
        own = [r for r in records if r.backend == name and r.verdict.decided]
        turns = [turn for r in records for turn in _turns(r, name)]
        found.append(
            BackendSummary(
                name,
                sum(r.verdict is Verdict.UNSAT for r in own),
                sum(r.verdict is Verdict.SAT for r in own),
                len(turns),
                sum(float(turn.get("seconds", 0.0)) for turn in turns),
                statistics.median(r.seconds for r in own) if own else None,
            )
        )
    return sorted(found, key=lambda b: -(b.unsat + b.sat))


def _turns(record: Record, name: str) -> list[dict[str, Any]]:
    value = record.stats.get(name, [])
    return [turn for turn in value if isinstance(turn, dict)] if isinstance(value, list) else []
