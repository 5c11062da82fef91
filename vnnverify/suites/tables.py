# SPDX-License-Identifier: Apache-2.0
"""Runs as tables: a row for each instance of each run, as CSV or Parquet."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

from vnnverify.errors import PluginError
from vnnverify.results.statistics import Statistics
from vnnverify.suites.record import Record
from vnnverify.suites.runs import RecordedRun

__all__ = ["COLUMNS", "csv_table", "parquet_table", "subproblems"]

COLUMNS = {
    "run": "string", "family": "string", "model": "string", "query": "string", "verdict": "string",
    "expected": "string", "seconds": "float64", "timeout": "float64", "backend": "string",
    "guarantee": "string", "subproblems": "int64", "cause": "string", "reason": "string",
}  # fmt: skip
"""Names, and what pyarrow calls their types. An expectation or a limit that is not known is empty."""


def subproblems(record: Record) -> int:
    """How many sub-problems all backends looked at."""
    each = [turn for turns in record.stats.values() if isinstance(turns, list) for turn in turns]
    return sum(Statistics.of(turn).visited for turn in each if isinstance(turn, dict))


def _rows(runs: Iterable[RecordedRun]) -> Iterable[list[Any]]:
    for run in runs:
        for r in run.records:
            yield [
                run.name, r.family, r.model, r.query, r.verdict.value,
                None if r.expected is None else r.expected.value,
                r.seconds, r.timeout if math.isfinite(r.timeout) else None, r.backend, r.guarantee.value,
                subproblems(r), r.cause, r.reason,
            ]  # fmt: skip


def csv_table(runs: Sequence[RecordedRun]) -> str:
    """The table as CSV with a head."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_rows(runs))
    return text.getvalue()


def parquet_table(runs: Sequence[RecordedRun]) -> bytes:
    """The table as a Parquet file.

    Raises:
        PluginError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise PluginError(
            f"{error.name} is not installed; install the extra: pip install 'vnnverify[tables]'"
        ) from error
    columns = list(zip(*_rows(runs), strict=True)) or [()] * len(COLUMNS)
    schema = pyarrow.schema([(name, getattr(pyarrow, kind)()) for name, kind in COLUMNS.items()])
    table = pyarrow.Table.from_arrays(
        [pyarrow.array(values, field.type) for values, field in zip(columns, schema, strict=True)],
        schema=schema,
    )
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out)
    return out.getvalue()
