# SPDX-License-Identifier: Apache-2.0
"""Whatever a backend does, there is a verdict in time, it is not a wrong one, and nothing is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from vnnverify.errors import FileError, ModelError, SpecError, VnnverifyError
from vnnverify.process.handle import WorkerProcess
from vnnverify.process.job import Job, Progress
from vnnverify.process.supervisor import make_report, supervise
from vnnverify.results import Report
from vnnverify.verdict import Verdict

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the misbehaviour is that of POSIX")

ROOT = Path(__file__).parents[2]
MODEL = str(ROOT / "models_onnx" / "tiny.onnx")
QUERY = str(ROOT / "specs" / "tiny_sat.vnnlib")
LIMITS = (8.0, 16.0, 32.0)
"""Seconds given to a backend that overruns; more, should a busy machine not reach the backend in time."""
LATEST = 3.0
"""Seconds after the limit at which there must be a verdict."""

PLUGIN = '''
"""Backends that do what no backend should."""
import collections, itertools, os, resource, signal, sys, time
from collections.abc import Callable
from dataclasses import dataclass
import torch
from vnnverify import Backend, BackendInfo, NoOptions, Outcome, Query, hookimpl
from vnnverify.ir import Affine, Graph, Node, Value

NOTES = os.environ["NOTES"]

def note(name, text):
    with open(os.path.join(NOTES, name), "w") as file:
        file.write(str(text))

def spins():
    note("spins", os.getpid())
    while True: pass

def spins_in_c():
    note("spins_in_c", os.getpid())
    collections.deque(itertools.count(), maxlen=0)

def ignores_sigterm():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("ignores_sigterm", os.getpid())
    while True: time.sleep(0.01)

def leaves_a_child():
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(300)
        os._exit(0)
    note("leaves_a_child", child)
    return Outcome.unknown("the child has it")

def crashes(): os.kill(os.getpid(), signal.SIGSEGV)

def is_killed(): os.kill(os.getpid(), signal.SIGKILL)

def allocates():
    pages = int(open("/proc/self/statm").read().split()[0])
    most = pages * resource.getpagesize() + (256 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    hoard = []
    while True: hoard.append(bytes(8 << 20))

def raises(): raise RuntimeError("the beads\\nfell off")

def recurses(): return recurses()

def exits(): sys.exit(0)

def exits_at_once(): os._exit(0)

def prints():
    print('{"verdict": "unsat"}', flush=True)
    os.write(1, b'{"verdict": "unsat"}\\n')
    return Outcome.unknown("printed")

def closes_files():
    os.closerange(3, 64)
    return Outcome.unsat()

def returns_nothing(): return None

def returns_words(): return "unsat"

def lies(): return Outcome.sat(torch.tensor([-1.0, -1.0]))

def lies_with_nan(): return Outcome.sat(torch.full((2,), float("nan")))

def lies_in_another_shape(): return Outcome.sat(torch.ones(1, 2))

def without_witness():
    from vnnverify import Verdict
    return Outcome(Verdict.SAT)

def odd_statistics(): return Outcome.unknown("odd", inf=float("inf"), object=object, tensor=torch.ones(1))

def load(act):
    class Misbehaving(Backend[NoOptions]):
        def verify(self, query, ctx): return act()
    return Misbehaving

def hangs_at_load():
    note("hangs_at_load", os.getpid())
    while True: time.sleep(0.01)

def haunts(act):
    """A backend that leaves a network behind in which somebody lurks."""
    class Haunting(Backend[NoOptions]):
        def verify(self, query, ctx):
            last, new = query.graph.outputs[0], Value("haunted", query.graph.outputs[0].shape)
            nodes = (*query.graph.nodes, Node(Trap(act), (last,), new, "trap"))
            graph = Graph(query.graph.inputs, (new,), nodes)
            return Outcome.unknown("haunted", Query(graph, query.clauses, query.layout, query.source))
    return Haunting

@dataclass(frozen=True, slots=True, eq=False)
class Trap(Affine):
    act: Callable
    def linear(self, *inputs): self.act()
    def magnitude(self, *inputs): self.act()

def lurks_forever(): time.sleep(300)
def lurks_to_crash(): crashes()
def lurks_to_raise(): raises()
def lurks_to_exit(): os._exit(3)

@hookimpl
def vnnverify_backends():
    for act in (spins, spins_in_c, ignores_sigterm, leaves_a_child, crashes, is_killed, allocates, raises,
                recurses, exits, exits_at_once, prints, closes_files, returns_nothing, returns_words, lies,
                lies_with_nan, lies_in_another_shape, without_witness, odd_statistics):
        yield BackendInfo(name=act.__name__, summary="misbehaves", load=lambda act=act: load(act))
    for act in (lurks_forever, lurks_to_crash, lurks_to_raise, lurks_to_exit):
        yield BackendInfo(name=act.__name__, summary="misbehaves", load=lambda act=act: haunts(act))
    yield BackendInfo(name="hangs_at_load", summary="misbehaves", load=hangs_at_load)
'''

OVERRUNS = ("spins", "spins_in_c", "ignores_sigterm", "hangs_at_load")
ENDS: dict[str, tuple[Verdict, str]] = {
    "leaves_a_child": (Verdict.UNKNOWN, "leaves_a_child: the child has it"),
    "crashes": (Verdict.ERROR, "(killed by SIGSEGV; a crash in native code)"),
    "is_killed": (Verdict.ERROR, "(killed by SIGKILL; by another program, "),
    "allocates": (Verdict.ERROR, "allocates: failed: MemoryError"),
    "exits_at_once": (Verdict.ERROR, "the worker process ended without an answer (exit code 0)"),
    "closes_files": (Verdict.ERROR, "the worker process ended without an answer"),
}
"""Each in a process of its own."""
CONTAINED: dict[str, str] = {
    "raises": "failed: RuntimeError: the beads",
    "recurses": "failed: RecursionError: ",
    "exits": "failed: SystemExit: 0",
    "prints": "printed",
    "returns_nothing": "verify returned None, not an Outcome",
    "returns_words": "verify returned 'unsat', not an Outcome",
    "lies": "unconfirmed witness: the assertion in line 10 does not hold",
    "lies_with_nan": "unconfirmed witness: ",
    "lies_in_another_shape": "it said sat without a witness of shape (2,)",
    "without_witness": "it said sat without a witness of shape (2,)",
    "odd_statistics": "odd",
}
"""One after another in the same process."""
LURKS = ("lurks_forever", "lurks_to_crash", "lurks_to_raise", "lurks_to_exit")
"""They strike when the verdict is being explained."""


@dataclass(frozen=True)
class Run:
    """A job's report, its limit, and the seconds from start to report."""

    report: Report
    limit: float
    seconds: float


