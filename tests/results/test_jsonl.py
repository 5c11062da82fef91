# SPDX-License-Identifier: Apache-2.0
"""One line of JSON that holds the whole report."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from vnnverify.errors import SpecError
from vnnverify.results import Report, find_writer
from vnnverify.results.jsonl import JsonWriter, read_report

SAT = (
    '{"schema": 1, "verdict": "sat", "model": "nets/a.onnx", "query": "specs/b.vnnlib", "reason": "", '
    '"guarantee": "real", "backend": "falsification", "seconds": 1.2346, "timeout": 60.0, '
    '"witness": {"x": [0.10000000149011612, -1e-45], "y": [3.4028234663852886e+38, 0.0], "rounded": 1}, '
    '"stats": {"falsification": [{"verdict": "sat", "seconds": 0.25, "reason": "", "open_clauses": 1, '
    '"points": 12}]}, "sha256": {"model": "ab", "query": "cd"}, "versions": {"vnnverify": "0.1.0"}, '
    '"layout": {}, "explanation": null}\n'
)
TIMEOUT = (
    '{"schema": 1, "verdict": "timeout", "model": "nets/a.onnx", "query": "specs/b.vnnlib", '
    '"reason": "milp: late; boxes: ", "guarantee": "real", "backend": "", "seconds": 0.0, '
    '"timeout": null, "witness": null, '
    '"stats": {"milp": [{"verdict": "timeout", "seconds": 1.0, "reason": "[red]late[/red]", '
    '"open_clauses": 1, "worst": -0.123456}], "boxes": [{"verdict": "timeout", "seconds": 0.5, '
    '"reason": "3 open", "open_clauses": 1, "visited": 7}, {"verdict": "unknown", "seconds": 12.25, '
    '"reason": "", "open_clauses": 1, "worst": -0.5, "all": "a[b]"}]}, '
    '"sha256": {}, "versions": {}, "layout": {}, '
    '"explanation": {"clauses": 20, "open_clauses": [3, 11, null], "hardest": 11, "unsafe": "Y_3 <= Y_8", '
    '"bound": -2.5, "bound_by": "boxes", "margin": 0.25, "subproblems": {"boxes": 12007}, '
    '"node": "Relu_3", "operator": "Relu", "looseness": 154.25, "looseness_before": 9.5, "samples": 256, '
    '"advice": ["--timeout 32: [red]boxes[/red] has 7 sub-problems open", "another --seed"]}}\n'
)


def test_lines_to_the_letter(sat: Report, explained: Report) -> None:
    assert find_writer("json").write(sat) == SAT
    assert JsonWriter().write(explained) == TIMEOUT


@pytest.mark.parametrize("name", ["sat", "unsat", "undecided", "explained"])
def test_line_reads_back_to_the_report(name: str, request: pytest.FixtureRequest) -> None:
    report: Report = request.getfixturevalue(name)
    again = read_report(JsonWriter().write(report))
    assert again == dataclasses.replace(report, seconds=round(report.seconds, 4))


def test_line_breaks_stay_inside_the_line(unsat: Report) -> None:
    line = JsonWriter().write(dataclasses.replace(unsat, reason="two\nlines", model="a\nb.onnx"))
    assert line.count("\n") == 1
    assert read_report(line).reason == "two\nlines"


def test_line_without_an_explanation_is_read_too(sat: Report) -> None:
    record = json.loads(SAT)
    del record["explanation"]
    assert read_report(json.dumps(record)).explanation is None


def changed(**fields: Any) -> str:
    return json.dumps({**json.loads(SAT), **fields})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "not a vnnverify result line"),
        ("[]", "not a vnnverify result line"),
        ("{}", "not a vnnverify result line .*schema"),
        (changed(schema=2), "result schema 2, this vnnverify reads 1"),
        (changed(verdict="holds"), "'holds' is not a valid Verdict"),
        (changed(guarantee="oath"), "'oath' is not a valid Guarantee"),
        (changed(witness=None), "a witness and the verdict sat belong together"),
        (changed(verdict="unsat"), "a witness and the verdict sat belong together"),
        (changed(verdict="unsat", witness=None, guarantee="statistical"), "no proof of unsat"),
        (changed(witness={"x": ["one"], "y": [], "rounded": 0}), "could not convert string to float"),
        (changed(witness=[1.0]), "not a vnnverify result line"),
        (changed(timeout="soon"), "could not convert string to float"),
        (changed(explanation={"clauses": 1}), "open_clauses"),
        (changed(explanation={"clauses": 1, "open_clauses": [], "luck": 7}), "luck"),
    ],
)
def test_what_is_no_result_line_is_refused(line: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        read_report(line, "out.json")
    assert str(caught.value).startswith("out.json: ")
    assert "\n" not in str(caught.value)
