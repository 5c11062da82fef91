# SPDX-License-Identifier: Apache-2.0
"""The verdict for people. VNN-LIB states the negation of a wish, so `unsat` is the good news."""

from __future__ import annotations

import io

from vnnverify.results.report import Report
from vnnverify.verdict import Guarantee, Verdict

__all__ = ["TextWriter"]

_MEANING = {
    Verdict.UNSAT: ("green", "property holds: no input in the region is unsafe"),
    Verdict.SAT: ("red", "property violated: the witness was confirmed by onnxruntime"),
    Verdict.UNKNOWN: ("yellow", "undecided"),
    Verdict.TIMEOUT: ("yellow", "undecided within the time limit"),
    Verdict.ERROR: ("red", "the run failed"),
}


class TextWriter:
    """A few lines: what was found, by whom, how long it took, what was tried."""

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
        table = Table.grid(padding=(0, 2))
        table.add_row("time", f"{report.seconds:.2f} s")
        if report.backend:
            table.add_row("backend", report.backend)
        if report.verdict is Verdict.UNSAT:
            table.add_row("guarantee", _guarantee(report.guarantee))
        if report.reason:
            table.add_row("reason", Text(report.reason))
        if report.witness is not None and report.witness.rounded:
            note = f"bounds of {report.witness.rounded} inputs hold no number of their type: nearest one used"
            table.add_row("note", note)
        for name, values in report.stats.items():
            if isinstance(values, dict):
                table.add_row(name, Text(", ".join(f"{k}={_short(v)}" for k, v in values.items())))
        console.print(table)
        return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())


def _guarantee(guarantee: Guarantee) -> str:
    if guarantee is Guarantee.REAL:
        return "sound over the real numbers for the stored parameters; rounding accounted for"
    return str(guarantee.value)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
