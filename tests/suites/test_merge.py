# SPDX-License-Identifier: Apache-2.0
"""Parts become a whole, or are refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vnnverify.commands import main
from vnnverify.errors import OptionError
from vnnverify.results import Report
from vnnverify.suites import Header, Record, read_header, read_journal
from vnnverify.suites.journal import Journal
from vnnverify.suites.merge import merge
from vnnverify.verdict import Verdict

RECORD = Record(0, "f", "/f", "a.onnx", "b.vnnlib", 5.0, None, Verdict.UNSAT, 0.5)
Part = Callable[..., Path]


@pytest.fixture
def part(tmp_path: Path) -> Part:
    """A run with these records that was to have `instances` of them."""

    def make(name: str, *records: Record, instances: int = 0, **options: Any) -> Path:
        header = Header(("/f/instances.csv",), instances or len(records), {"timeout": None, **options})
        with Journal(tmp_path / name, header) as journal:
            for record in records:
                path = f"results/f/{record.index}.json"
                journal.add(dataclasses.replace(record, result=path), Report("a", "b", record.verdict))
        return tmp_path / name

    return make


def record(index: int, verdict: Verdict = Verdict.UNSAT, **changes: Any) -> Record:
    return dataclasses.replace(RECORD, index=index, verdict=verdict, **changes)


def test_parts_become_a_whole(part: Part, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = part("one", record(0), record(2, Verdict.TIMEOUT), instances=3, shard="1/2")
    two = part("two", record(1), record(2), shard="2/2")
    out = tmp_path / "whole"
    with pytest.raises(SystemExit) as ended:
        main(["merge", str(one), str(two), "--out", str(out)])
    assert ended.value.code == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 of 4 instances left"
    assert [(r.index, r.verdict) for r in read_journal(out)] == [(i, Verdict.UNSAT) for i in range(3)]
    assert read_header(out).options["shard"] is None
    assert sorted(path.name for path in (out / "results" / "f").iterdir()) == ["0.json", "1.json", "2.json"]
    assert len((out / "results.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (record(0, Verdict.ERROR, query="c.vnnlib"), "these are no parts of one list"),
        (record(0, Verdict.SAT), "unsat in .*one, sat in .*two; nothing is merged"),
    ],
)
def test_what_contradicts_is_refused(other: Record, message: str, part: Part, tmp_path: Path) -> None:
    one = part("one", record(0))
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "run.json").write_text((one / "run.json").read_text())
    (tmp_path / "two" / "journal.jsonl").write_text(other.to_json() + "\n")
    with pytest.raises(OptionError, match=message):
        merge([one, tmp_path / "two"], tmp_path / "whole")
    assert not (tmp_path / "whole").exists()


def test_parts_asked_otherwise_are_refused(part: Part, tmp_path: Path) -> None:
    one, two = part("one", record(0)), part("two", record(1), backends="milp")
    assert merge([one], tmp_path / "same").instances == 1
    with pytest.raises(OptionError, match="started with"):
        merge([two, one], tmp_path / "whole")
