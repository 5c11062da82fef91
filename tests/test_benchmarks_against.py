# SPDX-License-Identifier: Apache-2.0
"""The comparison with another verifier: what is run, how its answer is read, and what is counted."""

from __future__ import annotations

import gzip
import importlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Inside = Callable[..., str]
ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "benchmarks"

PLAIN = """
import sys
model, prop = (open(path, "rb").read() for path in sys.argv[1:3])
assert model[:1] == b"\\x08" and b"declare-const" in prop, "not unpacked"
print("holds")
"""
"""A tool that can read neither gzip nor anything else, and always says `unsat` in older words."""


@pytest.fixture
def against(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("against")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the family `shipped`: three properties of a shipped network, the last without verdict."""
    family = tmp_path_factory.mktemp("families") / "shipped"
    names = ("tiny_unsat", "tiny_sat", "tiny_tight")
    for name, path in [("tiny.onnx", ROOT / "models_onnx" / "tiny.onnx")] + [
        (f"{name}.vnnlib", ROOT / "specs" / f"{name}.vnnlib") for name in names
    ]:
        family.mkdir(exist_ok=True)
        (family / f"{name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    (family / "instances.csv").write_text("".join(f"tiny.onnx,{name}.vnnlib,10\n" for name in names))
    (family / "expected.csv").write_text(
        "onnx,vnnlib,expected\ntiny.onnx,tiny_unsat.vnnlib,unsat\ntiny.onnx,tiny_sat.vnnlib,sat\n"
    )
    return family.parent


def script(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPTS / name), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Inside:
    """What a script prints that is run in this process, and does not take the machine's measure."""

    def run(module: ModuleType, *arguments: str | Path) -> str:
        monkeypatch.setattr(module, "matmul_rate", lambda: 50.0)
        monkeypatch.setattr(sys, "argv", [f"{module.__name__}.py", *map(str, arguments)])
        module.main()
        return capsys.readouterr().out

    return run


def python(code: str) -> str:
    """A tool's command that runs `code` with model and property as arguments."""
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} {{model}} {{property}}"


def pair(
    against: ModuleType, ours: tuple[str, float], theirs: tuple[str, float], expected: str, family: str = "a"
) -> object:
    return against.Pair(
        family=family, model="m.onnx", prop=f"{ours[0]}_{theirs[0]}.vnnlib", expected=expected, limit=10.0,
        tool="other", command="other {model} {property}", options="", sample=1, first="vnnverify",
        runs=(against.Run(*ours), against.Run(*theirs)),
    )  # fmt: skip


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.long
def test_both_in_turn_and_again_from_the_log(
    folder: Path, tmp_path: Path, against: ModuleType, inside: Inside
) -> None:
    log = tmp_path / "log.jsonl"
    options = (folder, "--family", "shipped", "--timeout", "20", "--log", log)
    done = script("against.py", *options, "--tool", f"other={python(PLAIN)}", "--", "--seed", "1")
    assert done.returncode == 0, done.stderr

    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [record["first"] for record in records] == ["vnnverify", "other", "vnnverify"]
    assert [[run["verdict"] for run in record["runs"]] for record in records] == [
        ["unsat", "unsat"],
        ["sat", "unsat"],
        ["sat", "unsat"],
    ]
    assert all(record["options"] == "--seed 1" for record in records)

    row = next(line for line in done.stdout.splitlines() if line.startswith("| shipped "))
    assert cells(row)[1:4] == ["3", "2 / 1", "0 / 1"] and cells(row)[-1] == "1"
    assert "WRONG shipped tiny.onnx tiny_sat.vnnlib" in done.stdout
    assert "CONTRADICTION shipped tiny.onnx tiny_tight.vnnlib" in done.stdout
    assert "Wrong or in contradiction: 2\n" in done.stdout
    assert "Solved by vnnverify alone: 1\n" in done.stdout and "alone: none" in done.stdout
    assert re.search(
        r"with `--seed 1` / other as `.*matrix product.*in the same run: \d+ GFLOP/s", done.stdout
    )

    again = inside(against, *options, "--tool", "other", "--again")
    assert row in again.splitlines() and log.read_text().count("\n") == 3


