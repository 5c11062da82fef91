# SPDX-License-Identifier: Apache-2.0
"""What the page on plugins says a user sees of a broken plugin is what a user sees."""

from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

Done = subprocess.CompletedProcess[str]

ROOT = Path(__file__).parents[2]
TINY, SPEC = str(ROOT / "models_onnx" / "tiny.onnx"), str(ROOT / "specs" / "tiny_interval.vnnlib")
PROJECT = """
[project]
name = "vnnverify-dice"
version = "1"
[project.entry-points.vnnverify]
dice = "vnnverify_dice"
"""
HEAD = "from vnnverify import BackendInfo, hookimpl\n"
OFFER = """
def load():
    from backend import Mine
    return Mine

@hookimpl
def vnnverify_backends():
    yield BackendInfo(name="dice", summary="…", load=load)
"""
BACKEND = """
import os, time, torch
from vnnverify import Backend, Outcome

class Mine(Backend):
    def verify(self, query, ctx):
        {}
"""

LISTED = {
    "the module does not import": "import solver",
    "a misspelt hook": "@hookimpl\ndef vnnverify_backend(): return ()",
    "a hook raises": "@hookimpl\ndef vnnverify_backends(): raise RuntimeError('no luck')",
    "a hook yields something else": "@hookimpl\ndef vnnverify_commands(): yield 'hello'",
    "two backends of one name": OFFER.replace('"dice"', '"milp"'),
}
ANSWERS = {
    "`verify` raises": ("1 / 0", "error", 1),
    "a witness is refuted": (
        "return Outcome.sat(torch.zeros(query.graph.input_size))", "unknown", 0
    ),
    "it hangs": ("time.sleep(60)", "timeout", 0),
    "it kills the process": ("os._exit(3)", "error", 1),
}  # fmt: skip


def promised(text: str, case: str) -> list[str]:
    """What the page quotes for a case: the pieces between ellipses of its last code span."""
    (row,) = re.findall(rf"^\| {re.escape(case)} \| (.*) \|$", text, re.MULTILINE)
    quoted = [span for span in re.findall(r"`([^`]*)`", row) if span != "-vv"][-1]
    return [part.strip() for part in quoted.split("…") if part.strip()]


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def with_all_broken(lay_out, tmp_path_factory: pytest.TempPathFactory) -> tuple[Done, Done]:
    """The lists of backends and the verdict where all of these are installed: dice0, dice1, …"""
    folder = tmp_path_factory.mktemp("broken")
    for number, source in enumerate(LISTED.values()):
        name = f"dice{number}"
        files = {
            "pyproject.toml": PROJECT.replace("dice", name),
            f"vnnverify_{name}.py": HEAD + source,
        }
        run = lay_out(folder, files)
    return run("-m", "vnnverify", "backends"), run("-m", "vnnverify", "verify", TINY, SPEC, "--timeout", "60")


@pytest.mark.parametrize(("number", "case"), list(enumerate(LISTED)))
def test_it_is_listed_and_the_others_go_on(
    page, with_all_broken: tuple[Done, Done], number: int, case: str
) -> None:
    listed, decided = with_all_broken
    assert listed.returncode == 0 and "\nfalsification " in listed.stdout
    parts = [part.replace("dice:", f"dice{number}:") for part in promised(page("docs/plugins.md"), case)]
    lines = listed.stdout.splitlines()
    assert parts and any(all(part in line for part in parts) for line in lines), listed.stdout
    assert decided.stdout == "unsat\n", decided.stderr


def test_asked_for_by_name(page, stranger) -> None:
    run = stranger({"pyproject.toml": PROJECT, "vnnverify_dice.py": "import solver"})
    assert run("-m", "vnnverify", "doctor").returncode == 1
    done = run("-m", "vnnverify", "verify", TINY, SPEC, "--backend", "dice")
    assert done.returncode == 2 and done.stdout == ""
    assert all(p in done.stderr for p in promised(page("docs/plugins.md"), "its backend is asked for"))


def test_load_raises(page, stranger) -> None:
    run = stranger({"pyproject.toml": PROJECT, "vnnverify_dice.py": HEAD + OFFER})
    done = run("-m", "vnnverify", "verify", TINY, SPEC, "--backend", "dice")
    assert done.returncode == 2 and done.stdout == ""
    assert all(part in done.stderr for part in promised(page("docs/plugins.md"), "`load` raises"))


@pytest.fixture(scope="module")
def answered(lay_out, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """What comes of each misbehaviour, two at a time."""

    def answer(case: str) -> Done:
        files = {
            "pyproject.toml": PROJECT,
            "vnnverify_dice.py": HEAD + OFFER,
            "backend.py": BACKEND.format(ANSWERS[case][0]),
        }
        run = lay_out(tmp_path_factory.mktemp("misbehaving"), files)
        seconds = "6" if case == "it hangs" else "60"
        return run("-m", "vnnverify", "verify", TINY, SPEC, "--backend", "dice", "--timeout", seconds)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(ANSWERS, pool.map(answer, ANSWERS), strict=True))


@pytest.mark.parametrize("case", ANSWERS)
def test_its_verdict_is_contained(page, answered: dict[str, Done], case: str) -> None:
    _, verdict, code = ANSWERS[case]
    done = answered[case]
    assert (done.stdout, done.returncode) == (f"{verdict}\n", code), done.stderr
    expected = promised(page("docs/plugins.md"), case)
    assert all(flat(part) in flat(done.stderr) for part in expected), (expected, done.stderr)
