# SPDX-License-Identifier: Apache-2.0
"""A pool of workers, each spoken to by a thread of its own. What happens comes out in one stream."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol

from vnnverify.errors import BackendError
from vnnverify.process.handle import GRACE
from vnnverify.process.job import Job
from vnnverify.results import Report
from vnnverify.suites.answering import Ask, answer_of_none
from vnnverify.suites.instances import Instance
from vnnverify.suites.record import Record
from vnnverify.suites.schedule import Schedule

__all__ = ["Begun", "Done", "Worker", "WorkerLost", "work"]

logger = logging.getLogger(__name__)

TRIES = 3
"""So many times in a row starting a worker may fail before the run gives up."""
PAUSE = 1.0
"""Seconds before the next try."""


class WorkerLost(Exception):
    """A worker is gone for no reason of its own, as when its machine is; somebody else may take its job."""


class Worker(Protocol):
    """A process that answers jobs, here or elsewhere: what the pool needs of `WorkerProcess`."""

    @property
    def fit(self) -> bool:
        """Whether it may be given a job."""
        ...

    def ready(self, seconds: float) -> str:
        """Wait until it can begin; what keeps it from that, if anything."""
        ...

    def ask(self, job: Job, seconds: float) -> dict[str, Any]:
        """What it says about a job, or what became of it, within so many seconds.

        Raises:
            WorkerLost: nothing is known.
        """
        ...

    def stop(self) -> None:
        """End it and all that it has started. May be called by any thread, also more than once."""
        ...


@dataclass(frozen=True, slots=True)
class Begun:
    """A worker took an instance."""

    worker: int
    instance: Instance


@dataclass(frozen=True, slots=True)
class Done:
    """An instance is answered."""

    worker: int
    instance: Instance
    record: Record
    report: Report | None


Answer = Callable[[Instance, Ask, int], tuple[Record, Report | None]]


def work(
    schedule: Schedule, workers: int, hire: Callable[[int], Worker], answer: Answer, ready_within: float
) -> Generator[Begun | Done, None, None]:
    """Have all instances of the schedule answered.

    When the iteration ends, also early, all workers have ended.

    Args:
        workers: how many work at a time.
        hire: starts the worker with this number, from 0, without waiting for it.
        answer: asks the worker with this number about an instance.
        ready_within: seconds that a worker may take to start.

    Raises:
        BackendError: workers do not start.
    """
    events: queue.SimpleQueue[Begun | Done | BaseException] = queue.SimpleQueue()
    seats = [_Seat(number, hire, ready_within) for number in range(workers)]

    def run(seat: _Seat) -> None:
        """Work on instances from one seat until there are no more."""
        try:
            seat.prepare()
            while (instance := schedule.next(seat.number)) is not None and not seat.closed:
                events.put(Begun(seat.number, instance))
                try:
                    record, report = answer(instance, seat.ask, seat.number)
                except (WorkerLost, BackendError) as error:
                    if not schedule.back(instance):
                        events.put(Done(seat.number, instance, answer_of_none(instance, str(error)), None))
                    if isinstance(error, BackendError):
                        raise
                else:
                    events.put(Done(seat.number, instance, record, report))
                seat.prepare()
        except BaseException as error:  # passed on to the one who iterates
            events.put(error)

    for seat in seats:
        threading.Thread(target=run, args=(seat,), daemon=True).start()
    try:
        left, running = schedule.size, workers
        while left:
            event = events.get()
            if isinstance(event, BaseException):
                running -= 1
                if not running or not isinstance(event, BackendError):
                    raise event
                logger.warning("%s; the others go on", event)
                continue
            left -= isinstance(event, Done)
            yield event
    finally:
        schedule.close()
        _close(seats)


class _Seat:
    """A place in the pool: its worker, and the next one when that is no longer fit."""

    def __init__(self, number: int, hire: Callable[[int], Worker], ready_within: float) -> None:
        self.number = number
        self._closed = threading.Event()
        self._hire = hire
        self._ready_within = ready_within
        self._worker: Worker | None = None
        self._lock = threading.Lock()  # a worker is never started once the seat is closed

    @property
    def closed(self) -> bool:
        """Whether the run is ended; nothing that is answered now counts."""
        return self._closed.is_set()

    def prepare(self) -> None:
        """See to it that there is a worker that can begin.

        Raises:
            BackendError: it does not start.
        """
        self.tidy()
        why = ""
        for attempt in range(TRIES):
            if self._worker is not None or self._closed.is_set():
                return
            time.sleep(PAUSE * attempt)
            with self._lock:
                if self._closed.is_set():
                    return
                self._worker = worker = self._hire(self.number)
            why = worker.ready(self._ready_within)
            self.tidy()
        if self._worker is None and not self._closed.is_set():
            raise BackendError(f"worker {self.number} does not start: {why}; go on with --resume")

    def ask(self, job: Job) -> dict[str, Any]:
        """Ask the worker, a new one if the last question was too much for it."""
        self.prepare()
        worker = self._worker
        if worker is None:
            return {"verdict": "error", "reason": "the run was ended", "cause": "killed"}
        return worker.ask(job, job.seconds + GRACE)

    def tidy(self) -> None:
        """End a worker that is not fit any more."""
        worker = self._worker
        if worker is not None and not worker.fit:
            worker.stop()
            self._worker = None

    def close(self) -> None:
        with self._lock:
            self._closed.set()
        worker = self._worker
        if worker is not None:
            worker.stop()


def _close(seats: list[_Seat]) -> None:
    """End all workers at once, however long each takes."""
    threads = [threading.Thread(target=seat.close) for seat in seats]
    for thread in threads:
        thread.start()
    for thread in threads:
        with contextlib.suppress(RuntimeError):
            thread.join()
