# SPDX-License-Identifier: Apache-2.0
"""One JSON object per line, with everything that is known about the run."""

from __future__ import annotations

import json
import math
from typing import Any

from vnnverify.errors import SpecError
from vnnverify.results.explanation import Explanation
from vnnverify.results.report import Report, Witness
from vnnverify.verdict import Guarantee, Verdict

__all__ = ["SCHEMA", "JsonWriter", "read_report"]

SCHEMA = 1


class JsonWriter:
    """A line that `read_report` turns back into the same report."""

    name = "json"

    def write(self, report: Report) -> str:
        """The line, with its newline."""
        witness = report.witness
        record: dict[str, Any] = {
            "schema": SCHEMA,
            "verdict": report.verdict.value,
            "model": report.model,
            "query": report.query,
            "reason": report.reason,
            "guarantee": report.guarantee.value,
            "backend": report.backend,
            "seconds": round(report.seconds, 4),
            "timeout": report.timeout if math.isfinite(report.timeout) else None,
            "witness": None if witness is None else witness.to_record(),
            "stats": dict(report.stats),
            "sha256": dict(report.sha256),
            "versions": dict(report.versions),
            "layout": dict(report.layout),
            "explanation": None if report.explanation is None else report.explanation.to_record(),
        }
        if report.certificate is not None:
            record["certificate"] = report.certificate
        return json.dumps(record, default=str) + "\n"


def read_report(line: str, source: str = "") -> Report:
    """The report of one line.

    Raises:
        SpecError: not a result line, or of another schema.
    """
    try:
        record = json.loads(line)
        if record["schema"] != SCHEMA:
            raise SpecError(f"result schema {record['schema']}, this vnnverify reads {SCHEMA}", source=source)
        witness = record["witness"]
        explanation = record.get("explanation")
        return Report(
            model=record["model"],
            query=record["query"],
            verdict=Verdict(record["verdict"]),
            reason=record["reason"],
            witness=None if witness is None else Witness.from_record(witness),
            guarantee=Guarantee(record["guarantee"]),
            backend=record["backend"],
            seconds=record["seconds"],
            timeout=math.inf if record["timeout"] is None else float(record["timeout"]),
            stats=record["stats"],
            sha256=record["sha256"],
            versions=record["versions"],
            layout=record.get("layout", {}),
            explanation=None if explanation is None else Explanation.from_record(explanation),
            certificate=record.get("certificate"),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SpecError(f"not a vnnverify result line ({error})", source=source) from None
