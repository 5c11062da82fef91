# SPDX-License-Identifier: Apache-2.0
"""What somebody who watches a run gets to see."""

from __future__ import annotations

import dataclasses

import pytest

from vnnverify.suites import Record
from vnnverify.suites.instances import Instance
from vnnverify.suites.progress import make_watcher
from vnnverify.suites.summary import Summary
from vnnverify.verdict import Verdict

RECORD = Record(0, "fam", "/f", "a.onnx", "p.vnnlib", 5.0, Verdict.UNSAT, Verdict.UNSAT, 0.5)
WRONG = dataclasses.replace(RECORD, index=1, verdict=Verdict.SAT)
CRASHED = dataclasses.replace(
    RECORD, index=2, verdict=Verdict.ERROR, expected=None, cause="crash", reason="it fell\noff"
)
WRONG_LINE = "WRONG sat (expected unsat) 0.50 s  fam/a.onnx p.vnnlib"
CRASH_LINE = "error 0.50 s  fam/a.onnx p.vnnlib crash: it fell off"


def watched(capsys: pytest.CaptureFixture[str], *, live: bool) -> list[str]:
    watcher = make_watcher(4, [RECORD], live=live)
    for record in (WRONG, CRASHED):
        watcher.begun(0, Instance(record.index, "fam", "/f", "a.onnx", "p.vnnlib", 5.0))
        watcher.done(0, record)
    watcher.close()
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    *lines, last = watched(capsys, live=False)
    assert lines == [f"[2/4] {WRONG_LINE}", f"[3/4] {CRASH_LINE}"]
    assert last.startswith("3/4 done, 2 decided, 1 wrong, ") and last.endswith(" left")


def test_display_keeps_what_matters(capsys: pytest.CaptureFixture[str]) -> None:
    lines = watched(capsys, live=True)
    assert [line for line in lines if "fam/" in line and "worker" not in line] == [WRONG_LINE, CRASH_LINE]
    assert lines[-1].startswith("3/4 done, 2 decided, 1 wrong, ")


def test_table_counts_by_family() -> None:
    other = dataclasses.replace(RECORD, index=3, family="other")
    summary = Summary(5, (RECORD, WRONG, CRASHED, other))
    rows = [line.split() for line in summary.lines()]
    assert rows[1:] == [
        ["fam", "3", "1", "1", "0", "0", "1", "1", "1.5"],
        ["other", "1", "0", "1", "0", "0", "0", "0", "0.5"],
        ["all", "4", "1", "2", "0", "0", "1", "1", "2.0"],
        ["1", "of", "5", "instances", "left"],
    ]
    assert summary.to_record()["contradicts"] == [["fam", "a.onnx", "p.vnnlib"]]
