# SPDX-License-Identifier: Apache-2.0
"""A team of worker processes on this machine."""

from __future__ import annotations

import dataclasses
import logging
import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch

from vnnverify.process.handle import GRACE, WorkerProcess
from vnnverify.process.job import Job
from vnnverify.sharing.parcel import Parcel
from vnnverify.sharing.team import Returned, Team

__all__ = ["Workers"]

logger = logging.getLogger(__name__)

ALONE = 1.0
"""Seconds before others are called: most queries are decided by then, and starting takes thrice as long."""
READY_WITHIN = 120.0
"""Seconds that a worker may take to import what it needs."""


class Workers:
    """Processes that take parcels, each on threads of its own. They start when somebody first asks for them
    and a query has been worked on for a while, and end with the `with` block.

    While parcels are out, this process computes on as few threads as each of them.

    Args:
        job: what this process works on.
        count: of the processes, this one not counted.
        threads: that all may compute on together.
        alone: seconds before others are called.
    """

    def __init__(self, job: Job, count: int, threads: int, *, alone: float = ALONE) -> None:
        self._job = dataclasses.replace(job, workers=1, explain=False, progress=False, verbosity=0)
        self._count = count
        self._all_threads, self._threads = threads, max(1, threads // (count + 1))
        self._call_at = time.monotonic() + alone
        self._members: list[_Member] = []
        self._returned: queue.SimpleQueue[Returned] = queue.SimpleQueue()
        self._given = 0
        self._out: set[int] = set()

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self._members:
            member.stop()
        if self._members:
            torch.set_num_threads(self._all_threads)

    def turn(self, backend: str) -> Team:
        """The team during this backend's turn."""
        return _Turn(self, backend)

    def idle(self) -> int:
        """How many wait for a parcel; none before the first has started, which takes some seconds."""
        if not self._members and time.monotonic() >= self._call_at:
            self._members = [_Member(self._threads, self._returned.put) for _ in range(self._count)]
        return sum(member.idle for member in self._members)

    def give(self, parcel: Parcel, seconds: float, backend: str) -> int:
        """Hand a parcel to an idle worker."""
        self._given += 1
        job = dataclasses.replace(
            self._job, turn=backend, parcel=parcel.to_text(), seconds=seconds, number=self._given
        )
        next(member for member in self._members if member.idle).give(job)
        self._out.add(self._given)
        torch.set_num_threads(self._threads)
        return self._given

    def take(self, wait: float) -> Returned | None:
        """A parcel that has come back, waited for so many seconds; None if there is none by then."""
        try:
            found = (
                self._returned.get(timeout=min(wait, threading.TIMEOUT_MAX))
                if wait > 0
                else self._returned.get_nowait()
            )
        except queue.Empty:
            return None
        self._out.discard(found.number)
        if not self._out:
            torch.set_num_threads(self._all_threads)
        return found


class _Turn:
    """The team during one backend's turn: what comes back of the turns before is nobody's any more."""

    def __init__(self, workers: Workers, backend: str) -> None:
        self._workers = workers
        self._backend = backend
        self._mine: set[int] = set()

    def idle(self) -> int:
        """How many workers have nothing to do."""
        return self._workers.idle()

    def give(self, parcel: Parcel, seconds: float) -> int:
        """Send a parcel to an idle worker, for so many seconds; the number that its answer will have."""
        number = self._workers.give(parcel, seconds, self._backend)
        self._mine.add(number)
        return number

    def take(self, wait: float) -> list[Returned]:
        """The answers to this search's own parcels; the first is waited for, so many seconds at most."""
        found: list[Returned] = []
        latest = time.monotonic() + wait
        while True:
            one = self._workers.take(0.0 if found else max(0.0, latest - time.monotonic()))
            if one is None:
                return found
            if one.number in self._mine:
                found.append(one)


class _Member:
    """One process and the thread that waits for it."""

    def __init__(self, threads: int, returned: Callable[[Returned], None]) -> None:
        self._returned = returned
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._process = WorkerProcess(threads=threads, warm=True, member=True)
        self.idle = False
        self._stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def give(self, job: Job) -> None:
        """Have the parcel of this job worked on."""
        self.idle = False
        self._jobs.put(job)

    def stop(self) -> None:
        """End the process, whatever it does."""
        self.idle = False
        self._stopped = True
        self._jobs.put(None)
        self._process.stop()
        self._thread.join()

    def _run(self) -> None:
        why = self._process.ready(READY_WITHIN)
        self.idle = not why
        while not why:
            job = self._jobs.get()
            if job is None:
                return
            record = self._process.ask(job, job.seconds + GRACE)
            if self._process.fit:
                self.idle = True
                self._returned(_read(job.number, record))
            else:
                why = str(record.get("reason", record.get("input_error", "")))
                self._returned(Returned(job.number, None))
        if not self._stopped:
            logger.info("a worker is gone: %s", why)


def _read(number: int, record: dict[str, Any]) -> Returned:
    if "left" not in record:
        logger.info("a worker failed: %s", record.get("reason", record.get("input_error", "")))
        return Returned(number, None)
    witness = record["witness"]
    return Returned(
        number,
        Parcel.from_text(record["left"]),
        None if witness is None else torch.tensor(witness, dtype=torch.float64),
        record["stats"],
    )
