# SPDX-License-Identifier: Apache-2.0
"""The command line as a process of its own, and files to give it."""

from __future__ import annotations

import dataclasses
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from vnnverify.commands import main
from vnnverify.process.handle import GRACE, WorkerProcess
from vnnverify.process.job import Job
from vnnverify.process.supervisor import make_report
from vnnverify.results import Report

ROOT = Path(__file__).parents[2]
BOX = "".join(f"(assert (>= X_{k} -1.0))\n(assert (<= X_{k} 1.0))\n" for k in range(2))
DECLARED = "".join(f"(declare-const {name} Real)\n" for name in ("X_0", "X_1", "Y_0", "Y_1"))


@dataclass(frozen=True)
class Ended:
    """A process that has ended. `seconds` are the processor's, which a busy machine does not stretch."""

    code: int
    stdout: str
    stderr: str
    seconds: float


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def run_program(*arguments: str | Path, limit: float = 60.0) -> Ended:
    """`vnnverify ARGUMENTS`, at most `limit` seconds long."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "vnnverify", *map(str, arguments)],
        capture_output=True, text=True, timeout=limit, env=environment(), cwd=ROOT, check=False,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ended(done.returncode, done.stdout, done.stderr, seconds)


@pytest.fixture(scope="session")
def vnnverify() -> Callable[..., Ended]:
    return run_program


Run = Callable[..., Ended]


@pytest.fixture
def inside(capsys: pytest.CaptureFixture[str]) -> Run:
    """The same in this process, where torch is imported once for all tests."""

    def run(*arguments: str | Path) -> Ended:
        before = time.process_time()
        with pytest.raises(SystemExit) as ended:
            main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return Ended(int(str(ended.value.code)), captured.out, captured.err, time.process_time() - before)

    return run


class Service:
    """A worker that has started already and takes one job after another; a new one where it is spent."""

    def __init__(self) -> None:
        self._workers: list[WorkerProcess] = []

    def supervise(self, job: Job, timeout: float, started: float, **how: Any) -> Report:
        """As the function of that name does, save for `how`, that is progress and cancelling."""
        if not self._workers or not self._workers[-1].fit:
            self._workers.append(WorkerProcess(threads=1, warm=True))
            assert self._workers[-1].ready(240.0) == ""
        left = max(0.0, started + timeout - time.monotonic())
        record = self._workers[-1].ask(dataclasses.replace(job, seconds=left), left + GRACE)
        return make_report(job, timeout, time.monotonic() - started, record)

    @property
    def seconds(self) -> float:
        """Of the processor's time, that the workers which are left have spent."""
        times = [psutil.Process(worker.pid).cpu_times() for worker in self._workers if worker.fit]
        return sum(t.user + t.system for t in times)

    def stop(self) -> None:
        for worker in self._workers:
            worker.stop()


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.stop()


@pytest.fixture
def served(inside: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`inside`, with a worker that has started already: for what does not hang on starting processes.

    What the worker writes to stderr is not seen.
    """
    monkeypatch.setattr("vnnverify.commands.verify.supervise", service.supervise)

    def run(*arguments: str | Path) -> Ended:
        before = service.seconds
        done = inside(*arguments)
        return dataclasses.replace(done, seconds=done.seconds + service.seconds - before)

    return run


@pytest.fixture(scope="session")
def tiny() -> Path:
    """Y_0 = max(X_0, X_1), Y_1 = |X_0 − X_1|."""
    return ROOT / "models_onnx" / "tiny.onnx"


@pytest.fixture(scope="session")
def specs() -> Path:
    return ROOT / "specs"


@pytest.fixture
def property_text() -> Callable[..., str]:
    """A property of the tiny network: its declarations and box, then these assertions."""

    def text(*assertions: str, box: str = BOX) -> str:
        return DECLARED + box + "".join(f"(assert {a})\n" for a in assertions)

    return text
