# SPDX-License-Identifier: Apache-2.0
"""The line on how a run gets on: on a terminal, and nowhere else."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from vnnverify.commands.progress import progress_line
from vnnverify.process.job import Progress

ROOT = Path(__file__).parents[2]
SEARCH = Progress("search", {"backend": "zonotope", "visited": 1234, "open": 7, "bound": None})


def test_what_was_told_last_and_what_others_write() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    with progress_line(60.0, time.monotonic() - 5.0, console) as (tell, others):
        others.write(b"warning: of \xff beads\n")
        others.flush()
        tell(SEARCH)
        time.sleep(0.6)  # twice as long as the line stands
    text = out.getvalue()
    assert "5 of 60 s  starting" in text
    assert "of 60 s  zonotope: 1,234 sub-problems visited, 7 open, no bound" in text
    assert "warning: of \ufffd beads\n" in text


def test_no_limit_is_not_named() -> None:
    out = io.StringIO()
    with progress_line(float("inf"), time.monotonic(), Console(file=out, force_terminal=True, width=100)):
        pass
    assert "0 s  starting" in out.getvalue()


def on_a_terminal(*options: str) -> tuple[str, str]:
    """What `verify` writes to stdout, which is a pipe, and to stderr, which is a terminal."""
    said: list[bytes] = []

    def read() -> None:
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # so Linux says that the other end is closed
                return
            if not part:
                return
            said.append(part)

    ours, theirs = pty.openpty()
    reader = threading.Thread(target=read)
    reader.start()
    done = subprocess.run(
        [
            sys.executable, "-m", "vnnverify", "verify", "specs/tiny_sat.vnnlib", "--network",
            "models_onnx/tiny.onnx", *options,
        ],
        stdout=subprocess.PIPE, stderr=theirs, text=True, timeout=120, cwd=ROOT, check=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    os.close(theirs)
    reader.join()
    os.close(ours)
    return done.stdout, b"".join(said).decode()


@pytest.mark.parametrize(("options", "shown"), [((), True), (("--json",), False), (("-v",), False)])
def test_line_is_for_a_terminal_without_other_lines(options: tuple[str, ...], shown: bool) -> None:
    stdout, stderr = on_a_terminal(*options)
    assert ("of 300 s  starting" in stderr) is shown
    assert stdout.startswith('{"schema": 1, "verdict": "sat"' if options == ("--json",) else "sat\n((X_0 ")
    assert "starting" not in stdout
    if options == ("--json",):
        assert stderr == ""


def test_nothing_where_stderr_is_no_terminal() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vnnverify", "verify", "models_onnx/tiny.onnx", "specs/tiny_sat.vnnlib"],
        capture_output=True, text=True, timeout=120, cwd=ROOT, check=True,
    )  # fmt: skip
    assert done.stderr.startswith("sat: property violated") and "\x1b" not in done.stderr
