# SPDX-License-Identifier: Apache-2.0
"""Whatever becomes of a worker, the pool goes on; here with workers that only pretend."""

from __future__ import annotations

import threading
import time
from typing import Any, ClassVar

import pytest

from vnnverify.errors import BackendError
from vnnverify.process.job import Job
from vnnverify.suites import pool
from vnnverify.suites.answering import Manner, answer
from vnnverify.suites.instances import Instance
from vnnverify.suites.pool import Begun, Done, WorkerLost, work
from vnnverify.suites.schedule import Schedule

INSTANCES = [Instance(i, "f", "/f", f"net{i % 3}", f"p{i}", 5.0) for i in range(12)]


class Pretender:
    """Answers `unsat`; fails on the queries given."""

    stopped = 0
    sunk: ClassVar[list[str]] = []

    def __init__(self, fails: set[str], starts: bool = True) -> None:
        self.fit, self._fails, self._starts = True, fails, starts
        self._end = threading.Event()

    def ready(self, seconds: float) -> str:
        self.fit = self._starts
        return "" if self.fit else "no chair"

    def ask(self, job: Job, seconds: float) -> dict[str, Any]:
        name = job.query.rpartition("/")[2]
        if name in self._fails:
            self.fit = False
            return {"verdict": "error", "reason": "fell off", "cause": "crash"}
        if name == "sinks" or (name == "p5" and "p5" not in Pretender.sunk):
            Pretender.sunk.append(name)
            self.fit = False
            raise WorkerLost("gone")
        if name == "waits":
            self._end.wait(60.0)
        return {"verdict": "unsat", "backend": "faith"}

    def stop(self) -> None:
        self.fit = False
        self._end.set()
        Pretender.stopped += 1


@pytest.fixture(autouse=True)
def nothing_sinks() -> None:
    Pretender.sunk[:] = ["p5"]


def run(
    instances: list[Instance], workers: int, fails: set[str], starts: list[bool] | None = None
) -> tuple[list[Done], list[int]]:
    hired: list[int] = []
    starting = iter(starts or [])

    def hire(number: int) -> Pretender:
        hired.append(number)
        return Pretender(fails, next(starting, True))

    stream = work(Schedule(instances), workers, hire, lambda i, ask, n: answer(i, Manner(), ask, str(n)), 1.0)
    return [event for event in stream if isinstance(event, Done)], hired


@pytest.mark.parametrize("workers", [1, 3, 5])
def test_every_instance_is_answered_once(workers: int) -> None:
    done, hired = run(INSTANCES, workers, set())
    assert sorted(d.instance.index for d in done) == list(range(12))
    assert {d.record.verdict.value for d in done} == {"unsat"}
    assert len(hired) == len(set(hired)) <= workers


def test_failure_costs_its_own_instance_and_its_worker() -> None:
    done, hired = run(INSTANCES, 2, {"p3", "p7"})
    assert {d.instance.query for d in done if d.record.cause == "crash"} == {"p3", "p7"}
    assert len(done) == 12 and 3 <= len(hired) <= 4


def test_start_is_tried_again_then_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "PAUSE", 0.0)
    done, hired = run(INSTANCES, 1, set(), [False, False, True])
    assert (len(done), len(hired)) == (12, 3)
    with pytest.raises(BackendError, match="worker 0 does not start: no chair; go on with --resume"):
        run(INSTANCES, 1, set(), [False] * 3)


def test_instance_of_a_lost_worker_goes_to_another_but_not_for_ever() -> None:
    Pretender.sunk.clear()
    sinks = Instance(12, "f", "/f", "net0", "sinks", 5.0)
    done, _ = run([*INSTANCES, sinks], 2, set())
    assert sorted(d.instance.index for d in done) == list(range(13))
    assert [(d.record.cause, d.record.reason) for d in done if d.instance is sinks] == [("killed", "gone")]
    assert sorted(Pretender.sunk) == ["p5", "sinks", "sinks", "sinks"]


def test_one_place_that_cannot_be_filled_is_left_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "PAUSE", 0.0)
    lock = threading.Lock()

    def hire(number: int) -> Pretender:
        with lock:
            return Pretender(set(), starts=number == 1)

    stream = work(Schedule(INSTANCES), 2, hire, lambda i, ask, n: answer(i, Manner(), ask, str(n)), 1.0)
    assert {event.worker for event in stream if isinstance(event, Done)} == {1}


def test_leaving_early_ends_all_workers_at_once() -> None:
    Pretender.stopped = 0
    waits = [Instance(i, "f", "/f", f"net{i}", "waits", 60.0) for i in range(3)]
    stream = work(
        Schedule(waits), 3, lambda n: Pretender(set()), lambda i, ask, n: answer(i, Manner(), ask, ""), 1.0
    )
    assert all(isinstance(next(stream), Begun) for _ in waits)
    started = time.monotonic()
    stream.close()
    assert time.monotonic() - started < 5.0 and Pretender.stopped >= 3
