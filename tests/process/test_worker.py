# SPDX-License-Identifier: Apache-2.0
"""What a worker tells while it works."""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from vnnverify.deadline import Deadline
from vnnverify.engine.runner import make_context
from vnnverify.loading.loader import load_query
from vnnverify.process.answering import answers, verify
from vnnverify.process.helpers import ALONE
from vnnverify.process.job import Job
from vnnverify.process.session import MEMORY_EACH, Kept, others

ROOT = Path(__file__).parents[2]
HARD = (str(ROOT / "models_onnx" / "controller.onnx"), str(ROOT / "specs" / "controller_hard.vnnlib"))


def test_search_tells_how_it_stands_once_a_second(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Of sixteen boxes, over each of which the largest value is nearly reached."""
    model, text = HARD[0], Path(HARD[1]).read_text(encoding="utf-8").replace("1.1)", "0.999)")
    asserted = " ".join(re.findall(r"^\(assert (.*)\)$", text, re.MULTILINE))
    boxes = (asserted.replace("(>= X_0 -0.5)", f"(>= X_0 {-0.5 + k / 1000})") for k in range(16))
    declared = re.findall(r"^\(declare.*$", text, re.MULTILINE)
    prop = tmp_path / "harder.vnnlib"
    prop.write_text("\n".join([*declared, f"(assert (or {' '.join(f'(and {box})' for box in boxes)}))"]))
    verify(Job(*HARD, 0.0, ("zonotope",), device="cpu"), Deadline.after(0.0))  # imports what is needed
    told: list[dict[str, Any]] = []
    job = Job(model, str(prop), 2.5, ("zonotope",), device="cpu", progress=True)
    with caplog.at_level(logging.INFO, "vnnverify.process.telling"):
        (record,) = answers(job, Deadline.after(2.5), lambda said: told.append(said["progress"]))
    assert record["verdict"] == "timeout"
    stages = [said["stage"] for said in told]
    assert stages[0] == "query" and stages[-1] == "turn"
    searches = [said["details"] for said in told if said["stage"] == "search"]
    assert 1 <= len(searches) <= 5 and set(searches[0]) == {"backend", "visited", "open", "bound"}
    assert searches[0]["backend"] == "zonotope"
    pattern = r"zonotope: [\d,]+ sub-problems visited, [\d,]+ open, lowest bound -?[\d.e-]+"
    assert sum(bool(re.fullmatch(pattern, r.getMessage())) for r in caplog.records) == len(searches)


@pytest.mark.parametrize(
    ("memory", "started"), [(0, 3), (3 * MEMORY_EACH, 2), (3 * MEMORY_EACH - 1, 1), (2 * MEMORY_EACH - 1, 0)]
)
def test_a_limit_of_memory_lowers_the_number_of_processes(memory: int, started: int) -> None:
    """Four were asked for, this one among them; each counts on its part of the limit."""
    this, threads = psutil.Process(), torch.get_num_threads()
    before = set(this.children())
    job = Job(*HARD, 60.0, device="cpu", workers=4)
    ctx = make_context(load_query(*HARD), Deadline.after(60.0), device="cpu")
    try:
        with others(job, Kept(threads=4, memory=memory), ctx) as workers:
            assert (workers is None) == (started == 0)
            if workers is not None:
                time.sleep(ALONE)
                workers.idle()
            assert len(set(this.children()) - before) == started
        assert set(this.children()) == before
    finally:
        torch.set_num_threads(threads)
