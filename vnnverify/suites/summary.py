# SPDX-License-Identifier: Apache-2.0
"""Counts of a run, by family and in all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from vnnverify.suites.record import Record
from vnnverify.verdict import Verdict

__all__ = ["Summary"]


@dataclass(frozen=True, slots=True)
class Summary:
    """What came out, of how much."""

    instances: int  # that the run is about
    records: tuple[Record, ...]  # finished so far, in the order of the list

    @property
    def wrong(self) -> tuple[Record, ...]:
        """The records that contradict what was expected."""
        return tuple(record for record in self.records if record.contradicts)

    def to_record(self) -> dict[str, Any]:
        """The counts as JSON can hold them."""
        return {
            "instances": self.instances,
            "finished": len(self.records),
            **_counts(self.records),
            "families": {name: _counts(records) for name, records in self._families().items()},
            "contradicts": [[record.family, record.model, record.query] for record in self.wrong],
        }

    def lines(self) -> list[str]:
        """A table of the families, and what is left."""
        rows = [_row(name, records) for name, records in self._families().items()]
        if len(rows) > 1:
            rows.append(_row("all", self.records))
        width = max([6, *(len(row[0]) for row in rows)])
        head = ["family", "done", *(v.value for v in Verdict), "wrong", "seconds"]
        table = [f"{row[0]:<{width}}" + "".join(f"{cell:>9}" for cell in row[1:]) for row in (head, *rows)]
        left = self.instances - len(self.records)
        if left:
            table.append(f"{left} of {self.instances} instances left")
        return table

    def _families(self) -> dict[str, list[Record]]:
        families: dict[str, list[Record]] = {}
        for record in self.records:
            families.setdefault(record.family, []).append(record)
        return families


def _counts(records: Iterable[Record]) -> dict[str, Any]:
    records = list(records)
    verdicts = Counter(record.verdict for record in records)
    return {
        **{verdict.value: verdicts[verdict] for verdict in Verdict},
        "wrong": sum(record.contradicts for record in records),
        "seconds": round(sum(record.seconds for record in records), 3),
    }


def _row(name: str, records: Sequence[Record]) -> list[str]:
    counts = _counts(records)
    return [
        name,
        str(len(records)),
        *(str(counts[verdict.value]) for verdict in Verdict),
        str(counts["wrong"]),
        f"{counts['seconds']:.1f}",
    ]