def test_families_alone(folder: Path, against: ModuleType, inside: Inside) -> None:
    told = inside(importlib.import_module("families"), folder, "--only", "tiny_unsat", "--timeout", "20")
    row = cells(told.splitlines()[-1])
    assert row[:5] == ["shipped (tiny_unsat)", "1", "1", "0 / 1", "0"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--tool", "other=true {model}"], "expected NAME=COMMAND with {model} and {property}"),
        (["--tool", "other=no-such-verifier {model} {property}"], "there is no program no-such-verifier"),
        (["--tool", "other='true {model} {property}"], "No closing quotation"),
        (["--tool", "other=true {model} {property}", "--answer-regex", "("], "--answer-regex"),
        (["--tool", "other=true {model} {property}", "--sample", "0"], "--sample: expected 1 or more"),
        (["--tool", "other=true {model} {property}", "--only", "absent"], "no instance was chosen"),
        (["--tool", "other", "--again"], "--again needs --log"),
    ],
)
def test_bad_arguments(
    against: ModuleType,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["against.py", str(folder), *arguments])
    with pytest.raises(SystemExit, match="2"):
        against.main()
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("unsat\n", "unsat"),
        ("reading model\nSAT\n((X_0 0.5)\n(Y_0 1.0))\n", "sat"),
        ("Network: m.onnx\n\nTimeout\n", "timeout"),
        ("timed-out", "timeout"),
        ("holds", "unsat"),
        ("violated", "sat"),
        ("unknown\nverified\n", "unsat"),
        ("falsified (0.3 s)\n", "sat"),
        ("unsat\nverified 3 of 5 layers\nunknown option\n", "unsat"),
        ("error: cannot read\n", "error"),
        ("the property is unsat", ""),
        ("satisfied", ""),
        ("", ""),
    ],
)
def test_answer_in_the_usual_words(against: ModuleType, text: str, verdict: str) -> None:
    assert against.read_answer(text) == verdict


@pytest.mark.parametrize(
    ("pattern", "text", "verdict"),
    [
        (r"^result: (\w+)", "result: unknown\nresult: HOLDS\nsat\n", "unsat"),
        (r"^\w+(?= in)", "sat in 3 s", "sat"),
        (r"(?P<unsat>proven)|(?P<sat>counterexample)", "no counterexample yet\nproven\n", "unsat"),
        (r"(?P<unsat>proven)|(?P<sat>counterexample)", "gave up", ""),
        (r"^result: (\w+)", "result: maybe", ""),
    ],
)
def test_answer_by_pattern(against: ModuleType, pattern: str, text: str, verdict: str) -> None:
    assert against.read_answer(text, re.compile(pattern, re.IGNORECASE | re.MULTILINE)) == verdict


def test_places_of_the_command(against: ModuleType, tmp_path: Path) -> None:
    code = "import sys; open(sys.argv[4], 'w').write('sat' if sys.argv[3] == '7.5' else ''); print('unsat')"
    tool = against.Tool("other", tuple(shlex.split(f"{python(code)} {{timeout}} {{result}}")))
    model, prop = tmp_path / "a model", tmp_path / "a property"
    assert against.run(tool, model, prop, 7.5).verdict == "sat"
    assert against.run(tool, model, prop, 7.0).verdict == "error"


def test_no_answer_is_an_error_with_its_reason(against: ModuleType, tmp_path: Path) -> None:
    tool = against.Tool("other", tuple(shlex.split(python("raise SystemExit('out of licences')"))))
    found = against.run(tool, tmp_path, tmp_path, 10.0)
    assert found.verdict == "error"
    assert found.reason == "no answer, exit code 1: out of licences\n"


