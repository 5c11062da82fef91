# SPDX-License-Identifier: Apache-2.0
"""A stranger's package, installed and used as a stranger would."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

Done = subprocess.CompletedProcess[str]
ROOT = Path(__file__).parents[2]


def decide(spec: str) -> tuple[str, ...]:
    query = f"specs/{spec}.vnnlib"
    return (
        "-m",
        "vnnverify",
        "verify",
        "models_onnx/tiny.onnx",
        query,
        "--backend",
        "dice",
        "--timeout",
        "60",
    )


COMMANDS = {
    "backends": ("-m", "vnnverify", "backends"),
    "unsat": decide("tiny_interval"),
    "sat": decide("tiny_sat"),
    "tests": ("-m", "pytest", "-q", "-p", "no:cacheprovider", "plugins/example/tests"),
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """What the commands come to where the example plugin is installed, two at a time."""
    target = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "example"
    subprocess.run(["cp", "-r", str(ROOT / "plugins" / "example"), str(source)], check=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*install, "--target", str(target), str(source)], check=True)
    environment = {**os.environ, "PYTHONPATH": str(target)}

    def run(words: tuple[str, ...]) -> Done:
        return subprocess.run(
            [sys.executable, *words], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
        )

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(COMMANDS, pool.map(run, COMMANDS.values()), strict=True))


def test_it_is_listed(done: dict[str, Done]) -> None:
    listed = done["backends"]
    assert listed.returncode == 0 and "dice" in listed.stdout and "random points refute" in listed.stdout


@pytest.mark.parametrize("verdict", ["unsat", "sat"])
def test_it_decides_a_query(done: dict[str, Done], verdict: str) -> None:
    assert done[verdict].returncode == 0, done[verdict].stderr
    assert done[verdict].stdout.splitlines()[0] == verdict


def test_its_own_tests_pass(done: dict[str, Done]) -> None:
    tests = done["tests"]
    assert tests.returncode == 0, tests.stdout[-2000:]
    assert "skipped" not in tests.stdout.splitlines()[-1] or "passed" in tests.stdout
