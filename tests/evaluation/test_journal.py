# SPDX-License-Identifier: Apache-2.0
"""The folder of a run, read back."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from vnnverify.errors import FileError, SpecError
from vnnverify.evaluation import Header, Record, read_header, read_journal
from vnnverify.evaluation.header import machine, versions
from vnnverify.verdict import Verdict

RECORD = Record(0, "f", "/f", "a.onnx", "b.vnnlib", 5.0, None, Verdict.UNSAT, 0.5)


def lines(*indices: int) -> str:
    return "".join(dataclasses.replace(RECORD, index=i).to_json() + "\n" for i in indices)


def test_records_come_in_the_order_of_the_list(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text(lines(2, 0, 1))
    assert [record.index for record in read_journal(tmp_path)] == [0, 1, 2]


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_torn_last_line_counts_for_nothing(tmp_path: Path, cut: int) -> None:
    (tmp_path / "journal.jsonl").write_text(lines(0, 1) + lines(2)[:cut])
    assert [record.index for record in read_journal(tmp_path)] == [0, 1]


def test_damage_elsewhere_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text(lines(0) + "{\n" + lines(1))
    with pytest.raises(SpecError, match=r"journal\.jsonl:2: not a line of a journal"):
        read_journal(tmp_path)


def test_header_reads_back(tmp_path: Path) -> None:
    header = Header(("/a/instances.csv",), 3, {"timeout": 5.0}, machine(), versions(), "now")
    (tmp_path / "run.json").write_text(header.to_json())
    assert read_header(tmp_path) == header
    assert header.machine["cores"] >= 1 and header.versions["torch"]


def test_no_run_is_an_error(tmp_path: Path) -> None:
    for read in (read_header, read_journal):
        with pytest.raises(FileError, match="name the folder given to `vnnverify bench --out`"):
            read(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(SpecError, match="not the header of a run"):
        read_header(tmp_path)
