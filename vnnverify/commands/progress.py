# SPDX-License-Identifier: Apache-2.0
"""How a verification gets on, as one line of a terminal that is gone when it ends."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from vnnverify.process.job import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["progress_line"]

LAST_WORDS = 0.5
"""Seconds that are waited for what an ended worker has written."""


@contextmanager
def progress_line(
    timeout: float, started: float, console: Console | None = None
) -> Iterator[tuple[Callable[[Progress], None], IO[bytes]]]:
    """Show the time and what was told last for as long as this lasts.

    Args:
        timeout: seconds in all, counted from `started` (`time.monotonic`).
        console: default: stderr.

    Yields:
        What is to be called with each progress, and a file for others to write to: each of its lines is
        printed above the one that is updated.
    """
    from rich.console import Console
    from rich.live import Live

    line = _Line(timeout, started)
    read, write = os.pipe()
    with Live(
        console=console or Console(stderr=True),
        get_renderable=line.text,
        refresh_per_second=4,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as live:
        copier = threading.Thread(target=_copy, args=(read, live.console), daemon=True)
        copier.start()
        try:
            with open(write, "wb") as others:
                yield line.tell, others
        finally:
            copier.join(LAST_WORDS)


class _Line:
    """The time, the limit, and what was told last."""

    def __init__(self, timeout: float, started: float) -> None:
        self._limit = f" of {timeout:g}" if timeout < float("inf") else ""
        self._started = started
        self._told = "starting"

    def tell(self, progress: Progress) -> None:
        self._told = str(progress)

    def text(self) -> Text:
        from rich.text import Text

        seconds = time.monotonic() - self._started
        return Text(f"{seconds:.0f}{self._limit} s  {self._told}", no_wrap=True, overflow="ellipsis")


def _copy(read: int, console: Console) -> None:
    """Print every line of a pipe."""
    from rich.text import Text

    with open(read, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            console.print(Text(line.rstrip("\n")), soft_wrap=True)
