# SPDX-License-Identifier: Apache-2.0
"""What ended a process: only a kernel that killed for memory makes it a matter of memory."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from vnnverify.process.ending import ending, kills_for_memory

KILLED = -signal.SIGKILL
OTHER = "by another program, as the system did not run out of memory"


@pytest.mark.parametrize(
    ("code", "before", "now", "cause", "words"),
    [
        (None, 0, 0, "exit", "it closed its output"),
        (3, 0, 1, "exit", "exit code 3"),
        (-signal.SIGSEGV, 0, 1, "crash", "killed by SIGSEGV; a crash in native code"),
        (-signal.SIGTERM, 0, 0, "crash", "killed by SIGTERM"),
        (KILLED, 4, 5, "killed", "killed by SIGKILL; the system ran out of memory"),
        (KILLED, 4, 4, "killed", f"killed by SIGKILL; {OTHER}"),
        (KILLED, None, 4, "killed", "killed by SIGKILL; by another program, or for want of memory"),
        (KILLED, None, None, "killed", "killed by SIGKILL; by another program, or for want of memory"),
    ],
)  # fmt: skip
def test_cause_and_words(
    code: int | None, before: int | None, now: int | None, cause: str, words: str
) -> None:
    assert ending(code, before, now) == (cause, words)


@pytest.mark.parametrize(
    ("text", "count"),
    [("nr_free 7\noom_kill 3\nswap 1\n", 3), ("nr_free 7\n", None), ("oom_kill many\n", None), ("", None)],
)
def test_counter_of_the_kernel(text: str, count: int | None, tmp_path: Path) -> None:
    path = tmp_path / "vmstat"
    path.write_text(text)
    assert kills_for_memory(str(path)) == count


def test_no_counter(tmp_path: Path) -> None:
    assert kills_for_memory(str(tmp_path / "absent")) is None
