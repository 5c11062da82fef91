# SPDX-License-Identifier: Apache-2.0
"""Witnesses of a small network, near and beyond their bounds, as the competition judges them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vnnverify.results import Witness
from vnnverify.results.vnnlib2 import read_assignment
from vnnverify.scoring.judge import Standing, judge
from vnnverify.suites.instances import Instance

ROOT = Path(__file__).parents[2]
TEXT = """
(declare-const X_0 Real) (declare-const X_1 Real) (declare-const Y_0 Real) (declare-const Y_1 Real)
(assert (>= X_0 -1.0)) (assert (<= X_0 0.1)) (assert (>= X_1 -1.0)) (assert (<= X_1 0.1))
(assert (>= Y_0 0.05))
"""
"""Y_0 is the greater of X_0 and X_1."""


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Instance:
    path = tmp_path_factory.mktemp("judge") / "p.vnnlib"
    path.write_text(TEXT)
    return Instance(0, "tiny", str(ROOT / "models_onnx"), "tiny.onnx", str(path), 10.0)


@pytest.mark.parametrize(
    ("x", "standing", "reason"),
    [
        ((0.09, 0.0), Standing.CORRECT, ""),
        ((0.1, 0.0), Standing.CORRECT, ""),
        ((float(np.float32(0.1)), 0.0), Standing.CORRECT, ""),  # above 0.1, but what the model reads
        ((0.10005, 0.0), Standing.TOLERANCE, "outside its bounds by 5e-05"),
        ((0.1011, 0.0), Standing.INVALID, "outside its bounds by 0.0011"),
        ((0.04999, 0.0), Standing.INVALID, "the assertion in line 4 does not hold"),
        ((-1.00005, 0.0), Standing.INVALID, "the assertion in line 4 does not hold"),
        ((0.09,), Standing.INVALID, "1 inputs, the property has 2"),
        ((float("nan"), 0.0), Standing.INVALID, ""),
    ],
)
def test_standing(x: tuple[float, ...], standing: Standing, reason: str, instance: Instance) -> None:
    found, why = judge(Witness(x, ()), instance)
    assert found is standing
    assert reason in why


def test_what_cannot_be_run_is_not_judged(tmp_path: Path) -> None:
    missing = Instance(0, "f", str(tmp_path), "none.onnx", "none.vnnlib", 10.0)
    found, why = judge(Witness((0.0, 0.0), ()), missing)
    assert found is Standing.UNJUDGED and "none.vnnlib" in why


SECOND = """
(vnnlib-version <2.0>)
(declare-network f (declare-input X real [1,2]) (declare-output Y real [1,2]))
(assert (and (>= X[0,0] -1.0) (<= X[0,0] 0.5) (>= X[0,1] -1.0) (<= X[0,1] 0.5)))
(assert (>= Y[0,0] 0.25))
"""
ASSIGNED = "sat\nX real [1,2]\n{}\n0.0\nY real [1,2]\n0.5\n0.5\n"


@pytest.mark.parametrize(
    ("first", "standing"),
    [
        ("0.5", Standing.CORRECT),
        ("0.50005", Standing.TOLERANCE),
        ("0.6", Standing.INVALID),
        ("0.1", Standing.INVALID),
    ],
)
def test_assignments_of_the_second_version(first: str, standing: Standing, tmp_path: Path) -> None:
    (tmp_path / "q.vnnlib").write_text(SECOND)
    instance = Instance(0, "f", str(ROOT / "models_onnx"), "tiny.onnx", str(tmp_path / "q.vnnlib"), 10.0)
    witness = read_assignment(ASSIGNED.format(first))
    assert judge(witness, instance)[0] is standing
    wrong = read_assignment(ASSIGNED.format(first).replace("Y real", "Z real"))
    assert judge(wrong, instance)[0] is Standing.INVALID
