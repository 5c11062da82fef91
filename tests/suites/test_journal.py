# SPDX-License-Identifier: Apache-2.0
"""The folder of a run, read back."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from vnnverify.errors import FileError, OptionError, SpecError
from vnnverify.results import Report
from vnnverify.results.jsonl import read_report
from vnnverify.suites import Header, Record, read_header, read_journal
from vnnverify.suites.header import machine, versions
from vnnverify.suites.journal import Journal, result_name
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


HEADER = Header(("/f/instances.csv",), 3, {"timeout": "5"})


def test_run_is_written_and_taken_up_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Journal(folder, HEADER) as journal:
        journal.add(
            dataclasses.replace(RECORD, index=1, result="results/f/1.json"), Report("a", "b", Verdict.UNSAT)
        )
    assert read_report((folder / "results/f/1.json").read_text()).verdict is Verdict.UNSAT
    with (folder / "journal.jsonl").open("a") as file:
        file.write(lines(2)[:30])
    (folder / ".run.json.17").write_text("half")
    with Journal(folder, HEADER, resume=True) as journal:
        assert list(journal.done) == [1]
        journal.add(RECORD, None)
    assert [record.index for record in read_journal(folder)] == [0, 1]
    assert not (folder / ".run.json.17").exists()


def test_folder_is_used_once_and_by_one(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Journal(folder, HEADER):
        with pytest.raises(FileError, match="exists already; go on with --resume"):
            Journal(folder, HEADER)
        with pytest.raises(FileError, match="another run is at work there"):
            Journal(folder, HEADER, resume=True)
    Journal(folder, HEADER, resume=True).__exit__(None, None, None)
    with pytest.raises(OptionError, match="started with timeout '5', not '6'"):
        Journal(folder, dataclasses.replace(HEADER, options={"timeout": "6"}), resume=True)
    with pytest.raises(OptionError, match="its run is about 3 instances"):
        Journal(folder, dataclasses.replace(HEADER, instances=4), resume=True)
    (tmp_path / "empty").mkdir()
    Journal(tmp_path / "empty", HEADER).__exit__(None, None, None)


def test_result_names_fit_any_file_system() -> None:
    assert result_name(7, "a/b", "onnx/net.v1.onnx.gz", "x y!.vnnlib") == "results/a_b/00007_net.v1_x_y_.json"
    long = result_name(0, "..", "n" * 400 + ".onnx", "[(')")
    assert len(long.rpartition("/")[2]) < 255 and long.startswith("results/_/00000_n")
