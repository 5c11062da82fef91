# SPDX-License-Identifier: Apache-2.0
"""Points for answers, families and tools, as the competitions of 2025 and 2026 give them.

A right answer is worth 10, a wrong one −150, every other 0; there is no bonus for speed. `sat` is wrong
without a valid witness, `unsat` where any tool has a witness that is valid without tolerance. An answer after
the limit is a timeout. A family's score is 100 times a tool's points over those of the best tool.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vnnverify.errors import SpecError
from vnnverify.results.report import Witness
from vnnverify.scoring.judge import Standing, judge
from vnnverify.suites.instances import Instance
from vnnverify.suites.record import Record
from vnnverify.suites.runs import Name, RecordedRun, instance_name, stores_witnesses, witness_of
from vnnverify.verdict import Verdict

__all__ = ["RIGHT", "WRONG", "Board", "Entry", "Standing", "score"]

RIGHT = 10
WRONG = -150
_VALID = (Standing.CORRECT, Standing.TOLERANCE)

Judge = Callable[[Witness, Instance], tuple[Standing, str]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One tool's answer to one instance, and what it is worth."""

    verdict: Verdict
    seconds: float
    standing: Standing | None = None  # of a `sat`
    reason: str = ""
    points: int = 0


@dataclass(frozen=True, slots=True)
class Board:
    """All entries, by instance and tool, and what they add up to."""

    tools: tuple[str, ...]
    entries: Mapping[Name, Mapping[str, Entry]]
    notes: tuple[str, ...] = field(default=())

    @property
    def families(self) -> list[str]:
        """The families, in the order of the runs."""
        return list(dict.fromkeys(name[0] for name in self.entries))

    def points(self, tool: str, family: str) -> int:
        """A tool's points in a family."""
        return sum(
            by_tool[tool].points
            for name, by_tool in self.entries.items()
            if name[0] == family and tool in by_tool
        )

    def percent(self, tool: str, family: str) -> float:
        """100 · points / those of the best tool, never negative; 0 where nobody has any."""
        best = max(self.points(each, family) for each in self.tools)
        return max(0.0, 100.0 * self.points(tool, family) / best) if best > 0 else 0.0

    def total(self, tool: str) -> float:
        """The sum of a tool's percentages."""
        return sum(self.percent(tool, family) for family in self.families)

    def count(self, tool: str, test: Callable[[Entry], bool], family: str | None = None) -> int:
        """How many of a tool's entries pass the test, in a family or in all."""
        return sum(
            test(by_tool[tool])
            for name, by_tool in self.entries.items()
            if tool in by_tool and family in (None, name[0])
        )

    @property
    def disagreements(self) -> list[tuple[Name, Mapping[str, Entry]]]:
        """The instances that some tools answer `sat` and some `unsat`."""
        return [
            (name, by_tool)
            for name, by_tool in self.entries.items()
            if {Verdict.SAT, Verdict.UNSAT} <= {entry.verdict for entry in by_tool.values()}
        ]

    def to_record(self) -> dict[str, Any]:
        """The board as JSON can hold it."""
        return {
            "totals": {tool: round(self.total(tool), 2) for tool in self.tools},
            "families": {
                family: {
                    tool: {
                        "points": self.points(tool, family),
                        "percent": round(self.percent(tool, family), 2),
                    }
                    for tool in self.tools
                }
                for family in self.families
            },
            "penalties": [
                {**_named(name), "tool": tool, **_entry(entry)}
                for name, by_tool in self.entries.items()
                for tool, entry in by_tool.items()
                if entry.points < 0
            ],
            "disagreements": [
                {**_named(name), "answers": {tool: _entry(entry) for tool, entry in by_tool.items()}}
                for name, by_tool in self.disagreements
            ],
            "notes": list(self.notes),
        }


def _named(name: Name) -> dict[str, str]:
    return dict(zip(("family", "model", "query"), name, strict=True))


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "verdict": entry.verdict.value,
        "seconds": entry.seconds,
        "points": entry.points,
        "standing": None if entry.standing is None else entry.standing.value,
        "reason": entry.reason,
    }


