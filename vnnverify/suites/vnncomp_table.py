# SPDX-License-Identifier: Apache-2.0
"""VNN-COMP's table of results, written: category, onnx, vnnlib, prepare, result, run; no head."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from vnnverify.suites.record import Record

__all__ = ["TABLE", "results_table"]

TABLE = "results.csv"


def results_table(records: Iterable[Record]) -> str:
    """The table's text. There is no preparation, so that it takes no time."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for r in records:
        writer.writerow(
            [r.family, _dotted(r.model), _dotted(r.query), "0.0", r.verdict.value, f"{r.seconds:.4f}"]
        )
    return text.getvalue()


def _dotted(path: str) -> str:
    return path if path.startswith(("[", "/")) else f"./{path}"
