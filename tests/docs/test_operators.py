# SPDX-License-Identifier: Apache-2.0
"""The page on operators: its tables are current, its example package works."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from vnnverify.ops.piecewise import Relu
from vnnverify.testing import check_operator

ROOT = Path(__file__).parents[2]
SPEC = """
(declare-const X_0 Real) (declare-const X_1 Real) (declare-const Y_0 Real) (declare-const Y_1 Real)
(assert (>= X_0 1)) (assert (<= X_0 3)) (assert (>= X_1 -1)) (assert (<= X_1 1))
(assert (>= Y_0 {}))
"""


@pytest.fixture
def softsign(page, labelled, stranger, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The page's package, with a model of one node and two questions about it."""
    run = stranger(labelled(page("docs/operators.md")))
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in "XY"]
    node = helper.make_node("Softsign", ["X"], ["Y"], name="soft")
    graph = helper.make_graph([node], "g", info[:1], info[1:])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
        tmp_path / "m.onnx",
    )
    (tmp_path / "unsat.vnnlib").write_text(SPEC.format("0.751"))  # softsign(3) = 0.75
    (tmp_path / "sat.vnnlib").write_text(SPEC.format("0.749"))
    return run


def test_tables_are_current() -> None:
    done = subprocess.run(
        [sys.executable, "docs/make_operators.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_law_is_named(page) -> None:
    records = check_operator(Relu(), (3,))
    named = set(re.findall(r"`(check_\w+)`", page("docs/operators.md"))) - {"check_operator", "check_domain"}
    assert named == {record.check for record in records}


def test_its_own_tests_pass(softsign) -> None:
    done = softsign("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "3 passed" in done.stdout


def test_show_reads_and_bounds_it(softsign) -> None:
    done = softsign("-m", "vnnverify", "show", "m.onnx")
    first, *rest = done.stdout.splitlines()
    assert first.split() == ["soft", "Softsign", "1×2", "0", "relaxed"]
    assert "  bound_propagation    yes" in rest
    assert any(row.startswith("  milp                 no: node 'soft'") for row in rest)


@pytest.mark.parametrize("verdict", ["sat", "unsat"])
def test_properties_are_decided(softsign, verdict: str) -> None:
    done = softsign("-m", "vnnverify", "verify", "m.onnx", f"{verdict}.vnnlib", "--timeout", "60")
    assert done.stdout.splitlines()[0] == verdict, done.stderr


def test_the_rule_is_used(softsign) -> None:
    program = """
import torch
from vnnverify.plugins import load_plugins
from vnnverify.domains import interval
plugins = load_plugins()
plugins.install_rules()
assert not plugins.failures, plugins.failures
from vnnverify_softsign.operator import Softsign
print(interval.domain.find(Softsign()).__module__)
"""
    done = softsign("-c", program)
    assert done.stdout.strip() == "vnnverify_softsign.rules", done.stderr