def test_a_tool_that_overruns_is_killed_with_its_children(against: ModuleType, tmp_path: Path) -> None:
    child = tmp_path / "child"
    shell = f"sleep 60 & echo $! > {shlex.quote(str(child))}; echo unsat; wait"
    started = time.monotonic()
    found = against.run(against.Tool("other", ("sh", "-c", shell)), tmp_path, tmp_path, 0.2)
    assert time.monotonic() - started < 0.2 + against.KILL_AFTER + 2.0
    assert found.verdict == "timeout" and found.wall >= 0.2 + against.KILL_AFTER
    deadline = time.monotonic() + 5.0  # the system needs a while to bury the dead
    while _running(int(child.read_text())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _running(int(child.read_text()))


def _running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def test_row_by_hand(against: ModuleType) -> None:
    pairs = [
        pair(against, ("unsat", 1.0), ("unsat", 4.0), "unsat"),
        pair(against, ("sat", 2.0), ("sat", 2.0), ""),
        pair(against, ("sat", 3.0), ("sat", 0.75), "sat"),
        pair(against, ("unsat", 8.0), ("unsat", 11.5), "unsat"),  # theirs comes too late
        pair(against, ("sat", 1.0), ("unsat", 1.0), "unsat"),  # ours is wrong
        pair(against, ("sat", 1.0), ("unsat", 1.0), "unknown"),  # one is wrong
        pair(against, ("timeout", 10.1), ("unsat", 10.5), "unsat"),  # theirs is just in time
    ]
    # ours: (1 + 2 + 3 + 8 + 20 + 20 + 20) / 7, theirs: (4 + 2 + 0.75 + 20 + 1 + 20 + 10.5) / 7
    assert cells(against.row("a", pairs)) == [
        "a", "7", "4 / 5", "1 / 0", "10.6 / 8.3", "2.5 / 2.0", "1.00", "1.00", "3",
    ]  # fmt: skip
    # ratios: 0.25, 1, 4 and one more
    more = [*pairs, pair(against, ("unsat", 8.0), ("unsat", 2.0), "unsat")]
    assert cells(against.row("a", more))[-3:] == ["1.41", "2.50", "4"]


def test_nothing_solved_has_neither_median_nor_ratio(against: ModuleType) -> None:
    row = against.row("a", [pair(against, ("timeout", 10.1), ("error", 0.1), "sat")])
    assert cells(row)[2:] == ["0 / 0", "0 / 0", "20.0 / 20.0", "– / –", "–", "–", "0"]


def test_total_is_over_all_families(against: ModuleType) -> None:
    one = pair(against, ("sat", 1.0), ("sat", 1.0), "sat", "a")
    two = pair(against, ("sat", 4.0), ("sat", 1.0), "sat", "b")
    names = [cells(line)[0] for line in against.table([one, two, one])[1:]]
    assert names == ["a", "b", "total"]
    assert len(against.table([one])) == 2


def test_lists_of_differences(against: ModuleType) -> None:
    pairs = [
        pair(against, ("unsat", 1.0), ("timeout", 12.0), "unsat"),
        pair(against, ("unknown", 1.0), ("sat", 2.0), ""),
        pair(against, ("sat", 1.0), ("unsat", 2.0), ""),
        pair(against, ("sat", 1.0), ("sat", 2.0), "sat"),
    ]
    text = "\n".join(against.differences(pairs))
    assert text == (
        "\nWrong or in contradiction: 1\n\n"
        "- a m.onnx sat_unsat.vnnlib: vnnverify sat 1.0 s, other unsat 2.0 s, nothing expected\n"
        "\nSolved by vnnverify alone: 1\n\n"
        "- a m.onnx unsat_timeout.vnnlib: vnnverify unsat 1.0 s, other timeout 12.0 s, expected unsat\n"
        "\nSolved by other alone: 1\n\n"
        "- a m.onnx unknown_sat.vnnlib: vnnverify unknown 1.0 s, other sat 2.0 s, nothing expected"
    )


def test_sample_and_latest_record(
    against: ModuleType, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: Inside
) -> None:
    real, ours = against.run, {"tiny_unsat.vnnlib": "unsat", "tiny_tight.vnnlib": "sat"}

    def run(tool: Any, model: Path, prop: Path, limit: float) -> Any:
        mine = tool.name == "vnnverify"
        return against.Run(ours[prop.name], 1.0) if mine else real(tool, model, prop, limit)

    monkeypatch.setattr(against, "run", run)
    log = tmp_path / "log.jsonl"
    words = (folder, "--timeout", "20", "--log", log)
    for answer, choice in (("unknown", ("--sample", "2")), ("violated", ("--only", "tight"))):
        inside(against, *words, *choice, "--tool", f"other={python(f'print({answer!r})')}")
    assert [json.loads(line)["prop"] for line in log.read_text().splitlines()] == [
        "tiny_unsat.vnnlib",
        "tiny_tight.vnnlib",
        "tiny_tight.vnnlib",
    ]
    told = inside(against, *words, "--again", "--tool", "other")
    assert "| shipped | 2 | 2 / 1 | 0 / 0 |" in told and "one instance in 2;" in told


def test_section_is_replaced_and_the_others_kept(against: ModuleType, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    for title, content in (("One", "first"), ("Two", "second"), ("One", "third\n")):
        against.write_section(title, content, readme)
    assert readme.read_text() == "# Benchmarks\n\n## Two\n\nsecond\n\n## One\n\nthird\n"
