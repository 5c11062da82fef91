# SPDX-License-Identifier: Apache-2.0
"""Verdicts known beforehand, from CSV files with a head or from VNN-COMP's tables of results."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from vnnverify.errors import SpecError
from vnnverify.suites.instances import read_csv
from vnnverify.verdict import Verdict

__all__ = ["Expected", "expected_beside", "read_expected"]

Expected = dict[tuple[str, str, str], Verdict]
"""By family (may be empty), model and query."""

_COLUMNS = {
    "family": ("family", "category"),
    "model": ("onnx", "model"),
    "query": ("vnnlib", "query", "property"),
    "verdict": ("expected", "verdict", "result"),
}
_TABLE = {"family": 0, "model": 1, "query": 2, "verdict": 4}
"""The columns of VNN-COMP's results.csv: category, onnx, vnnlib, prepare, result, run."""
_WORDS = {"holds": "unsat", "violated": "sat"}


def expected_beside(lists: Iterable[Path]) -> Expected:
    """What the files expected.csv beside the lists say, where there are any.

    Raises:
        FileError, SpecError: one cannot be read.
    """
    found: Expected = {}
    for path in lists:
        beside = path.with_name("expected.csv")
        if beside.is_file():
            found.update(read_expected(beside))
    return found


def read_expected(path: Path) -> Expected:
    """The decided verdicts of a file: with a head that names at least onnx, vnnlib and expected, or six
    columns as VNN-COMP's results.csv has them.

    Raises:
        FileError: it cannot be read.
        SpecError: it has other columns.
    """
    rows = [row for row in read_csv(path) if row]
    if not rows:
        return {}
    head = [cell.lower() for cell in rows[0]]
    columns = {
        what: next((head.index(name) for name in names if name in head), None)
        for what, names in _COLUMNS.items()
    }
    if all(columns[what] is not None for what in ("model", "query", "verdict")):
        rows = rows[1:]
    elif len(rows[0]) == 6:
        columns = dict(_TABLE)
    else:
        raise SpecError("expected a head onnx,vnnlib,expected or VNN-COMP's six columns", source=str(path))
    found: Expected = {}
    for row in rows:
        family, model, query, word = (
            "" if (column := columns[what]) is None or column >= len(row) else row[column]
            for what in ("family", "model", "query", "verdict")
        )
        verdict = _WORDS.get(word.lower(), word.lower())
        if verdict in ("sat", "unsat"):
            key = (family, *(p.removeprefix("./").removesuffix(".gz") for p in (model, query)))
            found[key[0], key[1], key[2]] = Verdict(verdict)
    return found
