# SPDX-License-Identifier: Apache-2.0
"""Runs a job in a worker process and keeps the clock, whatever the worker does.

Imports neither torch nor onnx, so that the clock runs while the worker still imports them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

from vnnverify import errors
from vnnverify.errors import VnnverifyError
from vnnverify.job import Job, Progress
from vnnverify.results.explanation import Explanation
from vnnverify.results.report import Report, Witness
from vnnverify.verdict import Guarantee, Verdict

__all__ = ["make_report", "supervise"]

GRACE = 1.0
"""Seconds past the limit after which a worker that has not answered is told to stop."""
KILL_AFTER = 0.25
"""Seconds between being told to stop and being killed."""
EXPLAINS_WITHIN = 1.5
"""Seconds that an explanation is waited for after its verdict, and no longer than GRACE past the limit."""
LOOKS_EVERY = 0.05
"""Seconds between two looks at whether a run that can be cancelled has been."""
DIES_WITHIN = 0.5
"""Seconds a killed worker is waited for; one that the system is slow to end keeps no verdict waiting."""


def supervise(
    job: Job,
    timeout: float,
    started: float,
    *,
    progress: Callable[[Progress], None] | None = None,
    cancelled: threading.Event | None = None,
) -> Report:
    """Run the job in a process group of its own and return its report in any case.

    When this returns or raises, all of that group has ended or been killed. Should this process be
    killed, the worker ends itself.

    Args:
        timeout: seconds of wall time in all, counted from `started` (`time.monotonic`).
        progress: called in this thread with what the worker tells; what it raises ends the run.
        cancelled: set by another thread to end the run.

    Raises:
        VnnverifyError: the worker found the input to be bad.
        CancelledError: the run was cancelled.
    """

    def told(record: dict[str, Any]) -> None:
        if progress is not None:
            progress(Progress(**record, seconds=time.monotonic() - started))

    left = max(0.0, started + timeout - time.monotonic())
    process = subprocess.Popen(
        [sys.executable, "-m", "vnnverify.worker", "--tied"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ},  # threads that spin starve a busy machine
    )
    try:
        job = dataclasses.replace(job, seconds=left, progress=progress is not None)
        record = _ask(process, job, left + GRACE, told, cancelled)
    finally:
        _stop(process)
    if "input_error" in record:
        raise _input_error(record["input_error"], record.get("kind", ""))
    return make_report(job, timeout, started, record)


def _input_error(message: str, kind: str) -> VnnverifyError:
    """The error that the worker met, of the same kind where that takes a message alone."""
    known = getattr(errors, kind, VnnverifyError) if kind in errors.__all__ else VnnverifyError
    found: type[VnnverifyError] = VnnverifyError if known is errors.UnsupportedOperator else known
    return found(message)


def _ask(
    process: subprocess.Popen[bytes],
    job: Job,
    seconds: float,
    told: Callable[[dict[str, Any]], None],
    cancelled: threading.Event | None,
) -> dict[str, Any]:
    """Hand over the job and wait for the result, and shortly for the explanation if one is to follow.

    The pipe's end is not waited for: a process that a backend left behind may hold it open. The pipe
    to the worker stays open as long as this process lives, by which the worker knows that it does.
    """
    latest = time.monotonic() + seconds
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_lines, args=(process, lines), daemon=True).start()
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(job.to_json().encode() + b"\n")
        process.stdin.flush()
    try:
        while "progress" in (record := _parse(_next(lines, latest, cancelled), process)):
            told(record["progress"])
    except queue.Empty:
        return {"verdict": "timeout", "reason": "stopped at the time limit"}
    if record.get("explained"):
        with contextlib.suppress(queue.Empty):
            patience = max(0.0, min(EXPLAINS_WITHIN, latest - time.monotonic()))
            record["explanation"] = _explanation(lines.get(timeout=patience))
    return record


def _next(lines: queue.SimpleQueue[bytes], latest: float, cancelled: threading.Event | None) -> bytes:
    """The worker's next line.

    Raises:
        queue.Empty: there is none at the time `latest`.
        CancelledError: the run was cancelled.
    """
    while True:
        left = max(0.0, latest - time.monotonic())
        if cancelled is None:
            return lines.get(timeout=min(left, threading.TIMEOUT_MAX))
        if cancelled.is_set():
            raise CancelledError
        with contextlib.suppress(queue.Empty):
            return lines.get(timeout=min(left, LOOKS_EVERY))
        if not left:
            raise queue.Empty


def _read_lines(process: subprocess.Popen[bytes], lines: queue.SimpleQueue[bytes]) -> None:
    """All lines; an empty one stands for the pipe's end."""
    assert process.stdout is not None
    with process.stdout:
        while line := process.stdout.readline():
            lines.put(line)
        lines.put(b"")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the worker's process group, politely first."""
    kill = getattr(signal, "SIGKILL", signal.SIGTERM)
    for number, patience in ((signal.SIGTERM, KILL_AFTER), (kill, DIES_WITHIN)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, number)
            else:
                process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def _parse(line: bytes, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """What a line says; of the empty one, how the worker ended."""
    if not line:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    with contextlib.suppress(ValueError):
        record = json.loads(line.decode())
        if isinstance(record, dict):
            return record
    cause = _cause(process.returncode)
    return {"verdict": "error", "reason": f"the worker process ended without an answer ({cause})"}


def _explanation(line: bytes) -> Explanation | None:
    """What the worker's second line holds; None if it has come to nothing."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        return Explanation.from_record(json.loads(line.decode())["explanation"])
    return None


def _cause(code: int | None) -> str:
    if code is None:
        return "it closed its output"
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    hint = (
        "; out of memory?" if name == "SIGKILL" else "; a crash in native code" if name == "SIGSEGV" else ""
    )
    return f"killed by {name}{hint}"


def make_report(job: Job, timeout: float, started: float, record: dict[str, Any]) -> Report:
    """The report of a job from the record of its worker."""
    witness = record.get("witness")
    return Report(
        model=job.model,
        query=job.query,
        verdict=Verdict(record["verdict"]),
        reason=record.get("reason", ""),
        witness=None if witness is None else Witness.from_record(witness),
        guarantee=Guarantee(record.get("guarantee", "real")),
        backend=record.get("backend", ""),
        seconds=time.monotonic() - started,
        timeout=timeout,
        stats=record.get("stats", {}),
        sha256=record.get("sha256", {}),
        versions=record.get("versions", {}),
        layout=record.get("layout", {}),
        explanation=record.get("explanation"),
    )
