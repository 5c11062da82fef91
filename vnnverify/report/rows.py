# SPDX-License-Identifier: Apache-2.0
"""What the page knows of each instance: a short row for the table, and details for who opens it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vnnverify.errors import VnnverifyError
from vnnverify.report.pictures import box_of, image_shape, pictures
from vnnverify.results.report import Report, Witness
from vnnverify.results.statistics import TURN
from vnnverify.results.text import explained
from vnnverify.suites.record import Record
from vnnverify.suites.runs import RecordedRun, instance_name, report_of, witness_of
from vnnverify.suites.tables import subproblems
from vnnverify.vnnlib.reading import load_property
from vnnverify.vnnlib.words import in_words

__all__ = ["Gathering", "row"]

PICTURE_BYTES = 8 << 20
"""Bytes that all images of a page may take; witnesses after that are shown as numbers."""
PROPERTY_BYTES = 4 << 20
"""Bytes of properties that are read to tell what they ask; those after that are named only."""
LISTED = 40
"""Inputs and outputs of a witness that are listed."""


def row(record: Record, other: Record | None) -> dict[str, Any]:
    """What the table shows, sorts and searches. Keys are short: there may be thousands of rows."""
    _, model, query = instance_name(record)
    found: dict[str, Any] = {
        "f": record.family,
        "m": model,
        "q": query,
        "v": record.verdict.value,
        "s": round(record.seconds, 3),
        "b": record.backend if record.verdict.decided else "",
        "n": subproblems(record),
    }
    if record.contradicts:
        found["w"] = 1
    if other is not None:
        found["o"] = [other.verdict.value, round(other.seconds, 3)]
        if {record.verdict.value, other.verdict.value} == {"sat", "unsat"}:
            found["d"] = 1
    return found


class Gathering:
    """Collects the details of a run's instances; images are made until they take too much room."""

    def __init__(self, run: RecordedRun) -> None:
        self._run = run
        self._left = PICTURE_BYTES
        self._texts = PROPERTY_BYTES
        self._words: dict[Path, str] = {}

    def details(self, record: Record) -> dict[str, Any]:
        """What is shown of an instance that is opened; empty parts are left out."""
        report = report_of(self._run, record)
        found: dict[str, Any] = {
            "model": record.model,
            "query": record.query,
            "asks": self._asked(Path(record.folder) / record.query),
            "timeout": record.timeout if math.isfinite(record.timeout) else None,
            "expected": None if record.expected is None else record.expected.value,
            "cause": record.cause,
            "reason": record.reason,
            "turns": list(_turns(record.stats)),
            "why": _why(report),
            "file": record.result,
            "finished": record.finished,
            "witness": self._witness(record, report),
        }
        return {key: value for key, value in found.items() if value not in (None, "", [])}

    def _asked(self, path: Path) -> str:
        """What must not happen, in words; empty if the file is not there or too much was read already."""
        if path in self._words:
            return self._words[path]
        found = path if path.is_file() else path.with_name(f"{path.name}.gz")
        words = ""
        if found.is_file() and found.stat().st_size <= self._texts:
            self._texts -= found.stat().st_size
            with contextlib.suppress(VnnverifyError):
                words = in_words(load_property(found))
        self._words[path] = words
        return words

    def _witness(self, record: Record, report: Report | None) -> dict[str, Any] | None:
        if record.verdict.value != "sat":
            return None
        witness = witness_of(self._run, record)
        if witness is None:
            return None
        layout = {} if report is None else report.layout
        box = box_of(Path(record.folder) / record.query, witness.x)
        found = _numbers(witness, box)
        shape = image_shape(layout, len(witness.x))
        if shape is not None and self._left > 0:
            center = None if box is None else ((box[0] + box[1]) / 2).tolist()
            found["image"] = pictures(witness.x, center, shape)
            self._left -= sum(len(part) for part in found["image"].values() if isinstance(part, str))
        return found


def _numbers(witness: Witness, box: Any) -> dict[str, Any]:
    """The first inputs, each with its interval, and the first outputs."""
    lower, upper = (None, None) if box is None else (box[0].tolist(), box[1].tolist())
    inputs = [
        [value] if lower is None or upper is None else [value, lower[k], upper[k]]
        for k, value in enumerate(witness.x[:LISTED])
    ]
    return {"x": inputs, "nx": len(witness.x), "y": list(witness.y[:LISTED]), "ny": len(witness.y)}


def _why(report: Report | None) -> list[tuple[str, str]]:
    return [] if report is None or report.explanation is None else list(explained(report.explanation))


def _turns(stats: Mapping[str, Any]) -> Iterator[list[Any]]:
    """Backend, verdict, seconds, open clauses, and what it said or counted, of every turn."""
    for name, value in stats.items():
        for turn in value if isinstance(value, list) else []:
            if isinstance(turn, dict):
                counters = ", ".join(f"{k} {_short(v)}" for k, v in turn.items() if k not in TURN)
                said = "; ".join(part for part in (str(turn.get("reason") or ""), counters) if part)
                yield [name, turn.get("verdict", ""), turn.get("seconds"), turn.get("open_clauses"), said]


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
