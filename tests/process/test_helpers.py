# SPDX-License-Identifier: Apache-2.0
"""Real worker processes that take parcels: what they answer, that they can die, and that none is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch

from vnnverify import Query
from vnnverify.loading.loader import load_query
from vnnverify.process.helpers import Workers
from vnnverify.process.job import Job
from vnnverify.search.boxes import Boxes
from vnnverify.sharing import Parcel

ROOT = Path(__file__).parents[2]
MODEL = str(ROOT / "models_onnx" / "tiny.onnx")
SAT, UNSAT = str(ROOT / "specs" / "tiny_sat.vnnlib"), str(ROOT / "specs" / "tiny_unsat.vnnlib")
PATIENCE = 120.0
"""Seconds that anything may take on a busy machine."""


def roots(query: Query) -> Parcel:
    """The whole query as a parcel."""
    lower = torch.stack([c.region.lower for c in query.clauses]).float()
    upper = torch.stack([c.region.upper for c in query.clauses]).float()
    count = len(query.clauses)
    excluded = torch.zeros(count, max(len(c.unsafe) for c in query.clauses), dtype=torch.bool)
    bound = torch.full((count,), -float("inf"))
    return Boxes(lower, upper, torch.arange(count), bound, excluded).pack(query.clauses)


@contextlib.contextmanager
def gathered(count: int, threads: int) -> Iterator[Workers]:
    """Workers that wait for parcels."""
    with Workers(Job(MODEL, SAT, 60.0), count, threads, alone=0.0) as workers:
        assert workers.idle() == 0
        latest = time.monotonic() + PATIENCE
        while workers.idle() < count and time.monotonic() < latest:
            time.sleep(0.05)
        assert workers.idle() == count
        yield workers


def children() -> set[int]:
    """Processes that this one has started."""
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """One member, with a thread of its own out of two."""
    threads = torch.get_num_threads()
    with gathered(1, 2) as workers:
        yield workers
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)


@pytest.mark.parametrize("backend", ["zonotope", "bound_propagation"])
def test_nothing_is_left_of_what_is_proved(backend: str, workers: Workers) -> None:
    team = workers.turn(backend)
    number = team.give(roots(load_query(MODEL, UNSAT)), PATIENCE)
    assert workers.idle() == 0 and torch.get_num_threads() == 1
    (found,) = team.take(PATIENCE)
    assert workers.idle() == 1 and torch.get_num_threads() == 2
    assert found.number == number and found.witness is None and found.stats["boxes"] > 0
    assert found.left is not None and found.left.stuck == ()
    assert len(found.left) == 0


def test_a_witness_comes_back(workers: Workers) -> None:
    query = load_query(MODEL, SAT)
    team = workers.turn("zonotope")
    team.give(roots(query), PATIENCE)
    (found,) = team.take(PATIENCE)
    assert found.witness is not None and query.source.replay(found.witness).valid


def test_what_was_given_in_one_turn_is_nobodys_in_the_next(workers: Workers) -> None:
    workers.turn("zonotope").give(roots(load_query(MODEL, SAT)), PATIENCE)
    team = workers.turn("zonotope")
    while not workers.idle():
        time.sleep(0.05)
    assert team.take(0.0) == []


def test_a_backend_that_knows_no_parcels_decides_whole_clauses_or_nothing(workers: Workers) -> None:
    parcel = roots(load_query(MODEL, UNSAT))
    for backend, decides in (("milp", True), ("falsification", False)):
        team = workers.turn(backend)
        team.give(parcel, 1.0)
        (found,) = team.take(PATIENCE)
        assert workers.idle() == 1
        if decides:
            assert found.left is not None and len(found.left) == 0
        else:
            assert found.left is None


def test_the_parcel_of_a_worker_that_dies_is_lost_not_proved() -> None:
    before = children()
    with gathered(2, 4) as workers:
        members = children() - before
        for member in members:
            os.kill(member, signal.SIGSTOP)
        team, parcel = workers.turn("zonotope"), roots(load_query(MODEL, UNSAT))
        numbers = {team.give(parcel, PATIENCE), team.give(parcel, PATIENCE)}
        for member in members:
            os.kill(member, signal.SIGKILL)
        found = []
        while len(found) < 2:
            found += team.take(PATIENCE)
        assert {one.number for one in found} == numbers
        assert [(one.left, one.witness) for one in found] == [(None, None)] * 2
        assert workers.idle() == 0
    assert children() == before


ENDLESS = """
(declare-const X_0 Real) (declare-const X_1 Real) (declare-const Y_0 Real) (declare-const Y_1 Real)
(assert (>= X_0 -1.0)) (assert (<= X_0 1.0)) (assert (>= X_1 -1.0)) (assert (<= X_1 1.0))
(assert (>= (- (* 2.0 Y_0) Y_1) (+ X_0 X_1 0.0000001)))
"""
"""The two sides are equal but for the last number, which halving the box cannot find out."""


def test_no_worker_outlives_a_killed_program(tmp_path: Path) -> None:
    """A search that takes long is shared; whoever shares it ends with the program."""
    query = tmp_path / "endless.vnnlib"
    query.write_text(ENDLESS)
    command = [sys.executable, "-m", "vnnverify", "verify", MODEL, str(query)]
    program = subprocess.Popen(
        [*command, "--timeout", str(PATIENCE), "--backend", "zonotope", "--workers", "3"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    latest = time.monotonic() + PATIENCE
    workers: list[psutil.Process] = []
    while len(workers) < 3 and program.poll() is None and time.monotonic() < latest:
        time.sleep(0.1)
        workers = psutil.Process(program.pid).children(recursive=True)
    program.kill()
    program.wait()
    assert len(workers) == 3
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
