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
from vnnverify.worker import answers

ROOT = Path(__file__).parents[1]
HARD = (str(ROOT / "models_onnx" / "tiny.onnx"), str(ROOT / "specs" / "tiny_strict.vnnlib"))


def test_search_tells_how_it_stands_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    told: list[dict[str, Any]] = []
    job = Job(*HARD, 3.5, ("zonotope",), device="cpu", progress=True)
    with caplog.at_level(logging.INFO, "vnnverify.worker"):
        (record,) = answers(job, Deadline.after(3.5), lambda said: told.append(said["progress"]))
    assert record["verdict"] == "timeout"
    stages = [said["stage"] for said in told]
    assert stages[0] == "query" and stages[-1] == "turn"
    searches = [said["details"] for said in told if said["stage"] == "search"]
    assert 1 <= len(searches) <= 4 and set(searches[0]) == {"visited", "open", "bound"}
    pattern = r"[\d,]+ sub-problems visited, [\d,]+ open, lowest bound -?[\d.e-]+"
    assert sum(bool(re.fullmatch(pattern, r.getMessage())) for r in caplog.records) == len(searches)
