# SPDX-License-Identifier: Apache-2.0
"""The whole system, in process, on the networks and properties that are shipped."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from vnnverify.deadline import Deadline
from vnnverify.process.answering import verify
from vnnverify.process.job import Job

ROOT = Path(__file__).parents[1]
HARD = ("controller_hard", "mnist_mlp_hard", "mnist_cnn_hard")


def rows() -> list[tuple[str, str, str]]:
    with (ROOT / "specs" / "expected.csv").open(newline="") as file:
        return [(row["onnx"], row["vnnlib"], row["expected"]) for row in csv.DictReader(file)]


def decide(model: str, prop: str, seconds: float, *backends: str) -> str:
    job = Job(str(ROOT / model), str(ROOT / prop), seconds, tuple(backends), device="cpu")
    return str(verify(job, Deadline.after(seconds))["verdict"])


@pytest.mark.parametrize(("model", "prop", "expected"), rows(), ids=lambda text: Path(text).stem)
def test_verdict(model: str, prop: str, expected: str) -> None:
    hard = Path(prop).stem in HARD
    verdict = decide(model, prop, 3.0 if hard else 200.0)
    assert verdict == expected or (hard and verdict in ("unknown", "timeout"))


@pytest.mark.parametrize(
    ("model", "prop"), [row[:2] for row in rows() if row[2] == "sat"], ids=lambda text: Path(text).stem
)
def test_without_the_attack_nothing_sat_is_proved(model: str, prop: str) -> None:
    assert decide(model, prop, 5.0, "bound_propagation", "milp") != "unsat"
