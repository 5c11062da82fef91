# SPDX-License-Identifier: Apache-2.0
"""The script that compares a CUDA device with the CPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "cuda.py"


def run(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """The script over a folder of families."""
    command = [sys.executable, str(SCRIPT), str(folder), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device_it_says_that_nothing_was_checked(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 0 and not done.stderr
    assert done.stdout.startswith("torch finds no CUDA device here, so nothing was checked")


def test_the_file_is_not_in_the_way_of_the_package_of_its_name(tmp_path: Path) -> None:
    """A script beside it has it first on its path, where torch looks for NVIDIA's package."""
    script = tmp_path / "script.py"
    (tmp_path / "cuda.py").write_text(SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    real = tmp_path / "elsewhere" / "cuda" / "bindings"
    real.mkdir(parents=True)
    (real / "__init__.py").write_text("ANSWER = 42\n", encoding="utf-8")
    script.write_text(
        f"import sys\nsys.path.append({str(real.parents[1])!r})\n"
        "from cuda.bindings import ANSWER\nprint(ANSWER)\n",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, "-S", str(script)], capture_output=True, text=True, check=False)
    assert done.stdout == "42\n", done.stderr