def score(
    runs: Sequence[RecordedRun],
    instances: Mapping[Name, Instance],
    *,
    replay: bool = True,
    decide: Judge = judge,
) -> Board:
    """Score the runs, whose names must differ.

    Args:
        instances: where files are, and limits. Where they are not known, a `sat` is taken at its word: it
            gets its points unless some tool says `unsat`, in which case neither gets any.
        replay: whether to run witnesses at all.

    Raises:
        SpecError: a run answers an instance twice, or a stored result cannot be read.
    """
    answers: dict[Name, dict[str, Entry]] = {}
    for run in runs:
        stored = stores_witnesses(run)
        for record in run.records:
            name = instance_name(record)
            entry = _entered(run, record, instances.get(name), decide if replay else None, stored)
            if answers.setdefault(name, {}).setdefault(run.name, entry) is not entry:
                raise SpecError(f"{' '.join(name)} is answered twice", source=str(run.folder))
    entries = {name: _pointed(by_tool) for name, by_tool in answers.items()}
    return Board(tuple(run.name for run in runs), entries, tuple(_notes(entries, instances)))


def _entered(
    run: RecordedRun, record: Record, instance: Instance | None, decide: Judge | None, stored: bool
) -> Entry:
    """The answer of a record, with its witness judged."""
    limit = record.timeout if math.isfinite(record.timeout) or instance is None else instance.timeout
    verdict, seconds = record.verdict, record.seconds
    if verdict.decided and seconds > limit:
        return Entry(Verdict.TIMEOUT, seconds, reason=f"{verdict.value} after the limit of {limit:g} s")
    if verdict is not Verdict.SAT:
        return Entry(verdict, seconds, reason=record.reason)
    try:
        witness = witness_of(run, record)
    except SpecError as error:
        return Entry(verdict, seconds, Standing.INVALID, f"malformed: {error}")
    if witness is None:
        return Entry(verdict, seconds, Standing.MISSING if stored else Standing.UNCHECKED)
    if instance is None or decide is None:
        return Entry(verdict, seconds, Standing.UNCHECKED)
    return Entry(verdict, seconds, *decide(witness, instance))


def _pointed(by_tool: Mapping[str, Entry]) -> dict[str, Entry]:
    """The entries of an instance with their points."""
    refuted = any(entry.standing is Standing.CORRECT for entry in by_tool.values())
    proved = any(entry.verdict is Verdict.UNSAT for entry in by_tool.values()) and not refuted
    claimed = any(entry.standing is Standing.UNCHECKED for entry in by_tool.values())
    return {tool: _with_points(entry, refuted, proved, claimed) for tool, entry in by_tool.items()}


def _with_points(entry: Entry, refuted: bool, proved: bool, claimed: bool) -> Entry:
    points = 0
    if entry.verdict is Verdict.UNSAT:
        points = WRONG if refuted else 0 if claimed else RIGHT
    elif entry.standing in _VALID:
        points = RIGHT
    elif entry.standing in (Standing.INVALID, Standing.MISSING):
        points = WRONG
    elif entry.standing is Standing.UNCHECKED:
        points = 0 if proved else RIGHT
    return dataclasses.replace(entry, points=points)


def _notes(entries: Mapping[Name, Mapping[str, Entry]], instances: Mapping[Name, Instance]) -> Iterable[str]:
    every = [entry for by_tool in entries.values() for entry in by_tool.values()]
    unchecked = sum(entry.standing is Standing.UNCHECKED for entry in every)
    if unchecked:
        yield (
            f"{unchecked} sat answers are taken at their word: their witness, or the network and the "
            "property, are not at hand (--benchmarks DIR says where networks and properties are)"
        )
    unjudged = sum(entry.standing is Standing.UNJUDGED for entry in every)
    if unjudged:
        yield f"{unjudged} witnesses could not be run and count nothing"
    unlimited = sum(name not in instances or not math.isfinite(instances[name].timeout) for name in entries)
    if unlimited:
        yield f"the limit of {unlimited} instances is not known, so that no answer to them is too late"
