# SPDX-License-Identifier: Apache-2.0
"""How a run gets on, on stderr: a live display on a terminal, else plain lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import click

from vnnverify.suites.instances import Instance
from vnnverify.suites.record import Record

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["Watcher", "make_watcher"]


class Watcher(Protocol):
    """Hears what happens."""

    def begun(self, worker: int, instance: Instance) -> None:
        """A worker took an instance."""
        ...

    def done(self, worker: int, record: Record) -> None:
        """An instance is answered."""
        ...

    def close(self) -> None:
        """The run has ended."""
        ...


def make_watcher(total: int, before: list[Record], *, live: bool | None = None) -> Watcher:
    """A display on a terminal, else lines.

    Args:
        total: instances of the run.
        before: what an earlier run has left.
        live: None: whether stderr is a terminal.
    """
    tally = _Tally(total, before)
    return _Live(tally) if (sys.stderr.isatty() if live is None else live) else _Lines(tally)


class _Tally:
    """Counts, rate and the time left."""

    def __init__(self, total: int, before: list[Record], clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.finished = self.decided = self.wrong = 0
        for record in before:
            self.add(record)
        self._before = len(before)
        self._clock = clock
        self._started = clock()

    def add(self, record: Record) -> None:
        self.finished += 1
        self.decided += record.verdict.decided
        self.wrong += record.contradicts

    def __str__(self) -> str:
        passed = self._clock() - self._started
        here = self.finished - self._before
        text = f"{self.finished}/{self.total} done, {self.decided} decided, {self.wrong} wrong"
        if here and passed > 0:
            left = (self.total - self.finished) * passed / here
            text += f", {60 * here / passed:.1f} a minute, {_duration(left)} left"
        return text


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _said(record: Record) -> str:
    """One line on an answer."""
    known = "" if record.expected is None else f" (expected {record.expected.value})"
    wrong = "WRONG " if record.contradicts else ""
    why = f" {record.cause}: {record.reason}" if record.cause else ""
    if record.reason.startswith("CONTRADICTION"):
        why = f" {record.reason}"
    line = f"{wrong}{record.verdict.value}{known} {record.seconds:.2f} s"
    return f"{line}  {record.family}/{record.model} {record.query}{why}".replace("\n", " ")


class _Lines:
    """One line an instance."""

    def __init__(self, tally: _Tally) -> None:
        self._tally = tally

    def begun(self, worker: int, instance: Instance) -> None:
        pass

    def done(self, worker: int, record: Record) -> None:
        self._tally.add(record)
        click.echo(f"[{self._tally.finished}/{self._tally.total}] {_said(record)}", err=True)

    def close(self) -> None:
        click.echo(str(self._tally), err=True)


class _Live:
    """Counts, and what each worker is on; contradictions and errors stay above."""

    def __init__(self, tally: _Tally) -> None:
        from rich.console import Console
        from rich.live import Live

        self._tally = tally
        self._on: dict[int, tuple[Instance, float]] = {}
        self._live: Any = Live(
            console=Console(stderr=True), get_renderable=self._display, refresh_per_second=4, transient=True
        )
        self._live.start()

    def begun(self, worker: int, instance: Instance) -> None:
        self._on[worker] = (instance, time.monotonic())

    def done(self, worker: int, record: Record) -> None:
        from rich.text import Text

        self._on.pop(worker, None)
        self._tally.add(record)
        if record.contradicts or record.cause or record.reason.startswith("CONTRADICTION"):
            self._live.console.print(Text(_said(record), style="bold red" if record.contradicts else ""))

    def close(self) -> None:
        self._live.stop()
        click.echo(str(self._tally), err=True)

    def _display(self) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        rows = Table.grid(expand=True)
        rows.add_row(ProgressBar(total=self._tally.total, completed=self._tally.finished))
        rows.add_row(Text(str(self._tally)))
        for number, (instance, since) in sorted(self._on.items()):
            text = f"worker {number}: {time.monotonic() - since:5.1f} s  {instance.name}"
            rows.add_row(Text(text, no_wrap=True, overflow="ellipsis"))
        return rows
