# SPDX-License-Identifier: Apache-2.0
"""`vnnverify bench` loses nothing, whatever becomes of its workers or of itself."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from vnnverify.suites import Record, read_journal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the misbehaviour is that of POSIX")

ROOT = Path(__file__).parents[2]
PLUGIN = '''
"""What a backend does is said by the lower end of its first input."""
import ctypes, signal, time
from vnnverify import Backend, BackendInfo, NoOptions, Outcome, hookimpl

def crashes(): ctypes.string_at(0)

def spins():
    while True: pass

def ignores_sigterm():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True: time.sleep(0.01)

def hoards():
    hoard = []
    while True: hoard.append(bytearray(b"1") * (32 << 20))

ACTS = [None, crashes, spins, ignores_sigterm, hoards]

class Wild(Backend[NoOptions]):
    def verify(self, query, ctx):
        act = ACTS[round(-float(query.clauses[0].region.lower[0])) - 1]
        if act is not None: act()
        time.sleep(0.05)
        return Outcome.unsat()

@hookimpl
def vnnverify_backends():
    yield BackendInfo(name="wild", summary="does what it is told", load=lambda: Wild)
'''
TAME, CRASHES, SPINS, IGNORES, HOARDS = range(5)
LIMIT = 8.0
LATEST = 3.0
Suite = Callable[..., Path]


@pytest.fixture(scope="module")
def environment(install: Callable[[str, Mapping[str, str]], Path]) -> dict[str, str]:
    path = f"{install('wild', {'wild': PLUGIN})}{os.pathsep}{os.environ.get('PYTHONPATH', ROOT)}"
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def suite(tmp_path: Path, property_text: Callable[..., str], tiny: Path) -> Suite:
    """A list whose instances have `wild` do these acts."""

    def make(*acts: int, limit: float = 60.0) -> Path:
        folder = tmp_path / "family"
        folder.mkdir()
        (folder / "net.onnx").write_bytes(tiny.read_bytes())
        rows = []
        for number, act in enumerate(acts):
            box = "".join(f"(assert (>= X_{k} -{act + 1}.0))\n(assert (<= X_{k} 1.0))\n" for k in range(2))
            (folder / f"p{number}.vnnlib").write_text(property_text("(>= Y_0 9.0)", box=box))
            rows.append(f"net.onnx,p{number}.vnnlib,{limit}")
        (folder / "instances.csv").write_text("\r\n".join(rows))
        return folder / "instances.csv"

    return make


def bench(environment: dict[str, str], *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "vnnverify", "bench", *map(str, arguments), "--backend", "wild"],
        env=environment, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # in the background it is ignored
    )  # fmt: skip


def finish(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == code, stderr
    return stdout, stderr


def finished(folder: Path) -> int:
    path = folder / "journal.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for(process: subprocess.Popen[str], folder: Path, lines: int) -> None:
    """Until so many instances are finished, or the run is."""
    until = time.monotonic() + 200.0
    while finished(folder) < lines and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)


@pytest.mark.long
def test_faults_cost_their_own_instance(suite: Suite, environment: dict[str, str], tmp_path: Path) -> None:
    acts = (TAME, CRASHES, TAME, SPINS, IGNORES, HOARDS, TAME)
    out = tmp_path / "run"
    arguments = ("--out", out, "--jobs", "2", "--memory-limit", "1500M", "--json")
    stdout, stderr = finish(bench(environment, suite(*acts, limit=LIMIT), *arguments))
    records = read_journal(out)
    found = [(record.verdict.value, record.cause) for record in records]
    overrun = ("timeout", "hang")
    proved, crashed, hoarded = ("unsat", ""), ("error", "crash"), ("error", "memory")
    assert found == [proved, crashed, proved, overrun, overrun, hoarded, proved]
    assert all(LIMIT <= record.seconds < LIMIT + LATEST for record in (records[3], records[4]))
    summary = json.loads(stdout)
    assert (summary["finished"], summary["unsat"], summary["error"]) == (7, 3, 2)
    assert len(stderr.splitlines()) == 8 and "crash: the worker process ended" in stderr
    table = (out / "results.csv").read_text().splitlines()
    assert table[0].startswith("family,./net.onnx,./p0.vnnlib,0.0,unsat,")
    refused = finish(bench(environment, records[0].folder, "--out", out), 2)[1]
    assert (
        refused == f"vnnverify: error: {out}: exists already; go on with --resume, or choose another folder\n"
    )


@pytest.mark.long
def test_killed_run_goes_on_without_loss(suite: Suite, environment: dict[str, str], tmp_path: Path) -> None:
    out, rows = tmp_path / "run", suite(*[TAME] * 12)
    generator = random.Random(0)
    for kill in range(2):
        process = bench(environment, rows, "--out", out, "--resume")
        wait_for(process, out, finished(out) + generator.choice((1, 2, 3)))
        time.sleep(generator.uniform(0.0, 0.1))
        process.kill()
        process.communicate(timeout=60)
        assert kill == 0 or finished(out) > 0
    before = finished(out)
    with (out / "journal.jsonl").open("a") as file:
        file.write('{"schema": 1, "index": 11, "fam')
    finish(bench(environment, "--out", out, "--resume"))
    assert [record.index for record in read_journal(out)] == list(range(12))
    assert 2 <= before < 12
    assert len(list((out / "results" / "family").glob("*.json"))) == 12


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_run_says_what_is_there(
    number: signal.Signals, code: int, suite: Suite, environment: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    process = bench(environment, suite(TAME, IGNORES, limit=300.0), "--out", out)
    wait_for(process, out, 1)
    started = time.monotonic()
    process.send_signal(number)
    stdout, stderr = finish(process, code)
    assert time.monotonic() - started < LATEST + 3.0
    assert "1 of 2 instances left" in stdout and stderr.endswith("interrupted; go on with --resume\n")
    assert [record.index for record in read_journal(out)] == [0]


def test_contradiction_fails_the_run(suite: Suite, environment: dict[str, str], tmp_path: Path) -> None:
    rows = suite(TAME, TAME)
    rows.with_name("expected.csv").write_text("onnx,vnnlib,expected\nnet.onnx,p1.vnnlib,sat\n")
    out = tmp_path / "run"
    _, stderr = finish(bench(environment, rows, "--out", out, "--no-falsify"), 1)
    assert "WRONG unsat (expected sat)" in stderr
    (record,) = read_journal(out)
    assert isinstance(record, Record) and (record.index, record.contradicts) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "{out}"), "no instances given; name a list"),
        (("{rows}", "--out", "{out}", "--backend", "luck"), "no backend called 'luck'"),
        (
            ("{rows}", "--out", "{out}", "--cross-check", "milp"),
            "--cross-check takes the names of two backends",
        ),
        (("{rows}", "--out", "{out}", "--memory-limit", "much"), "expected a size, as in 8G"),
        (("{rows}", "--out", "{out}", "--only", "nothing"), "no instances are left to answer"),
        (("--out", "{out}", "--resume"), "name the folder given to `vnnverify bench --out`"),
    ],
)
def test_bad_usage_is_one_line(
    arguments: tuple[str, ...], message: str, suite: Suite, tmp_path: Path, inside: Callable[..., Any]
) -> None:
    out = tmp_path / "run"
    rows = suite(TAME)
    ended = inside("bench", *(text.format(rows=rows, out=out) for text in arguments))
    assert ended.code == 2 and message in ended.stderr and ended.stderr.count("\n") == 1
    assert not out.exists()
