# SPDX-License-Identifier: Apache-2.0
"""One instance, one or two questions to a worker, one record."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vnnverify.errors import VnnverifyError
from vnnverify.process.job import Job
from vnnverify.process.supervisor import make_report
from vnnverify.results import Report
from vnnverify.suites.header import now
from vnnverify.suites.instances import Instance
from vnnverify.suites.journal import result_name
from vnnverify.suites.record import Record
from vnnverify.verdict import Verdict

__all__ = ["Ask", "Manner", "answer", "answer_of_none"]

INLINE = 256
"""Most numbers of a witness that the journal's line holds; the result file has any."""

Ask = Callable[[Job], dict[str, Any]]
"""Gives a job to a worker and waits for what it says, `WorkerProcess.ask`."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How all instances of a run are asked about."""

    backends: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    device: str = "auto"
    dtype: str = "float32"
    seed: int = 0
    without: tuple[str, ...] = ()  # backends that are not to be tried
    sides: tuple[str, ...] = ()  # backends that have to agree; empty: no cross-check

    def job(self, instance: Instance, *backends: str) -> Job:
        """The question about an instance, to these backends if any are named.

        Raises:
            SpecError: the instance's list of networks is none.
        """
        return Job(
            model=instance.networks,
            query=instance.query_path,
            seconds=instance.timeout,
            backends=backends or self.backends,
            options=self.options,
            device=self.device,
            dtype=self.dtype,
            seed=self.seed,
            without=self.without,
            explain=True,
            workers=0,
        )


def answer(instance: Instance, manner: Manner, ask: Ask, worker: str) -> tuple[Record, Report | None]:
    """Ask about an instance. The record is there in any case; a report is not if the input is bad."""
    begun = now()
    sides: Sequence[str] = manner.sides or ("",)
    found = [_ask_once(instance, manner, ask, side) for side in sides]
    record, report = found[0] if len(found) == 1 else _agreed(list(zip(sides, found, strict=True)))
    return dataclasses.replace(record, worker=worker, started=begun, finished=now()), report


def answer_of_none(instance: Instance, reason: str) -> Record:
    """The record of an instance that brings down whatever works on it."""
    return _record(instance, Verdict.ERROR, 0.0, reason=reason, cause="killed", finished=now())


def _ask_once(instance: Instance, manner: Manner, ask: Ask, side: str) -> tuple[Record, Report | None]:
    started = time.monotonic()
    said: dict[str, Any] = {}
    try:
        job = manner.job(instance, *([side] if side else []))
        said = ask(job)
        seconds = time.monotonic() - started
        report = make_report(job, instance.timeout, seconds, said)
    except (VnnverifyError, ValueError) as error:
        cause = "input" if isinstance(error, VnnverifyError) else "backend"
        seconds = time.monotonic() - started
        return _record(instance, Verdict.ERROR, seconds, reason=str(error), cause=cause), None
    witness = report.witness
    small = witness is not None and len(witness.x) + len(witness.y) <= INLINE
    record = _record(
        instance,
        report.verdict,
        seconds,
        reason=report.reason,
        backend=report.backend,
        guarantee=report.guarantee,
        witness=witness if small else None,
        cause=said.get("cause", ""),
        stats=report.stats,
        sha256=report.sha256,
        versions=report.versions,
        result=result_name(instance.index, instance.family, instance.model, instance.query),
    )
    return record, report


def _record(instance: Instance, verdict: Verdict, seconds: float, **more: Any) -> Record:
    return Record(
        index=instance.index,
        family=instance.family,
        folder=instance.folder,
        model=instance.model,
        query=instance.query,
        timeout=instance.timeout,
        expected=instance.expected,
        verdict=verdict,
        seconds=seconds,
        **more,
    )


def _agreed(found: list[tuple[str, tuple[Record, Report | None]]]) -> tuple[Record, Report | None]:
    """The common verdict; `unknown` if the sides differ, or one of them has none."""
    checks = tuple(_check(side, record) for side, (record, _) in found)
    record, report = found[0][1]
    seconds = sum(each.seconds for _, (each, _) in found)
    verdicts = [each.verdict for _, (each, _) in found]
    if record.verdict.decided and len(set(verdicts)) == 1:
        stats = {name: turns for _, (each, _) in found for name, turns in each.stats.items()}
        agreed = dataclasses.replace(
            record, seconds=seconds, stats=stats, checks=checks, backend=",".join(side for side, _ in found)
        )
        return agreed, None if report is None else dataclasses.replace(report, seconds=seconds)
    both = {verdict for verdict in verdicts if verdict.decided}
    told = ", ".join(f"{side}: {each.verdict.value}" for side, (each, _) in found)
    reason = f"CONTRADICTION: {told}" if len(both) > 1 else f"withheld: {told}"
    withheld = dataclasses.replace(
        record, verdict=Verdict.UNKNOWN, reason=reason, seconds=seconds, backend="", witness=None, cause="",
        stats={}, checks=checks,
    )  # fmt: skip
    if report is None:
        return withheld, None
    return withheld, dataclasses.replace(
        report, verdict=Verdict.UNKNOWN, reason=reason, seconds=seconds, backend="", witness=None, stats={}
    )


def _check(side: str, record: Record) -> dict[str, Any]:
    """All that one side said, as the journal holds it."""
    said = json.loads(record.to_json())
    kept = ("verdict", "seconds", "reason", "guarantee", "witness", "cause", "stats")
    return {"backend": side, **{key: said[key] for key in kept}}