@pytest.fixture(scope="module")
def environment(
    install: Callable[[str, Mapping[str, str]], Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What makes a process find the plugin; its backends take notes in the folder NOTES."""
    folder = install("misbehaving", {"misbehaving": PLUGIN})
    return {
        "PYTHONPATH": str(folder),
        "NOTES": str(tmp_path_factory.mktemp("notes")),
        "OMP_NUM_THREADS": "1",
    }


@pytest.fixture(scope="module")
def runs(environment: dict[str, str]) -> dict[str, Run]:
    """Every backend once, several processes at a time."""

    def run(names: str, limit: float = 60.0) -> Run:
        started = time.monotonic()
        backends = tuple(names.split(","))
        job = Job(MODEL, QUERY, limit, backends, device="cpu", explain=names in LURKS)
        report = supervise(job, limit, started)
        return Run(report, limit, time.monotonic() - started)

    def run_over(name: str) -> Run:
        for limit in LIMITS:
            found = run(name, limit)
            if (Path(environment["NOTES"]) / name).exists():
                break
        return found

    names = (",".join(CONTAINED), *ENDS, *LURKS)
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(4) as pool:
        for key, value in environment.items():
            patch.setenv(key, value)
        over = pool.map(run_over, OVERRUNS)
        rest = pool.map(run, names)
        return dict(zip((*OVERRUNS, *names), (*over, *rest), strict=True))


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("name", OVERRUNS)
def test_overrun_is_a_timeout_in_time(name: str, runs: dict[str, Run]) -> None:
    run = runs[name]
    assert run.report.verdict is Verdict.TIMEOUT
    assert "stopped at the time limit" in run.report.reason
    assert (name in run.report.stats) == run.report.reason.startswith(f"{name}: ")
    assert run.limit <= run.seconds < run.limit + LATEST
    assert run.report.seconds == pytest.approx(run.seconds, abs=0.1)


@pytest.mark.parametrize("name", ENDS)
def test_misbehaviour_costs_its_own_verdict_only(name: str, runs: dict[str, Run]) -> None:
    verdict, reason = ENDS[name]
    report = runs[name].report
    assert report.verdict is verdict
    assert reason in report.reason
    assert "\n" not in report.reason
    assert report.witness is None
    assert runs[name].seconds < 30.0


@pytest.mark.parametrize("name", CONTAINED)
def test_misbehaviour_leaves_the_next_backend_its_turn(name: str, runs: dict[str, Run]) -> None:
    report = runs[",".join(CONTAINED)].report
    assert report.verdict is Verdict.ERROR
    assert report.witness is None
    reasons = dict(reason.split(": ", 1) for reason in report.reason.split("; "))
    assert list(reasons) == list(CONTAINED)
    assert CONTAINED[name] in reasons[name]
    assert [turn["reason"] for turn in report.stats[name]] == [reasons[name]]


@pytest.mark.parametrize("name", [*OVERRUNS, "leaves_a_child"])
def test_nothing_is_left_running(name: str, runs: dict[str, Run], environment: dict[str, str]) -> None:
    pid = int((Path(environment["NOTES"]) / name).read_text())
    killed = time.monotonic()
    while alive(pid) and time.monotonic() < killed + 10.0:
        time.sleep(0.05)
    assert not alive(pid)


@pytest.mark.parametrize("name", LURKS)
def test_explanation_that_fails_costs_no_verdict(name: str, runs: dict[str, Run]) -> None:
    report = runs[name].report
    assert (report.verdict, report.reason) == (Verdict.UNKNOWN, f"{name}: haunted")
    assert report.explanation is None
    assert report.seconds < 30.0


@pytest.fixture(scope="module")
def ask() -> Iterator[Callable[[Job], Report]]:
    """What a job comes to in one process for all of them."""
    with WorkerProcess() as worker:
        yield lambda job: make_report(job, job.seconds, 0.0, worker.ask(job, job.seconds))


def test_explanation_comes_if_asked_for_and_if_undecided(ask: Callable[[Job], Report]) -> None:
    def explained(query: str, *, explain: bool, **options: str) -> Report:
        spec = str(ROOT / "specs" / query)
        return ask(Job(MODEL, spec, 60.0, ("falsification",), options, device="cpu", explain=explain))

    report = explained("tiny_unsat.vnnlib", explain=True, rounds="1")
    assert report.verdict is Verdict.UNKNOWN and report.explanation is not None
    assert (report.explanation.clauses, report.explanation.open_clauses) == (1, (0,))
    assert any(line.startswith("--backend ") for line in report.explanation.advice)
    assert explained("tiny_unsat.vnnlib", explain=False, rounds="1").explanation is None
    assert explained("tiny_sat.vnnlib", explain=True).explanation is None


def test_progress_is_told_on_the_way() -> None:
    told: list[Progress] = []
    spec = str(ROOT / "specs" / "tiny_unsat.vnnlib")
    job = Job(MODEL, spec, 60.0, ("falsification", "zonotope"), {"rounds": "1"}, device="cpu")
    report = supervise(job, 60.0, time.monotonic(), progress=told.append)
    assert [step.stage for step in told] == ["query", "turn", "turn"]
    assert str(told[0]).startswith("2 inputs, 2 outputs, ")
    assert str(told[0]).endswith(", 1 clauses; trying falsification, zonotope")
    assert [step.details["backend"] for step in told[1:]] == list(report.stats)
    assert told[-1].details["verdict"] == report.verdict.value == "unsat"
    assert 0.0 < told[0].seconds <= told[1].seconds <= told[2].seconds <= report.seconds


def test_cancelled_run_ends_soon_and_leaves_nothing(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for key, value in {**environment, "NOTES": str(tmp_path)}.items():
        monkeypatch.setenv(key, value)
    cancelled = threading.Event()
    note = tmp_path / "spins"
    threading.Thread(target=_set_when, args=(note, cancelled), daemon=True).start()
    job = Job(MODEL, QUERY, 300.0, ("spins",), device="cpu")
    with pytest.raises(CancelledError):
        supervise(job, 300.0, time.monotonic(), cancelled=cancelled)
    assert not alive(int(note.read_text()))


def _set_when(path: Path, event: threading.Event) -> None:
    """Set the event once the file has content."""
    while not path.exists() or not path.read_text():
        time.sleep(0.02)
    event.set()


def test_what_a_progress_callback_raises_ends_the_run() -> None:
    def refuse(step: Progress) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        supervise(Job(MODEL, QUERY, 60.0, device="cpu"), 60.0, time.monotonic(), progress=refuse)


@pytest.mark.parametrize(
    ("model", "query", "kind"),
    [("none.onnx", QUERY, FileError), (QUERY, QUERY, ModelError), (MODEL, MODEL, SpecError)],
)
def test_bad_input_keeps_its_kind(
    model: str, query: str, kind: type[VnnverifyError], ask: Callable[[Job], Report]
) -> None:
    with pytest.raises(kind):
        ask(Job(model, query, 60.0, device="cpu"))


def test_odd_statistics_become_text(runs: dict[str, Run]) -> None:
    (stats,) = runs[",".join(CONTAINED)].report.stats["odd_statistics"]
    assert stats["inf"] == "Infinity"
    assert stats["object"] == "<class 'object'>"
    assert stats["tensor"] == "tensor([1.])"


def start(environment: Mapping[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "vnnverify", "verify", MODEL, QUERY, *arguments],
        env={**os.environ, **environment}, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_command_line_prints_the_verdict_in_time(environment: dict[str, str]) -> None:
    started = time.monotonic()
    process = start(environment, "--backend", "ignores_sigterm", "--timeout", "3.5")
    assert process.stdout is not None
    assert process.stdout.readline() == "timeout\n"
    assert 3.5 <= time.monotonic() - started < 3.5 + LATEST
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (0, "")
    assert stderr.startswith("timeout: undecided within the time limit\n")


def test_worker_does_not_outlive_a_killed_program(environment: dict[str, str]) -> None:
    """The worker shares stderr: that it is closed shows that the worker has ended."""
    numbers = (signal.SIGTERM, signal.SIGKILL)
    processes = [start(environment, "--backend", "spins", "--timeout", "300", "-v") for _ in numbers]
    for process, number in zip(processes, numbers, strict=True):
        assert process.stderr is not None
        assert any("trying spins" in line for line in process.stderr)
        process.send_signal(number)
        process.communicate(timeout=20)
        assert process.returncode == -number
