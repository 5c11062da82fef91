# SPDX-License-Identifier: Apache-2.0
"""Result formats, one module each."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from vnnverify.errors import FileError, OptionError
from vnnverify.results.explanation import Explanation
from vnnverify.results.jsonl import JsonWriter
from vnnverify.results.report import Report, ResultWriter, Witness
from vnnverify.results.text import TextWriter
from vnnverify.results.vnncomp import VnncompWriter
from vnnverify.results.vnnlib2 import Vnnlib2Writer
from vnnverify.suggestion import did_you_mean

__all__ = [
    "Explanation",
    "Report",
    "ResultWriter",
    "Witness",
    "find_writer",
    "require_writable",
    "write_file",
]


def find_writer(name: str, more: Iterable[ResultWriter] = ()) -> ResultWriter:
    """The writer called `name`, built in or from a plugin.

    Raises:
        OptionError: nobody writes that format.
    """
    writers: dict[str, ResultWriter] = {
        w.name: w for w in (*more, JsonWriter(), TextWriter(), VnncompWriter(), Vnnlib2Writer())
    }
    if name not in writers:
        meant = did_you_mean(name, writers)
        raise OptionError(f"no result format {name!r}{meant}; there are: {', '.join(sorted(writers))}")
    return writers[name]


def require_writable(path: str) -> None:
    """Find out before a long run what would keep its result from being written.

    Raises:
        FileError: the folder is missing or read-only, or `path` names a folder.
    """
    target = Path(path)
    if target.is_dir():
        raise FileError(f"{path}: is a folder; name a file in it")
    if not target.parent.is_dir():
        raise FileError(f"{path}: the folder {str(target.parent)!r} does not exist; create it first")
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise FileError(f"{path}: no permission to write there; choose another place")


def write_file(path: str, content: str | bytes) -> None:
    """Write a file whole or not at all: into a temporary neighbour, then rename.

    What exists and is no regular file (a pipe, a device) is written to as it stands.

    Raises:
        FileError: the folder is missing, read-only or full.
    """
    target = Path(path)
    data = content.encode() if isinstance(content, str) else content
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(data)
        else:
            _replace(target, data)
    except OSError as error:
        raise FileError(
            f"{path}: cannot be written ({error.strerror}); check the folder and the disk"
        ) from error


def _replace(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
