# SPDX-License-Identifier: Apache-2.0
"""What core does by itself: without plugins, models are shown, witnesses checked and values bounded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TINY = str(ROOT / "models_onnx" / "tiny.onnx")
SAT = str(ROOT / "specs" / "tiny_sat.vnnlib")

ALONE = """
import importlib.abc, importlib.metadata, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0].startswith("vnnverify_"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
importlib.metadata.entry_points = lambda **group: ()
"""


def alone(code: str, *arguments: str) -> str:
    """What a program prints where no plugin is installed."""
    done = subprocess.run(
        [sys.executable, "-c", ALONE + code, *arguments],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


COMMAND = "from vnnverify.commands import main\nsys.exit(main(sys.argv[1:]))"


def test_no_backend_is_listed() -> None:
    assert alone(COMMAND, "backends") == ""


def test_a_model_is_shown() -> None:
    shown = alone(COMMAND, "show", TINY, SAT)
    assert "relaxed/cases" in shown and "0 of 0 backends take it" in shown


def test_a_witness_is_checked(tmp_path: Path) -> None:
    witness = tmp_path / "witness.json"
    made = (
        "import vnnverify\n"
        f"result = vnnverify.verify({TINY!r}, {SAT!r}, timeout=60, device='cpu', isolated=False)\n"
        f"result.save({str(witness)!r}, 'json')\n"
    )
    subprocess.run([sys.executable, "-c", made], check=True, timeout=120)
    checked = alone(COMMAND, "check", str(witness))
    assert checked == "valid\n"


@pytest.mark.parametrize("method", ["interval", "crown"])
def test_values_are_bounded(method: str) -> None:
    code = (
        "import vnnverify\n"
        "found = vnnverify.bounds(sys.argv[1], vnnverify.Box([-1.0, -1.0], [1.0, 1.0]), method=sys.argv[2])\n"
        "print(bool((found.lower <= found.upper).all()))"
    )
    assert alone(code, TINY, method) == "True\n"
