# SPDX-License-Identifier: Apache-2.0
"""Runs a job in a worker process and keeps the clock: there is a report in time, whatever the worker does."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable
from typing import IO, Any

from vnnverify import errors
from vnnverify.errors import VnnverifyError
from vnnverify.process.handle import GRACE, WorkerProcess
from vnnverify.process.job import Job, Progress
from vnnverify.results.explanation import Explanation
from vnnverify.results.report import Report, Witness
from vnnverify.verdict import Guarantee, Verdict

__all__ = ["make_report", "supervise"]


def supervise(
    job: Job,
    timeout: float,
    started: float,
    *,
    progress: Callable[[Progress], None] | None = None,
    cancelled: threading.Event | None = None,
    stderr: IO[bytes] | None = None,
) -> Report:
    """Run the job in a process group of its own and return its report in any case.

    When this returns or raises, all of that group has ended or been killed. Should this process be
    killed, the worker ends itself.

    Args:
        timeout: seconds of wall time in all, counted from `started` (`time.monotonic`).
        progress: called in this thread with what the worker tells; what it raises ends the run.
        cancelled: set by another thread to end the run.
        stderr: where the worker writes what it has to say; None: where this process does.

    Raises:
        VnnverifyError: the worker found the input to be bad.
        CancelledError: the run was cancelled.
    """

    def told(record: dict[str, Any]) -> None:
        if progress is not None:
            progress(Progress(**record, seconds=time.monotonic() - started))

    left = max(0.0, started + timeout - time.monotonic())
    with WorkerProcess(stderr=stderr) as worker:
        job = dataclasses.replace(job, seconds=left, progress=progress is not None)
        record = worker.ask(job, left + GRACE, told, cancelled)
    return make_report(job, timeout, time.monotonic() - started, record)


def make_report(job: Job, timeout: float, seconds: float, record: dict[str, Any]) -> Report:
    """The report on what a worker said about a job.

    Args:
        timeout: seconds of wall time that it was allowed.
        seconds: of wall time that it took.

    Raises:
        VnnverifyError: the worker found the input to be bad.
    """
    if "input_error" in record:
        raise _input_error(record["input_error"], record.get("kind", ""))
    witness = record.get("witness")
    return Report(
        model=job.model,
        query=job.query,
        verdict=Verdict(record["verdict"]),
        reason=record.get("reason", ""),
        witness=None if witness is None else Witness.from_record(witness),
        guarantee=Guarantee(record.get("guarantee", "real")),
        backend=record.get("backend", ""),
        seconds=seconds,
        timeout=timeout,
        stats=record.get("stats", {}),
        sha256=record.get("sha256", {}),
        versions=record.get("versions", {}),
        layout=record.get("layout", {}),
        explanation=_explanation(record.get("explanation")),
        certificate=record.get("certificate"),
    )


def _explanation(record: Any) -> Explanation | None:
    """The explanation, if there is a sound one."""
    with contextlib.suppress(TypeError):
        return None if record is None else Explanation.from_record(record)
    return None


def _input_error(message: str, kind: str) -> VnnverifyError:
    """The error that the worker met, of the same kind where that takes a message alone."""
    known = getattr(errors, kind, VnnverifyError) if kind in errors.__all__ else VnnverifyError
    found: type[VnnverifyError] = VnnverifyError if known is errors.UnsupportedOperator else known
    return found(message)
