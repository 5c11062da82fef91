# SPDX-License-Identifier: Apache-2.0
"""The command line as a process of its own, and files to give it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from vnnverify.commands import main
from vnnverify.deadline import Deadline
from vnnverify.job import Job
from vnnverify.results import Report
from vnnverify.supervisor import make_report
from vnnverify.worker import verify

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


@pytest.fixture
def inside(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """The same in this process, where torch is imported once for all tests."""

    def run(*arguments: str | Path) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return Ended(int(str(ended.value.code)), captured.out, captured.err, 0.0)

    return run


@pytest.fixture
def unsupervised(
    inside: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Ended]]:
    """The same, and `verify` works in this process too: for what does not hang on having a worker."""
    threads = torch.get_num_threads()
    monkeypatch.setattr("vnnverify.commands.verify.supervise", _here)
    yield inside
    torch.set_num_threads(threads)


def _here(job: Job, timeout: float, started: float, **how: Any) -> Report:
    return make_report(job, timeout, 0.0, verify(job, Deadline(started + timeout)))


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
