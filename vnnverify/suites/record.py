# SPDX-License-Identifier: Apache-2.0
"""What is written down about one finished instance: one line of the journal."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vnnverify.errors import SpecError
from vnnverify.results.report import Witness
from vnnverify.verdict import Guarantee, Verdict

__all__ = ["SCHEMA", "Record"]

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Record:
    """One instance, the answer to it, and how that came about.

    Raises:
        ValueError: `unsat` on a statistical guarantee, or a witness without `sat`.
    """

    # what was asked
    index: int  # place in the whole list, before any selection; 0 is the first
    family: str
    folder: str  # the folder that the paths below are relative to
    model: str  # as listed: a path, or the list literal of several networks
    query: str  # as listed
    timeout: float  # seconds allowed; infinity if there was no limit
    expected: Verdict | None  # what others found; None: not known

    # the answer
    verdict: Verdict
    seconds: float  # wall time from handing the instance to a worker to its answer
    reason: str = ""
    backend: str = ""  # that decided it
    guarantee: Guarantee = Guarantee.REAL
    witness: Witness | None = None  # if `sat` and small; the result file has it always
    cause: str = ""  # of an error or an overrun: input, crash, killed, memory, exit, backend, hang
    stats: Mapping[str, Any] = field(default_factory=dict)  # turns of each backend: `results.statistics`
    checks: tuple[Mapping[str, Any], ...] = ()  # with --cross-check: what each side said

    # where and when
    result: str = ""  # path of the result file, relative to the run's folder
    worker: str = ""
    started: str = ""  # UTC, ISO 8601
    finished: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)  # of the uncompressed model and property
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.witness is not None and self.verdict is not Verdict.SAT:
            raise ValueError("a witness belongs to the verdict sat")
        if self.verdict is Verdict.UNSAT and self.guarantee is Guarantee.STATISTICAL:
            raise ValueError("a statistical guarantee is no proof of unsat")

    @property
    def key(self) -> tuple[int, str, str, str]:
        """What tells instances apart; the same in every run over the same list."""
        return self.index, self.family, self.model, self.query

    @property
    def contradicts(self) -> bool:
        """Whether it decides the instance, and otherwise than expected."""
        known = self.expected is not None and self.expected.decided
        return known and self.verdict.decided and self.verdict is not self.expected

    def to_json(self) -> str:
        """The record as one line, without its end."""
        record = {"schema": SCHEMA, **{f.name: getattr(self, f.name) for f in dataclasses.fields(self)}}
        witness = self.witness
        record |= {
            "timeout": self.timeout if math.isfinite(self.timeout) else None,
            "expected": None if self.expected is None else self.expected.value,
            "verdict": self.verdict.value,
            "seconds": round(self.seconds, 4),
            "guarantee": self.guarantee.value,
            "witness": None if witness is None else witness.to_record(),
            "stats": dict(self.stats),
            "checks": [dict(check) for check in self.checks],
            "sha256": dict(self.sha256),
            "versions": dict(self.versions),
        }
        return json.dumps(record)

    @classmethod
    def from_json(cls, line: str, source: str = "") -> Record:
        """The record that `to_json` wrote; of fields that a later version added nothing is kept.

        Raises:
            SpecError: not a line of a journal, or of another schema.
        """
        try:
            given = json.loads(line)
            if given["schema"] != SCHEMA:
                raise SpecError(
                    f"journal schema {given['schema']}, this vnnverify reads {SCHEMA}", source=source
                )
            record = {f.name: given[f.name] for f in dataclasses.fields(cls) if f.name in given}
            expected, witness = record["expected"], record.get("witness")
            record |= {
                "timeout": math.inf if record["timeout"] is None else float(record["timeout"]),
                "expected": None if expected is None else Verdict(expected),
                "verdict": Verdict(record["verdict"]),
                "guarantee": Guarantee(record["guarantee"]),
                "witness": None if witness is None else Witness.from_record(witness),
                "checks": tuple(record.get("checks", ())),
            }
            return cls(**record)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise SpecError(f"not a line of a journal ({error})", source=source) from None
