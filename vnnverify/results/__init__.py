# SPDX-License-Identifier: Apache-2.0
"""Result formats, one module each."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from vnnverify.errors import FileError, OptionError
from vnnverify.results.jsonl import JsonWriter
from vnnverify.results.report import Report, ResultWriter, Witness
from vnnverify.results.text import TextWriter
from vnnverify.results.vnncomp import VnncompWriter

__all__ = ["Report", "ResultWriter", "Witness", "find_writer", "write_file"]


def find_writer(name: str, more: Iterable[ResultWriter] = ()) -> ResultWriter:
    """The writer called `name`, built in or from a plugin.

    Raises:
        OptionError: nobody writes that format.
    """
    writers: dict[str, ResultWriter] = {
        w.name: w for w in (*more, JsonWriter(), TextWriter(), VnncompWriter())
    }
    if name not in writers:
        raise OptionError(f"no result format {name!r}; there are: {', '.join(sorted(writers))}")
    return writers[name]


def write_file(path: str, content: str) -> None:
    """Write a file whole or not at all: into a temporary neighbour, then rename.

    Raises:
        FileError: the folder is missing, read-only or full.
    """
    target = Path(path)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise FileError(
            f"{path}: cannot be written ({error.strerror}); check the folder and the disk"
        ) from error
