# SPDX-License-Identifier: Apache-2.0
"""The folder of a run: `run.json`, the journal, and one result file per instance.

The journal is the truth: an instance is done when its line is in it, whole. Lines are only ever appended,
and each is on the disk before the next instance counts as done. So a run may be killed at any moment: what
may be left is a torn last line, which counts for nothing.
"""

from __future__ import annotations

from pathlib import Path

from vnnverify.errors import FileError
from vnnverify.evaluation.header import Header
from vnnverify.evaluation.record import Record

__all__ = ["HEADER", "JOURNAL", "RESULTS", "read_header", "read_journal", "whole_lines"]

HEADER = "run.json"
JOURNAL = "journal.jsonl"
RESULTS = "results"


def read_header(folder: str | Path) -> Header:
    """How the run in `folder` was started.

    Raises:
        FileError: there is no run.
        SpecError: its header cannot be read.
    """
    path = Path(folder) / HEADER
    return Header.from_json(_read(path).decode(errors="replace"), str(path))


def read_journal(folder: str | Path) -> list[Record]:
    """The finished instances of the run in `folder`, in the order of the list.

    Raises:
        FileError: there is no journal.
        SpecError: a line before the last cannot be read.
    """
    path = Path(folder) / JOURNAL
    lines, _ = whole_lines(_read(path))
    records = [
        Record.from_json(line.decode(errors="replace"), f"{path}:{number}")
        for number, line in enumerate(lines, 1)
    ]
    return sorted(records, key=lambda record: record.index)


def whole_lines(content: bytes) -> tuple[list[bytes], int]:
    """The lines that were written to their end, and how many bytes they take; the rest is torn."""
    size = content.rfind(b"\n") + 1
    return content[:size].splitlines(), size


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(
            f"{path}: cannot be read ({error.strerror}); name the folder given to `vnnverify bench --out`"
        ) from error
