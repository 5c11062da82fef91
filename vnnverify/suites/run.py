# SPDX-License-Identifier: Apache-2.0
"""A run from its first instance to its table, begun or taken up again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from vnnverify.errors import OptionError
from vnnverify.process.handle import WorkerProcess
from vnnverify.results import Report, write_file
from vnnverify.suites.answering import Ask, Manner, answer
from vnnverify.suites.header import Header
from vnnverify.suites.instances import Instance
from vnnverify.suites.journal import Journal
from vnnverify.suites.pool import Begun, Worker, work
from vnnverify.suites.progress import Watcher
from vnnverify.suites.record import Record
from vnnverify.suites.schedule import Schedule
from vnnverify.suites.summary import Summary
from vnnverify.suites.vnncomp_table import TABLE, results_table

__all__ = ["LOG", "READY_WITHIN", "local_workers", "run"]

LOG = "workers.log"
READY_WITHIN = 300.0
"""Seconds that a worker may take to import everything, on a machine that is busy."""


def run(
    instances: Sequence[Instance],
    manner: Manner,
    folder: str | Path,
    header: Header,
    hire: Callable[[int], Worker],
    *,
    workers: int = 1,
    place: str = "local",
    resume: bool = False,
    watch: Callable[[int, list[Record]], Watcher] | None = None,
) -> Summary:
    """Answer the instances that the run in `folder` has not answered yet.

    The table is written when all are answered, and also when the run is interrupted.

    Args:
        hire: starts a worker; see `pool.work`.
        workers: how many work at a time.
        place: where they are, for the record.
        watch: makes who hears what happens, from the number of instances and what is already done.

    Raises:
        FileError: the folder is in use, or cannot be written.
        OptionError: the run there was started otherwise.
        BackendError: workers do not start.
    """

    def answered(instance: Instance, ask: Ask, worker: int) -> tuple[Record, Report | None]:
        return answer(instance, manner, ask, f"{place}-{worker}")

    with Journal(folder, header, resume=resume) as journal:
        left = _left(instances, journal.done, str(folder))
        watcher = None if watch is None else watch(len(instances), list(journal.done.values()))
        stream = work(Schedule(left), min(workers, len(left)), hire, answered, READY_WITHIN)
        try:
            with closing(stream):
                for event in stream:
                    if isinstance(event, Begun):
                        if watcher is not None:
                            watcher.begun(event.worker, event.instance)
                        continue
                    journal.add(event.record, event.report)
                    if watcher is not None:
                        watcher.done(event.worker, event.record)
        finally:
            if watcher is not None:
                watcher.close()
            records = tuple(journal.done[index] for index in sorted(journal.done))
            write_file(str(Path(folder) / TABLE), results_table(records))
    return Summary(len(instances), records)


def local_workers(folder: str | Path, *, threads: int, memory: int = 0) -> Callable[[int], Worker]:
    """Workers on this machine; what they have to say goes into the run's log."""

    def hire(number: int) -> Worker:
        with (Path(folder) / LOG).open("ab") as log:
            return WorkerProcess(threads=threads, memory=memory, warm=True, stderr=log)

    return hire


def _left(instances: Sequence[Instance], done: dict[int, Record], folder: str) -> list[Instance]:
    """The instances without a record.

    Raises:
        OptionError: a record is about another instance than the list now has there.
    """
    named = {i.index: (i.index, i.family, i.model, i.query) for i in instances}
    for index, record in done.items():
        if named.get(index) != record.key:
            raise OptionError(
                f"{folder}: instance {index} was {record.model} {record.query}; the list has changed since"
            )
    return [instance for instance in instances if instance.index not in done]
