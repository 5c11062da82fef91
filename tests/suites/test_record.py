# SPDX-License-Identifier: Apache-2.0
"""One line of a journal holds all of a record."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from vnnverify.errors import SpecError
from vnnverify.results import Witness
from vnnverify.suites import Record
from vnnverify.verdict import Guarantee, Verdict

ROOT = Path(__file__).parents[2]
SAT = Record(
    index=7,
    family="acasxu",
    folder="/data/acasxu",
    model="onnx/a.onnx",
    query="vnnlib/b.vnnlib",
    timeout=116.0,
    expected=Verdict.UNSAT,
    verdict=Verdict.SAT,
    seconds=1.23456,
    reason="two\nlines",
    backend="falsification",
    guarantee=Guarantee.FLOAT,
    witness=Witness((0.10000000149011612, -1e-45), (3.4028234663852886e38,), rounded=1),
    stats={"falsification": [{"verdict": "sat", "seconds": 0.25}]},
    checks=({"backend": "milp", "verdict": "sat"},),
    result="results/acasxu/a.json",
    worker="local-1",
    started="2026-01-02T03:04:05.678+00:00",
    finished="2026-01-02T03:04:06.912+00:00",
    sha256={"model": "ab"},
    versions={"vnnverify": "0.1.0"},
)
PLAIN = dataclasses.replace(SAT, verdict=Verdict.TIMEOUT, witness=None, expected=None, timeout=math.inf)


@pytest.mark.parametrize("record", [SAT, PLAIN], ids=["sat", "plain"])
def test_line_reads_back_to_the_record(record: Record) -> None:
    line = record.to_json()
    assert "\n" not in line
    assert Record.from_json(line) == dataclasses.replace(record, seconds=round(record.seconds, 4))


def test_keys_of_the_line_are_the_documented_ones() -> None:
    table = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8").split("| key | value |")[1]
    rows = re.findall(r"^\| (`.*?) \|", table.split("\n\n")[0], re.MULTILINE)
    told = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(told) == sorted(json.loads(SAT.to_json()))


@pytest.mark.parametrize(
    ("expected", "verdict", "wrong"),
    [
        (None, Verdict.UNSAT, False),
        (Verdict.UNKNOWN, Verdict.UNSAT, False),
        (Verdict.SAT, Verdict.UNSAT, True),
        (Verdict.UNSAT, Verdict.SAT, True),
        (Verdict.SAT, Verdict.TIMEOUT, False),
        (Verdict.SAT, Verdict.SAT, False),
    ],
)
def test_only_decided_verdicts_contradict(expected: Verdict | None, verdict: Verdict, wrong: bool) -> None:
    record = dataclasses.replace(SAT, expected=expected, verdict=verdict, witness=None)
    assert record.contradicts is wrong


def changed(**fields: Any) -> str:
    return json.dumps({**json.loads(SAT.to_json()), **fields})


def test_fields_of_later_versions_are_passed_over() -> None:
    assert Record.from_json(changed(novelty=1)).verdict is Verdict.SAT


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "not a line of a journal"),
        ("[]", "not a line of a journal"),
        ("{}", "not a line of a journal .*schema"),
        (changed(schema=2), "journal schema 2, this vnnverify reads 1"),
        (changed(verdict="holds"), "'holds' is not a valid Verdict"),
        (changed(verdict="unsat"), "a witness belongs to the verdict sat"),
        (changed(verdict="unsat", witness=None, guarantee="statistical"), "no proof of unsat"),
        (changed(witness={"z": []}), "'x'"),
    ],
)
def test_what_is_no_record_is_refused(line: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        Record.from_json(line, "journal.jsonl:3")
    assert str(caught.value).startswith("journal.jsonl:3: ")
