# SPDX-License-Identifier: Apache-2.0
"""A stranger's package, installed and used as a stranger would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def with_example(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the example plugin is installed."""
    target = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "example"
    subprocess.run(["cp", "-r", str(ROOT / "plugins" / "example"), str(source)], check=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*install, "--target", str(target), str(source)], check=True)
    return {**os.environ, "PYTHONPATH": str(target)}


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_it_is_listed(with_example: dict[str, str]) -> None:
    done = run(with_example, "-m", "vnnverify", "backends")
    assert done.returncode == 0 and "dice" in done.stdout and "random points refute" in done.stdout


@pytest.mark.parametrize(("spec", "verdict"), [("tiny_interval", "unsat"), ("tiny_sat", "sat")])
def test_it_decides_a_query(with_example: dict[str, str], spec: str, verdict: str) -> None:
    done = run(
        with_example, "-m", "vnnverify", "verify", "models_onnx/tiny.onnx", f"specs/{spec}.vnnlib",
        "--backend", "dice", "--timeout", "60",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == verdict


def test_its_own_tests_pass(with_example: dict[str, str]) -> None:
    done = run(with_example, "-m", "pytest", "-q", "-p", "no:cacheprovider", "plugins/example/tests")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "skipped" not in done.stdout.splitlines()[-1] or "passed" in done.stdout
