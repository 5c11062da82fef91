# SPDX-License-Identifier: Apache-2.0
"""What a worker tells while it works."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest

from vnnverify.deadline import Deadline
from vnnverify.job import Job
from vnnverify.worker import answers, verify

ROOT = Path(__file__).parents[1]
HARD = (str(ROOT / "models_onnx" / "tiny.onnx"), str(ROOT / "specs" / "tiny_strict.vnnlib"))


def test_search_tells_how_it_stands_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    verify(Job(*HARD, 0.0, ("zonotope",), device="cpu"), Deadline.after(0.0))  # imports what is needed
    told: list[dict[str, Any]] = []
    job = Job(*HARD, 5.0, ("zonotope",), device="cpu", progress=True)
    with caplog.at_level(logging.INFO, "vnnverify.worker"):
        (record,) = answers(job, Deadline.after(5.0), lambda said: told.append(said["progress"]))
    assert record["verdict"] == "timeout"
    stages = [said["stage"] for said in told]
    assert stages[0] == "query" and stages[-1] == "turn"
    searches = [said["details"] for said in told if said["stage"] == "search"]
    assert 1 <= len(searches) <= 5 and set(searches[0]) == {"visited", "open", "bound"}
    pattern = r"[\d,]+ sub-problems visited, [\d,]+ open, lowest bound -?[\d.e-]+"
    assert sum(bool(re.fullmatch(pattern, r.getMessage())) for r in caplog.records) == len(searches)
