# SPDX-License-Identifier: Apache-2.0
"""The verdict for people. VNN-LIB states the negation of a wish, so `unsat` is the good news."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vnnverify.results.explanation import Explanation
from vnnverify.results.report import Report
from vnnverify.results.statistics import TURN
from vnnverify.verdict import Guarantee, Verdict

__all__ = ["TextWriter", "counters", "explained"]

_MEANING = {
    Verdict.UNSAT: ("green", "property holds: no input in the region is unsafe"),
    Verdict.SAT: ("red", "property violated: the witness was confirmed by onnxruntime"),
    Verdict.UNKNOWN: ("yellow", "undecided"),
    Verdict.TIMEOUT: ("yellow", "undecided within the time limit"),
    Verdict.ERROR: ("red", "the run failed"),
}
MOST_CLAUSES = 12
"""Open clauses that are listed."""


class TextWriter:
    """A few lines: what was found, by whom, how long it took, what was tried, and why that was not enough."""

    name = "text"

    def __init__(self, *, color: bool = False, width: int = 100) -> None:
        self._color = color
        self._width = width

    def write(self, report: Report) -> str:
        """The lines, with terminal colours if asked for."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        out = io.StringIO()
        console = Console(file=out, force_terminal=self._color, no_color=not self._color, width=self._width)
        colour, meaning = _MEANING[report.verdict]
        console.print(Text(f"{report.verdict.value}: {meaning}", style=f"bold {colour}"))
        parts = list(_summary(report)), list(_tried(report)), list(_explained(report.explanation))
        width = max(len(row[0]) for rows in parts for row in rows)
        for rows in parts:
            table = Table.grid(padding=(0, 2))
            table.add_column(min_width=width)
            for row in rows:
                table.add_row(*(Text(cell) for cell in row))
            console.print(table)
        return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())


def _summary(report: Report) -> Iterator[tuple[str, str]]:
    yield "time", f"{report.seconds:.2f} s"
    if report.verdict.decided and report.backend:
        yield "backend", report.backend
    if report.verdict is Verdict.UNSAT:
        yield "guarantee", _guarantee(report.guarantee)
    turns = list(_turns(report))
    of_turns = any(report.reason.startswith(f"{name}: ") for name, _ in turns)
    said = any(turn.get("reason") == report.reason for _, each in turns for turn in each)
    if report.reason and not of_turns and not said:  # else the backends' rows say it
        yield "reason", report.reason
    if report.witness is not None and report.witness.rounded:
        yield (
            "note",
            f"decimals of {report.witness.rounded} inputs are no numbers of their type: nearest one used",
        )


def _guarantee(guarantee: Guarantee) -> str:
    if guarantee is Guarantee.REAL:
        return "sound over the real numbers for the stored parameters; rounding accounted for"
    return str(guarantee.value)


def _turns(report: Report) -> Iterator[tuple[str, Sequence[Mapping[str, Any]]]]:
    """The turns of each backend; statistics that are a single mapping stand for one turn."""
    for name, value in report.stats.items():
        each = value if isinstance(value, list) else [value]
        if each and all(isinstance(turn, dict) for turn in each):
            yield name, each


def _tried(report: Report) -> Iterator[tuple[str, str, str]]:
    """A row for each backend: the seconds of its turns, and what it said last, in words if it has any."""
    for name, each in _turns(report):
        seconds = " + ".join(f"{turn['seconds']:.2f}" for turn in each if "seconds" in turn)
        yield name, f"{seconds} s" if seconds else "", each[-1].get("reason") or counters(each[-1])


def counters(turn: Mapping[str, Any]) -> str:
    """What a backend counted in a turn, on one line."""
    return ", ".join(f"{k}={_short(v)}" for k, v in turn.items() if k not in TURN)


def _explained(why: Explanation | None) -> Iterator[tuple[str, str]]:
    if why is not None:
        yield "", ""
        yield from explained(why)


def explained(why: Explanation) -> Iterator[tuple[str, str]]:
    """An explanation as rows of a name and a sentence; a name is left out where the one above goes on."""
    yield "open", f"{len(why.open_clauses)} of {why.clauses} clauses: {_listed(why.open_clauses)}"
    if why.unsafe:
        yield "hardest", why.unsafe if why.hardest is None else f"clause {why.hardest}: {why.unsafe}"
    bound = "no finite bound" if why.bound is None else f"at least {why.bound:.4g} by {why.bound_by}"
    nearest = "no input tried" if why.margin is None else f"{why.margin:.4g} at the nearest input"
    yield "margin", f"{bound}; {nearest}; a proof needs > 0"
    visited = ", ".join(f"{count:,} by {name}" for name, count in why.subproblems.items())
    yield "sub-problems", visited or "none"
    if why.node:
        yield "bounds loosen", f"most at node {why.node!r} ({why.operator}): {_looseness(why)}"
    for index, advice in enumerate(why.advice):
        yield ("" if index else "to try"), advice


def _listed(places: Sequence[int | None]) -> str:
    names = ["?" if place is None else str(place) for place in places[:MOST_CLAUSES]]
    return ", ".join(names) + (", …" if len(places) > MOST_CLAUSES else "")


def _looseness(why: Explanation) -> str:
    if why.looseness is None:
        return "intervals have no finite bounds there"
    return (
        f"intervals are {why.looseness:.3g} times as wide as {why.samples} samples, "
        f"{why.looseness_before:.3g} times before it"
    )


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
