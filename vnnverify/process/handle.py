# SPDX-License-Identifier: Apache-2.0
"""A worker process that is spoken to in lines: a job goes in, its answer comes out, whatever the worker does.

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
from types import TracebackType
from typing import IO, Any

from vnnverify.process.ending import ending, kills_for_memory
from vnnverify.process.job import Job

__all__ = ["GRACE", "WorkerProcess"]

GRACE = 1.0
"""Seconds past the limit after which a worker that has not answered is told to stop."""
KILL_AFTER = 0.25
"""Seconds between being told to stop and being killed."""
EXPLAINS_WITHIN = 1.5
"""Seconds that an explanation is waited for after its verdict, and no longer than GRACE past the limit."""
DIES_WITHIN = 0.5
"""Seconds a killed worker is waited for; one that the system is slow to end keeps no verdict waiting."""
LOOKS_EVERY = 0.05
"""Seconds between two looks at a worker's memory if it is limited, and at whether a job is cancelled."""


class _TooLate(Exception):
    """Nothing was said in time."""


class _TooLarge(Exception):
    """The worker passed its limit of memory."""


_ENVIRONMENT = {
    # threads that spin starve a busy machine, those that sleep at once wake late on an idle one; GNU's spin
    # for microseconds: small products on 2 cores are 1.4 times as fast idle, the same busy
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "300",
    # glibc: keep up to 1 GiB of freed tensors instead of asking the system for zeroed pages each time
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
}
"""Environment of a worker, where the user's says nothing else."""


class WorkerProcess:
    """A process in a group of its own that decides one job after another.

    It ends itself when this process does, however that ends.

    Args:
        threads: that it may compute on; 0: as many as there are cores.
        memory: bytes that it and its children may use; 0 sets no limit.
        warm: import everything before the first job, whose clock then does not pay for it; it says so when
            it is `ready`.
        member: stay in this process's group, whose end is its end too, instead of making one of its own.
        stderr: where it writes what it has to say; None: where this process does.
    """

    def __init__(
        self,
        *,
        threads: int = 0,
        memory: int = 0,
        warm: bool = False,
        member: bool = False,
        stderr: IO[bytes] | None = None,
    ) -> None:
        settings = [f"--threads={threads}", f"--memory={memory}", *(["--warm"] if warm else [])]
        self.fit = True
        """Whether it may be given another job: it answered the last one and is as it was before."""
        self._memory = memory
        self._leads = not member and hasattr(os, "killpg")
        self._number = 0
        self._memory_kills = kills_for_memory()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vnnverify.process.worker", "--tied", *settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=not member,
            env={**_ENVIRONMENT, **os.environ},
        )
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The number of the process, and of its group if it has its own."""
        return self._process.pid

    def ready(self, seconds: float) -> str:
        """Wait until a `warm` worker can begin.

        Returns:
            What keeps it from that; empty if nothing does.
        """
        try:
            line = self._line(time.monotonic() + seconds)
        except _TooLate:
            self.fit = False
            return f"it was not ready after {seconds:g} s"
        except _TooLarge:
            self.fit = False
            return "importing what is needed takes more than the limit of memory"
        record = self._parse(line, None)
        self.fit = bool(record.get("ready"))
        return "" if self.fit else str(record.get("reason"))

    def ask(
        self,
        job: Job,
        seconds: float,
        told: Callable[[dict[str, Any]], None] = lambda record: None,
        cancelled: threading.Event | None = None,
    ) -> dict[str, Any]:
        """Hand over a job and wait for its answer, and shortly for its explanation if one is to follow.

        The pipe's end is not waited for: a process that a backend left behind may hold it open.

        Args:
            seconds: to wait at most.
            told: called in this thread with what the worker tells in between, if the job asks for that.
            cancelled: set by another thread to end the waiting.

        Returns:
            What the worker said, or that it failed and why: `verdict`, `reason`, `cause`.

        Raises:
            CancelledError: `cancelled` was set.
        """
        latest = time.monotonic() + seconds
        self._number += 1
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(
                dataclasses.replace(job, number=self._number).to_json().encode() + b"\n"
            )
            self._process.stdin.flush()
        try:
            while "progress" in (record := self._parse(self._line(latest, cancelled), self._number)):
                told(record["progress"])
            self.fit = self.fit and not record.get("spent", False)
            if record.get("explained"):
                record["explanation"] = self._explanation(latest)
            return record
        except _TooLate:
            self.fit = False
            return {"verdict": "timeout", "reason": "stopped at the time limit", "cause": "hang"}
        except _TooLarge:
            self.fit = False
            limit = f"the limit of {self._memory / 2**30:.3g} GiB"
            return {"verdict": "error", "reason": f"stopped: memory passed {limit}", "cause": "memory"}

    def stop(self) -> None:
        """End what is left of the worker's process group, politely first; of a member the process alone."""
        self.fit = False
        kill = getattr(signal, "SIGKILL", signal.SIGTERM)
        for number, patience in ((signal.SIGTERM, KILL_AFTER), (kill, DIES_WITHIN)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if self._leads:
                    os.killpg(self.pid, number)
                else:
                    self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        if self._process.returncode is not None:
            self._reader.join(DIES_WITHIN)

    def _read(self) -> None:
        """Every line; an empty one stands for the pipe's end."""
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            for line in stdout:
                self._lines.put(line)
        self._lines.put(b"")

    def _line(self, latest: float, cancelled: threading.Event | None = None) -> bytes:
        """The next line, waited for until `latest` (`time.monotonic`); empty if the worker has ended."""
        longest = LOOKS_EVERY if self._memory or cancelled is not None else threading.TIMEOUT_MAX
        while True:
            if cancelled is not None and cancelled.is_set():
                self.fit = False
                raise CancelledError
            left = max(0.0, latest - time.monotonic())
            try:
                return self._lines.get(timeout=min(left, longest))
            except queue.Empty:
                if left <= longest:
                    raise _TooLate from None
                if self._memory and _resident(self.pid) > self._memory:
                    raise _TooLarge from None

    def _parse(self, line: bytes, number: int | None) -> dict[str, Any]:
        """What a line says, if it is about job `number`; else that there is no answer, and why."""
        with contextlib.suppress(ValueError):
            record = json.loads(line.decode())
            if isinstance(record, dict) and record.get("number") == number:
                return record
        self.fit = False
        if not line:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE)
        cause, why = ending(self._process.returncode, self._memory_kills, kills_for_memory())
        reason = f"the worker process ended without an answer ({why})"
        return {"verdict": "error", "reason": reason, "cause": cause}

    def _explanation(self, latest: float) -> Any:
        """What the second line holds; None if it has come to nothing, after which the worker is not fit."""
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, _TooLate, _TooLarge):
            line = self._line(min(latest, time.monotonic() + EXPLAINS_WITHIN))
            record = json.loads(line.decode())
            self.fit = self.fit and not record.get("spent", False)
            return record["explanation"]
        self.fit = False
        return None


def _resident(pid: int) -> int:
    """Bytes of memory that a process and its children hold; 0 if it has ended."""
    import psutil

    total = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        total = process.memory_info().rss
        for child in process.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                total += child.memory_info().rss
    return total
