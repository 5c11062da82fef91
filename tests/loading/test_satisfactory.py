# SPDX-License-Identifier: Apache-2.0
"""The acceptance suite of VNN-LIB 2.0, `vnnlib-satisfactory`: nothing wrong, and little undecided.

It is no dependency: pip install --no-deps vnnlib-satisfactory==1.0.1, with onnxscript and typer. All cases
run in this process, some through its own runner; a whole run of its command line starts 178 processes.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from vnnverify.deadline import Deadline
from vnnverify.errors import VnnverifyError
from vnnverify.plugin.capabilities import CAPABILITIES
from vnnverify.process.answering import verify
from vnnverify.process.job import Job

pytest.importorskip("vnntest", reason="vnnlib-satisfactory is not installed")
pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

CASES = 178
SECONDS = 120.0
"""Limit of a case; nearly all take less than one."""
MOST_UNSUPPORTED = 0.1
CONTRADICTORY = "network_isomorphic/network_isomorphic01"
"""Declares float16 for a float32 model; the standard, and the suite's own parser, refuse that."""


def claimed(flag: str) -> set[str]:
    return set(CAPABILITIES[flag]())


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Any], set[str]]:
    """All cases as files, and those that the suite takes for unsupported by what we claim."""
    from vnntest.core.evaluator import partition_by_support
    from vnntest.core.generator import generate_all_tests
    from vnntest.models.test_case import TestCase

    folder = tmp_path_factory.mktemp("satisfactory")
    before = os.getcwd()
    os.chdir(folder)
    try:
        manifest = generate_all_tests(suite="full", node_type=None)
    finally:
        os.chdir(before)
    made = folder / ".vnnlib-satisfactory" / "tests"
    found = [TestCase.from_manifest_entry(entry, made / entry["category"]) for entry in manifest]
    _, skipped = partition_by_support(
        found,
        claimed("onnx-operators"),
        claimed("multiple-network-theories"),
        claimed("hidden-node-theories"),
        claimed("multiple-input-output-theories"),
        claimed("arithmetic-complexity-theories"),
    )
    return found, {case.test_id for case in skipped}


def answer(case: Any) -> str:
    models = {name: str(path) for name, path in case.onnx_paths.items()}
    job = Job(models, str(case.vnnlib_path), SECONDS, device="cpu")
    try:
        return str(verify(job, Deadline.after(SECONDS))["verdict"])
    except VnnverifyError:
        return "refused"


def test_nothing_wrong_and_little_undecided(cases: tuple[list[Any], set[str]]) -> None:
    found, skipped = cases
    assert len(found) == CASES
    answers = {case.id: answer(case) for case in found}
    expected = {case.id: case.expected.value for case in found}
    wrong = {name for name, said in answers.items() if {said, expected[name]} == {"sat", "unsat"}}
    assert wrong == set()
    undecided = {name for name, said in answers.items() if said != expected[name]}
    assert undecided - skipped <= {CONTRADICTORY}
    assert len(undecided | skipped) <= MOST_UNSUPPORTED * CASES
    assert answers[CONTRADICTORY] == "refused"


def test_its_own_runner_understands_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner
    from vnntest.cli.main import app

    tool = tmp_path / "vnnverify"
    tool.write_text(f'#!/bin/sh\nexec {sys.executable} -m vnnverify "$@"\n')
    tool.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    for category in ("hidden", "network_equal"):
        done = CliRunner().invoke(
            app, ["run", "--solver", str(tool), "--test", category, "--timeout", "120.0"]
        )
        assert done.exit_code == 0, done.output
        report = json.loads((tmp_path / ".vnnlib-satisfactory" / "report.json").read_text())
        assert report["summary"]["passed"] == report["summary"]["total"] > 0, done.output
    for check in ("opset", "vnnlib", "serialise-assignments"):
        done = CliRunner().invoke(app, ["compliance", check, "--solver", str(tool)])
        assert done.exit_code == 0, done.output
