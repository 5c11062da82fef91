# SPDX-License-Identifier: Apache-2.0
"""A result file appears whole or not at all; a report says nothing that contradicts itself."""

from __future__ import annotations

import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from vnnverify.errors import FileError, OptionError
from vnnverify.results import Report, Witness, find_writer, require_writable, write_file
from vnnverify.verdict import Guarantee, Verdict

posix = pytest.mark.skipif(sys.platform == "win32", reason="files of POSIX")


def test_file_is_written_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    write_file(str(path), "sat\n((X_0 1.0))\n")
    assert path.read_bytes() == b"sat\n((X_0 1.0))\n"
    write_file(str(path), "unsat\n")
    assert path.read_bytes() == b"unsat\n"
    assert [p.name for p in tmp_path.iterdir()] == ["out.txt"]


@posix
def test_file_is_as_readable_as_any_other(tmp_path: Path) -> None:
    plain, path = tmp_path / "plain", tmp_path / "out.txt"
    plain.touch()
    write_file(str(path), "unsat\n")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """One thread reads while another writes: every reading is one of the two contents."""
    path = tmp_path / "out.txt"
    contents = {"a" * 500_000, "b" * 500_000}
    seen: set[str] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_text())

    write_file(str(path), max(contents))
    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(10):
        for content in contents:
            write_file(str(path), content)
    done.set()
    reader.join()
    assert seen <= contents


def test_failure_leaves_the_older_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.txt"
    path.write_text("older")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match=r"out\.txt: cannot be written \(No space left on device\); check"):
        write_file(str(path), "newer")
    assert path.read_text() == "older"
    assert [p.name for p in tmp_path.iterdir()] == ["out.txt"]


def test_missing_folder_is_an_error_with_the_path(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "out.txt"
    with pytest.raises(FileError, match=r"cannot be written \(No such file or directory\)"):
        write_file(str(path), "unsat\n")
    with pytest.raises(FileError, match=r"the folder '.*absent' does not exist; create it first"):
        require_writable(str(path))


def test_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="is a folder; name a file in it"):
        require_writable(str(tmp_path))
    require_writable(str(tmp_path / "out.txt"))
    assert list(tmp_path.iterdir()) == []


@posix
def test_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
    reader.start()
    require_writable(str(pipe))
    write_file(str(pipe), "unsat\n")
    reader.join(10)
    assert found == ["unsat\n"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_formats_by_name() -> None:
    class Runes:
        name = "runes"

        def write(self, report: Report) -> str:
            return report.verdict.value

    assert find_writer("runes", [Runes()]).write(Report("m", "q", Verdict.UNSAT)) == "unsat"
    with pytest.raises(
        OptionError, match=r"^no result format 'runes'; there are: json, text, vnncomp, vnnlib2$"
    ):
        find_writer("runes")


def test_plugin_cannot_take_the_place_of_a_format() -> None:
    class Impostor:
        name = "vnncomp"

        def write(self, report: Report) -> str:
            return "unsat\n"

    assert find_writer("vnncomp", [Impostor()]).write(Report("m", "q", Verdict.UNKNOWN)) == "unknown\n"


def test_report_does_not_contradict_itself() -> None:
    with pytest.raises(ValueError, match="belong together"):
        Report("m", "q", Verdict.SAT)
    with pytest.raises(ValueError, match="belong together"):
        Report("m", "q", Verdict.UNKNOWN, witness=Witness((1.0,), (1.0,)))
    with pytest.raises(ValueError, match="a statistical guarantee is no proof of unsat"):
        Report("m", "q", Verdict.UNSAT, guarantee=Guarantee.STATISTICAL)
