# SPDX-License-Identifier: Apache-2.0
"""The page on operators: its tables are current, its example package works."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from vnnverify.importer.registry import supported_operators
from vnnverify.ops.piecewise import Relu
from vnnverify.testing import check_operator

Done = subprocess.CompletedProcess[str]
ROOT = Path(__file__).parents[2]
SPEC = """
(declare-const X_0 Real) (declare-const X_1 Real) (declare-const Y_0 Real) (declare-const Y_1 Real)
(assert (>= X_0 1)) (assert (<= X_0 3)) (assert (>= X_1 -1)) (assert (<= X_1 1))
(assert (>= Y_0 {}))
"""


PROGRAM = """
import torch
from vnnverify.plugin.manager import load_plugins
from vnnverify.domains import interval
plugins = load_plugins()
plugins.install_rules()
assert not plugins.failures, plugins.failures
from vnnverify_softsign.operator import Softsign
print(interval.domain.find(Softsign()).__module__)
"""
COMMANDS = {
    "tests": ("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"),
    "show": ("-m", "vnnverify", "show", "m.onnx"),
    "sat": ("-m", "vnnverify", "verify", "m.onnx", "sat.vnnlib", "--timeout", "60"),
    "unsat": ("-m", "vnnverify", "verify", "m.onnx", "unsat.vnnlib", "--timeout", "60"),
    "rule": ("-c", PROGRAM),
}


@pytest.fixture(scope="module")
def softsign(page, labelled, lay_out, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """What the commands come to where the page's package is installed, two at a time.

    They are about a model of one node and two questions about it.
    """
    folder = tmp_path_factory.mktemp("softsign")
    run = lay_out(folder, labelled(page("docs/operators.md")))
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in "XY"]
    node = helper.make_node("Softsign", ["X"], ["Y"], name="soft")
    graph = helper.make_graph([node], "g", info[:1], info[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, folder / "m.onnx")
    (folder / "unsat.vnnlib").write_text(SPEC.format("0.751"))  # softsign(3) = 0.75
    (folder / "sat.vnnlib").write_text(SPEC.format("0.749"))
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(COMMANDS, pool.map(lambda words: run(*words), COMMANDS.values()), strict=True))


def test_tables_are_current() -> None:
    done = subprocess.run(
        [sys.executable, "docs/make_operators.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_operators_of_onnxruntime_are_named(page) -> None:
    (sentence,) = re.findall(r"\(`com.microsoft`\),(.*?)are read", page("docs/operators.md"), re.DOTALL)
    assert sorted(re.findall(r"`(\w+)`", sentence)) == supported_operators("com.microsoft")


def test_operators_of_scikit_learn_are_named(page) -> None:
    (sentence,) = re.findall(r"Of `ai.onnx.ml`,(.*?)are read", page("docs/operators.md"), re.DOTALL)
    assert sorted(re.findall(r"`(\w+)`", sentence)) == supported_operators("ai.onnx.ml")


def test_every_law_is_named(page) -> None:
    records = check_operator(Relu(), (3,))
    named = set(re.findall(r"`(check_\w+)`", page("docs/operators.md"))) - {"check_operator", "check_domain"}
    assert named == {record.check for record in records}


def test_its_own_tests_pass(softsign: dict[str, Done]) -> None:
    done = softsign["tests"]
    assert done.returncode == 0, done.stdout[-2000:]
    assert "3 passed" in done.stdout


def test_show_reads_and_bounds_it(softsign: dict[str, Done]) -> None:
    header, first, *rest = softsign["show"].stdout.splitlines()
    assert header.split() == ["node", "operator", "output", "parameters", "bounded"]
    assert first.split() == ["soft", "Softsign", "1×2", "0", "relaxed"]
    assert "  bound_propagation    yes" in rest
    assert any(row.startswith("  milp                 no: node 'soft'") for row in rest)


@pytest.mark.parametrize("verdict", ["sat", "unsat"])
def test_properties_are_decided(softsign: dict[str, Done], verdict: str) -> None:
    done = softsign[verdict]
    assert done.stdout.splitlines()[0] == verdict, done.stderr


def test_the_rule_is_used(softsign: dict[str, Done]) -> None:
    done = softsign["rule"]
    assert done.stdout.strip() == "vnnverify_softsign.rules", done.stderr
