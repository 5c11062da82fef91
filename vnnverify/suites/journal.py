# SPDX-License-Identifier: Apache-2.0
"""The folder of a run: `run.json`, the journal, and one result file per instance.

The journal is the truth: an instance is done when its line is in it, whole. Lines are only ever appended,
and each is on the disk before the next instance counts as done. So a run may be killed at any moment: what
may be left is a torn last line, which counts for nothing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from vnnverify.errors import FileError, OptionError
from vnnverify.results import Report, find_writer, write_file
from vnnverify.suites.header import Header
from vnnverify.suites.record import Record

__all__ = ["HEADER", "JOURNAL", "RESULTS", "Journal", "read_header", "read_journal", "result_name"]

HEADER = "run.json"
JOURNAL = "journal.jsonl"
RESULTS = "results"
_LOCK = ".lock"
_TEMPORARY = re.compile(r"\..+\.json\.\d+")


class Journal:
    """The folder of a run, opened by the one process that writes to it.

    Args:
        folder: is made if it does not exist.
        header: how the run is started.
        resume: go on with the run that is there, if any.

    Attributes:
        done: the records written so far, by place in the list.

    Raises:
        FileError: there is something already, another process is at work there, or nothing can be written.
        OptionError: the run there was started otherwise.
    """

    def __init__(self, folder: str | Path, header: Header, *, resume: bool = False) -> None:
        self._folder = Path(folder)
        if not resume and self._folder.exists() and _is_used(self._folder):
            raise FileError(f"{folder}: exists already; go on with --resume, or choose another folder")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self._folder / _LOCK)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise FileError(
                f"{folder}: another run is at work there; wait for it or choose another"
            ) from None
        except OSError as error:
            raise FileError(
                f"{folder}: cannot be written ({error.strerror}); choose another folder"
            ) from error
        try:
            self.done = self._begin(header)
            self._file = os.open(self._folder / JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)
        self._lock.release()

    def add(self, record: Record, report: Report | None) -> None:
        """Write a result file, then the journal's line; when this returns, both are on the disk.

        Raises:
            FileError: the disk is full or gone.
        """
        path = self._folder / record.result
        try:
            if report is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_file(str(path), find_writer("json").write(report))
            line = memoryview(record.to_json().encode() + b"\n")
            while line:
                line = line[os.write(self._file, line) :]
            os.fsync(self._file)
        except OSError as error:
            raise FileError(
                f"{self._folder}: cannot be written ({error.strerror}); make room and go on with --resume"
            ) from error
        self.done[record.index] = record

    def _begin(self, header: Header) -> dict[int, Record]:
        """Write the header, or hold it against the one that is there; cut a torn line off."""
        for path in self._folder.rglob(".*"):
            if _TEMPORARY.fullmatch(path.name):  # from a run that was killed while it wrote
                path.unlink()
        path = self._folder / JOURNAL
        if (self._folder / HEADER).exists():
            _require_same(read_header(self._folder), header, str(self._folder))
        else:
            write_file(str(self._folder / HEADER), header.to_json())
        if not path.exists():
            return {}
        records = read_journal(self._folder)
        size = whole_lines(_read(path))[1]
        if size < path.stat().st_size:
            os.truncate(path, size)
        return {record.index: record for record in records}


def result_name(index: int, family: str, model: str, query: str) -> str:
    """Where the result of an instance goes, relative to the run's folder."""
    stems = "_".join(Path(text.removesuffix(".gz")).stem for text in (model, query))
    safe = [re.sub(r"[^\w.=+~-]+", "_", text)[:180].strip(".") or "_" for text in (family, stems)]
    return f"{RESULTS}/{safe[0]}/{index:05d}_{safe[1]}.json"


def _is_used(folder: Path) -> bool:
    return not folder.is_dir() or any(path.name != _LOCK for path in folder.iterdir())


def _require_same(old: Header, new: Header, folder: str) -> None:
    """Raise if the run that is there asks other questions, or asks them otherwise."""
    for name, value in new.options.items():
        if name not in old.options or old.options[name] != value:
            was = old.options.get(name)
            raise OptionError(
                f"{folder}: its run was started with {name} {was!r}, not {value!r}; say the same"
            )
    if (old.lists, old.instances) != (new.lists, new.instances):
        raise OptionError(
            f"{folder}: its run is about {old.instances} instances of {', '.join(old.lists)}; name the same"
        )


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
