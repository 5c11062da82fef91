# SPDX-License-Identifier: Apache-2.0
"""Runs for other programs: JUnit XML, CSV, Parquet."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from xml.etree import ElementTree

import pytest

from vnnverify.commands import main
from vnnverify.errors import PluginError
from vnnverify.suites import Record
from vnnverify.suites.junit import junit_xml
from vnnverify.suites.runs import RecordedRun
from vnnverify.suites.tables import COLUMNS, csv_table, parquet_table
from vnnverify.verdict import Verdict


def record(index: int, verdict: str, expected: str = "", reason: str = "", family: str = "f") -> Record:
    return Record(
        index=index,
        family=family,
        folder="/files",
        model="a.onnx",
        query=f"p{index}.vnnlib",
        timeout=60.0 if index else math.inf,
        expected=Verdict(expected) if expected else None,
        verdict=Verdict(verdict),
        seconds=1.5,
        reason=reason,
        stats={"zonotope": [{"boxes": 7}, {"boxes": 5}], "milp": [{"nodes": 2, "reason": "x"}], "odd": 3},
    )


RECORDS = (
    record(0, "unsat"),
    record(1, "sat"),
    record(2, "sat", "sat"),
    record(3, "unsat", "sat"),
    record(4, "timeout", "sat", 'late, "so\x00late" & <sorry>'),
    record(5, "error", "", "killed by SIGSEGV", family="g"),
    record(6, "unknown", "unknown", family="g"),
)
RUN = RecordedRun("mine", Path("/nowhere"), RECORDS)


def test_junit_outcomes() -> None:
    root = ElementTree.fromstring(junit_xml(RECORDS, "run"))
    assert root.get("name") == "run"
    suites = {suite.get("name"): suite.attrib for suite in root}
    counts = {name: [s[k] for k in ("tests", "failures", "errors", "skipped")] for name, s in suites.items()}
    assert counts == {"f": ["5", "2", "0", "1"], "g": ["2", "0", "1", "1"]}
    assert suites["f"]["time"] == "7.500"
    tests = {test.get("name"): list(test) for test in root.iter("testcase")}
    outcomes = {name.split()[1]: [c.tag for c in children] for name, children in tests.items() if name}
    assert [outcomes[f"p{k}.vnnlib"] for k in range(7)] == [
        [], ["failure"], [], ["failure"], ["skipped"], ["error"], ["skipped"],
    ]  # fmt: skip
    messages = [child.get("message") for child in root.iter() if child.get("message")]
    assert messages == [
        "sat instead of unsat", "unsat instead of sat", 'late, "so�late" & <sorry>', "killed by SIGSEGV",
        "unknown instead of unsat",
    ]  # fmt: skip


def test_csv_reads_back() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_table([RUN, RUN]))))
    assert len(rows) == 14 and list(rows[0]) == list(COLUMNS)
    assert (rows[0]["timeout"], rows[1]["timeout"], rows[0]["expected"]) == ("", "60.0", "")
    assert (rows[4]["verdict"], rows[4]["expected"], rows[4]["subproblems"]) == ("timeout", "sat", "14")


def test_parquet_reads_back(monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow")
    table = parquet.read_table(io.BytesIO(parquet_table([RUN])))
    assert table.column_names == list(COLUMNS) and table.num_rows == 7
    assert table["timeout"].to_pylist()[:2] == [None, 60.0]
    assert table["subproblems"].to_pylist() == [14] * 7
    assert parquet.read_table(io.BytesIO(parquet_table([]))).num_rows == 0
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(PluginError, match=r"pip install 'vnnverify\[tables\]'"):
        parquet_table([RUN])


@pytest.mark.parametrize("ending", ["xml", "csv", "txt"])
def test_command_writes_by_ending(ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "journal.jsonl").write_text("".join(r.to_json() + "\n" for r in RECORDS))
    target = tmp_path / f"out.{ending}"
    with pytest.raises(SystemExit) as ended:
        main(["report", str(tmp_path), "-o", str(target)])
    if ending == "txt":
        assert ended.value.code == 2
        assert "the ending '.txt' is none of .html, .xml, .csv, .parquet" in capsys.readouterr().err
    else:
        assert ended.value.code == 0
        assert target.read_text().startswith({"xml": "<?xml", "csv": "run,family"}[ending])
