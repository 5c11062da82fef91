# SPDX-License-Identifier: Apache-2.0
"""Runs a job in a worker process and keeps the clock, whatever the worker does.

Imports neither torch nor onnx, so that the clock runs while the worker still imports them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

from vnnverify.errors import VnnverifyError
from vnnverify.job import Job
from vnnverify.results.report import Report, Witness
from vnnverify.verdict import Guarantee, Verdict

__all__ = ["supervise"]

GRACE = 1.0
"""Seconds past the limit after which a worker that has not answered is told to stop."""
KILL_AFTER = 0.5
"""Seconds between being told to stop and being killed."""


def supervise(job: Job, timeout: float, started: float) -> Report:
    """Run the job in a process group of its own and return its report in any case.

    Args:
        timeout: seconds of wall time in all, counted from `started` (`time.monotonic`).

    Raises:
        VnnverifyError: the worker found the input to be bad.
    """
    left = max(0.0, started + timeout - time.monotonic())
    process = subprocess.Popen(
        [sys.executable, "-m", "vnnverify.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    text = dataclasses.replace(job, seconds=left).to_json().encode()
    try:
        answer, _ = process.communicate(text, timeout=left + GRACE)
    except subprocess.TimeoutExpired:
        _stop(process)
        return _report(job, timeout, started, {"verdict": "timeout", "reason": "stopped at the time limit"})
    except BaseException:
        _stop(process)
        raise
    record = _parse(answer, process.returncode)
    if "input_error" in record:
        raise VnnverifyError(record["input_error"])
    return _report(job, timeout, started, record)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the worker's whole process group, politely first."""
    for number, patience in ((signal.SIGTERM, KILL_AFTER), (getattr(signal, "SIGKILL", signal.SIGTERM), 5.0)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, number)
            else:
                process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return


def _parse(answer: bytes, code: int) -> dict[str, Any]:
    with contextlib.suppress(ValueError, IndexError):
        record = json.loads(answer.decode().splitlines()[-1])
        if isinstance(record, dict):
            return record
    return {"verdict": "error", "reason": f"the worker process ended without an answer ({_cause(code)})"}


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    hint = (
        "; out of memory?" if name == "SIGKILL" else "; a crash in native code" if name == "SIGSEGV" else ""
    )
    return f"killed by {name}{hint}"


def _report(job: Job, timeout: float, started: float, record: dict[str, Any]) -> Report:
    witness = record.get("witness")
    return Report(
        model=job.model,
        query=job.query,
        verdict=Verdict(record["verdict"]),
        reason=record.get("reason", ""),
        witness=None
        if witness is None
        else Witness(tuple(witness["x"]), tuple(witness["y"]), witness["rounded"]),
        guarantee=Guarantee(record.get("guarantee", "real")),
        backend=record.get("backend", ""),
        seconds=time.monotonic() - started,
        timeout=timeout,
        stats=record.get("stats", {}),
        sha256=record.get("sha256", {}),
        versions=record.get("versions", {}),
    )
