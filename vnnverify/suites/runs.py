# SPDX-License-Identifier: Apache-2.0
"""Reading whole runs: ours with their journal, or the tables that competitions publish of any tool.

A published table has a row `category,onnx,vnnlib,prepare,result,run` for every instance, without a head;
the witnesses lie beside it as CATEGORY/NET_PROPERTY.counterexample, perhaps gzipped.
"""

from __future__ import annotations

import csv
import dataclasses
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vnnverify.errors import FileError, SpecError
from vnnverify.inputs.files import read_bytes
from vnnverify.results.jsonl import read_report
from vnnverify.results.report import Report, Witness
from vnnverify.results.vnncomp import read_witness
from vnnverify.results.vnnlib2 import read_assignment
from vnnverify.suites.header import Header
from vnnverify.suites.journal import JOURNAL, read_header, read_journal
from vnnverify.suites.record import Record
from vnnverify.suites.vnncomp_table import TABLE
from vnnverify.verdict import Verdict

__all__ = [
    "Name",
    "RecordedRun",
    "instance_name",
    "name_of",
    "read_run",
    "read_table",
    "report_of",
    "stores_witnesses",
    "witness_of",
]

_COLUMNS = 6
_WORDS = (
    ("unsat", Verdict.UNSAT),
    ("holds", Verdict.UNSAT),
    ("sat", Verdict.SAT),
    ("violated", Verdict.SAT),
    ("timed-out", Verdict.TIMEOUT),
    ("timeout", Verdict.TIMEOUT),
    ("run_instance_timeout", Verdict.TIMEOUT),
    ("prepare_instance_timeout", Verdict.TIMEOUT),
    ("unknown", Verdict.UNKNOWN),
    ("no_result_in_file", Verdict.UNKNOWN),
    ("prepare_instance_error", Verdict.UNKNOWN),
    ("error", Verdict.ERROR),
)
"""How the competition's scorer reads a word: by its beginning, in any case."""


Name = tuple[str, str, str]
"""Family, network, property."""


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run's records, in the order of their list, and where it lies."""

    name: str
    folder: Path
    records: tuple[Record, ...]
    header: Header | None = None  # of a run of ours


def instance_name(record: Record) -> Name:
    """What the instance of a record is called in every tool's run. See `name_of`."""
    return name_of(record.family, record.model, record.query)


def name_of(family: str, model: str, query: str) -> Name:
    """Family, network and property without folders, endings, and the year that some tables put before the
    family."""
    return re.sub(r"^20\d\d_", "", family), _stem(model), _stem(query)


def _stem(path: str) -> str:
    if path.startswith("["):  # the list literal of several networks
        return re.sub(r"[\w./~-]*/", "", path)
    return (
        Path(path.replace("\\", "/")).name.removesuffix(".gz").removesuffix(".onnx").removesuffix(".vnnlib")
    )


def read_run(path: str | Path, name: str = "") -> RecordedRun:
    """The run in a folder (with a journal, with a table, or with folders that have tables), or a table.

    Raises:
        FileError: there is none.
        SpecError: it cannot be read.
    """
    place = Path(path)
    if not name and place.is_file():
        name = place.resolve().parent.name if place.name == TABLE else place.name.split(".")[0]
    if (place / JOURNAL).is_file():
        try:
            header = read_header(place)
        except FileError:
            header = None
        return RecordedRun(name or place.resolve().name, place, tuple(read_journal(place)), header)
    if place.is_file():
        return RecordedRun(name, place.parent, read_table(place))
    if (place / TABLE).is_file():
        return RecordedRun(name or place.resolve().name, place, read_table(place / TABLE))
    tables = sorted(place.glob(f"*/{TABLE}"))
    if not tables:
        raise FileError(f"{path}: holds neither {JOURNAL} nor {TABLE}; name the folder of a run, or a table")
    rows = [record for table in tables for record in read_table(table)]
    return RecordedRun(name or place.resolve().name, place, tuple(_numbered(rows)))


def _numbered(records: Iterable[Record]) -> Iterator[Record]:
    for index, record in enumerate(records):
        yield dataclasses.replace(record, index=index)


def read_table(path: str | Path) -> tuple[Record, ...]:
    """The rows of a competition's table.

    Raises:
        FileError: the file cannot be read.
        SpecError: a row is not `category,onnx,vnnlib,prepare,result,run`, or its word is unknown.
    """
    text = read_bytes(path).decode(errors="replace")
    records: list[Record] = []
    for number, row in enumerate(csv.reader(text.splitlines()), 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and cells[0].lower() == "category"):
            continue
        if len(cells) < _COLUMNS:
            message = f"{len(cells)} columns; expected category,onnx,vnnlib,prepare,result,run"
            raise SpecError(message, line=number, source=str(path))
        family, model, query, _, word, seconds = cells[:_COLUMNS]
        try:
            records.append(
                Record(
                    index=len(records),
                    family=family,
                    folder="",
                    model=model,
                    query=query,
                    timeout=math.inf,
                    expected=None,
                    verdict=_verdict(word),
                    seconds=float(seconds or 0.0),
                    reason="" if _verdict(word).decided else word,
                )
            )
        except ValueError as error:
            raise SpecError(str(error), line=number, source=str(path)) from None
    return tuple(records)


def _verdict(word: str) -> Verdict:
    for beginning, verdict in _WORDS:
        if word.lower().startswith(beginning):
            return verdict
    if not word:
        return Verdict.UNKNOWN
    raise ValueError(f"result {word[:40]!r} is none of sat, unsat, unknown, timeout, error")


def stores_witnesses(run: RecordedRun) -> bool:
    """Whether witnesses are kept with this run at all: a table alone has none."""
    return run.header is not None or any(run.folder.glob("**/*.counterexample*"))


def report_of(run: RecordedRun, record: Record) -> Report | None:
    """The full result of an instance of a run of ours, if its file is there."""
    path = run.folder / record.result
    if not record.result or not path.is_file():
        return None
    return read_report(path.read_text(encoding="utf-8").strip().splitlines()[-1], str(path))


def witness_of(run: RecordedRun, record: Record) -> Witness | None:
    """The witness that was stored for a `sat`, wherever it is; None if it is nowhere. What `read_assignment`
    reads of a published file is still to be assigned to the property's tensors.

    Raises:
        SpecError: there is a file, but it holds no witness.
    """
    if record.witness is not None:
        return record.witness
    report = report_of(run, record)
    if report is not None:
        return report.witness
    for path in _witness_files(run, record):
        if path.is_file():
            text = read_bytes(path).decode(errors="replace")
            read = (
                read_witness
                if text.lstrip().removeprefix("sat").lstrip().startswith("(")
                else read_assignment
            )
            return read(text, str(path))
    return None


def _witness_files(run: RecordedRun, record: Record) -> Iterator[Path]:
    _, model, query = instance_name(record)
    families = sorted(folder.name for folder in run.folder.glob(f"*{record.family}") if folder.is_dir())
    for folder in (*families, "."):
        for ending in ("", ".gz"):
            yield run.folder / folder / f"{model}_{query}.counterexample{ending}"
