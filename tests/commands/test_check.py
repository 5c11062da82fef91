# SPDX-License-Identifier: Apache-2.0
"""`vnnverify check` accepts a right witness and refuses whatever has been altered in one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RIGHT = "sat\n((X_0 1.0)\n (X_1 -1.0)\n (Y_0 1.0)\n (Y_1 2.0))\n"
RECORD = {
    "schema": 1,
    "verdict": "sat",
    "reason": "",
    "guarantee": "real",
    "backend": "falsification",
    "seconds": 1.0,
    "timeout": None,
    "stats": {},
    "sha256": {},
    "versions": {},
}

Check = Callable[..., tuple[int, str, str]]


@pytest.fixture
def check(tiny: Path, specs: Path, tmp_path: Path, inside: Callable[..., Any]) -> Check:
    """`vnnverify check` on a result of this content: exit code, stdout, stderr."""

    def run(content: str, *, named: bool = True) -> tuple[int, str, str]:
        path = tmp_path / "result"
        path.write_text(content)
        files = [specs / "tiny_sat.vnnlib", "--network", tiny] if named else []
        done = inside("check", path, *files)
        return done.code, done.stdout, done.stderr

    return run


def test_right_witness_is_valid(check: Check) -> None:
    assert check(RIGHT) == (0, "valid\n", "")


def test_outputs_need_not_be_stated(check: Check) -> None:
    assert check("sat\n((X_0 1.0) (X_1 -1.0))\n") == (0, "valid\n", "")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("X_0 1.0", "X_0 1.5", "the point lies outside the box or is no number of the model's type (by 0.5)"),
        ("X_0 1.0", "X_0 0.9000000001", "is no number of the model's type"),
        ("X_0 1.0", "X_0 0.5", "the assertion in line 10 does not hold"),
        ("X_0 1.0", "X_0 nan", "the point holds NaN"),
        ("X_0 1.0", "X_0 inf", "outside the box"),
        ("Y_0 1.0", "Y_0 1.25", "Y_0 is stated as 1.25, the model gives 1.0"),
        ("Y_1 2.0", "Y_1 nan", "Y_1 is stated as nan, the model gives 2.0"),
        ("\n (Y_1 2.0)", "", "1 outputs are stated, the model has 2"),
    ],
)
def test_altered_witness_is_invalid(check: Check, old: str, new: str, reason: str) -> None:
    assert old in RIGHT
    code, stdout, stderr = check(RIGHT.replace(old, new))
    assert (code, stderr) == (1, "")
    assert stdout.startswith("invalid: ") and stdout.count("\n") == 1
    assert reason in stdout


@pytest.mark.parametrize(
    ("content", "named", "reason"),
    [
        ("unsat\n", True, "result: verdict is unsat; only `sat` results hold a witness"),
        ("timeout\n", True, "result: verdict is timeout; only `sat` results hold a witness"),
        ("sat\n", True, "result: verdict is sat; it holds no witness; was that written to files"),
        ("maybe\n", True, "no witness ((X_0 …) …) found; only `sat` results hold one"),
        ("sat\n((X_0 1.0) (Y_0 1.0))\n", True, "the witness has 1 inputs, the model 2"),
        ("sat\n((X_1 1.0) (X_0 1.0))\n", True, "X_1 out of order; expected X_0"),
        ("sat\n((X_0 one) (X_1 1.0))\n", True, "X_0: 'one' is not a number"),
        (RIGHT, False, "does not name its files; give QUERY and --network MODEL"),
        ('{"schema": 2}', True, "result schema 2, this vnnverify reads 1"),
        ('{"schema": 1}', True, "not a vnnverify result line"),
        ("{", True, "not a vnnverify result line"),
        ('{"a": ' + "[" * 100_000, True, "not a vnnverify result line"),
        (json.dumps({**RECORD, "model": "m", "query": "q", "verdict": "perhaps"}), True, "not a vnnverify"),
        (
            json.dumps({**RECORD, "model": "m", "query": "q", "verdict": "unsat", "witness": None}),
            True,
            "verdict is unsat; only `sat` results hold a witness",
        ),
        (
            json.dumps({**RECORD, "model": "m", "query": "q", "witness": {"x": ["one"], "y": []}}),
            True,
            "not a vnnverify result line",
        ),
    ],
)
def test_what_is_no_result_is_bad_input(check: Check, content: str, named: bool, reason: str) -> None:
    code, stdout, stderr = check(content, named=named)
    assert (code, stdout) == (2, "")
    assert stderr.startswith("vnnverify: error: ") and stderr.count("\n") == 1
    assert reason in stderr


@pytest.mark.parametrize(("point", "code"), [([1.0, -1.0], 0), ([0.5, -1.0], 1)])
def test_json_line_names_its_files(
    check: Check, tiny: Path, specs: Path, point: list[float], code: int
) -> None:
    witness = {"x": point, "y": [max(point), point[0] - point[1]], "rounded": 0}
    record = {**RECORD, "model": str(tiny), "query": str(specs / "tiny_sat.vnnlib"), "witness": witness}
    assert check(json.dumps(record) + "\n", named=False)[0] == code


def test_what_verify_writes_is_valid(
    vnnverify: Callable[..., Any], tiny: Path, specs: Path, tmp_path: Path
) -> None:
    """The round trip, by way of real processes."""
    path = tmp_path / "out.json"
    written = vnnverify(
        "verify", tiny, specs / "tiny_boxes.vnnlib", "--result-file", path, "--format", "json", "--seed", "7"
    )
    assert written.stdout.startswith("sat\n")
    done = vnnverify("check", path)
    assert (done.code, done.stdout, done.stderr) == (0, "valid\n", "")
