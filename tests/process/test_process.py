# SPDX-License-Identifier: Apache-2.0
"""A worker process answers one job after another, as long as each leaves it as it was."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from vnnverify.process.handle import WorkerProcess
from vnnverify.process.job import Job

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the misbehaviour is that of POSIX")

ROOT = Path(__file__).parents[2]
MODEL = str(ROOT / "models_onnx" / "tiny.onnx")
SAT = str(ROOT / "specs" / "tiny_sat.vnnlib")
UNSAT = str(ROOT / "specs" / "tiny_interval.vnnlib")
WARMING = 240.0

PLUGIN = '''
"""Backends that leave something behind."""
import os, subprocess, sys, threading, time
import torch
from vnnverify import Backend, BackendInfo, NoOptions, Outcome, hookimpl

def leaves_nothing(): pass

def leaves_a_dtype(): torch.set_default_dtype(torch.float64)

def leaves_a_thread(): threading.Thread(target=time.sleep, args=(300,), daemon=True).start()

def leaves_a_child(): subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])

def allocates():
    hoard = []
    while True: hoard.append(bytearray(b"1") * (16 << 20))

def lets_children_allocate():
    code = "import time; x = bytearray(b'1') * (512 << 20); time.sleep(300)"
    for child in [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]: child.wait()

def load(act):
    class Careless(Backend[NoOptions]):
        def verify(self, query, ctx):
            act()
            return Outcome.unknown("done")
    return Careless

@hookimpl
def vnnverify_backends():
    for act in (leaves_nothing, leaves_a_dtype, leaves_a_thread, leaves_a_child, allocates,
                lets_children_allocate):
        yield BackendInfo(name=act.__name__, summary="careless", load=lambda act=act: load(act))
'''


def job(*backends: str, model: str = MODEL, query: str = SAT, seconds: float = 120.0) -> Job:
    return Job(model, query, seconds, backends, device="cpu")


@pytest.fixture
def hire(
    install: Callable[[str, Mapping[str, str]], Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., WorkerProcess]]:
    """Start a warm worker that finds the plugin."""
    monkeypatch.setenv("PYTHONPATH", f"{install('careless', {'careless': PLUGIN})}:{ROOT}")
    workers: list[WorkerProcess] = []

    def start(memory: int = 0) -> WorkerProcess:
        workers.append(WorkerProcess(threads=1, memory=memory, warm=True))
        assert workers[-1].ready(WARMING) == ""
        return workers[-1]

    yield start
    for worker in workers:
        worker.stop()


def test_one_process_answers_job_after_job(hire: Callable[..., WorkerProcess]) -> None:
    worker = hire()
    verdicts = []
    for query in (SAT, UNSAT, SAT, "none.vnnlib", UNSAT):
        answer = worker.ask(job(query=query), 120.0)
        verdicts.append(answer.get("verdict", answer.get("input_error")))
        assert worker.fit
    missing = "none.vnnlib: no such file, nor none.vnnlib.gz; check the path"
    assert verdicts == ["sat", "unsat", "sat", missing, "unsat"]
    left = worker.ask(job("falsification", query=UNSAT, seconds=0.0), 60.0)
    assert left["verdict"] == "timeout" and worker.fit


def test_what_leaves_a_trace_is_the_last_job(hire: Callable[..., WorkerProcess]) -> None:
    worker = hire()
    assert worker.ask(job("leaves_nothing"), 120.0)["reason"] == "leaves_nothing: done"
    assert worker.fit
    for name in ("leaves_a_dtype", "leaves_a_thread", "leaves_a_child"):
        assert worker.ask(job(name), 120.0)["reason"] == f"{name}: done"
        assert not worker.fit, name


def test_memory_beyond_the_limit_costs_one_job(hire: Callable[..., WorkerProcess]) -> None:
    worker = hire(memory=1 << 30)
    answer = worker.ask(job("allocates"), 120.0)
    assert (answer["verdict"], answer["cause"]) == ("error", "memory")
    assert not worker.fit
    worker = hire(memory=1 << 30)
    answer = worker.ask(job("lets_children_allocate"), 120.0)
    assert (answer["verdict"], answer["cause"]) == ("error", "memory")
    assert answer["reason"] == "stopped: memory passed the limit of 1 GiB"
    assert not worker.fit


def test_worker_that_cannot_start_says_why() -> None:
    with WorkerProcess(threads=1, memory=8 << 20, warm=True) as worker:
        assert worker.ready(WARMING) != ""
        assert not worker.fit


def test_answer_to_another_job_is_none(hire: Callable[..., WorkerProcess]) -> None:
    worker = hire()
    assert worker.ask(job(query=SAT), 0.0)["cause"] == "hang"
    time.sleep(0.5)
    answer = worker.ask(job(query=UNSAT), 60.0)
    assert answer["verdict"] == "error" and not worker.fit
