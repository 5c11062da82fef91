# SPDX-License-Identifier: Apache-2.0
"""The page on Python: its blocks run, one after another, and its tables name what there is."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import vnnverify
from vnnverify.bounds import METHODS, compute

ROOT = Path(__file__).parents[2]


@pytest.mark.long
def test_the_blocks_run_in_order(page: Callable[[str], str]) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", page("docs/python.md"), re.MULTILINE | re.DOTALL)
    assert len(blocks) > 8
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "sat False" and lines[1].startswith("(1, 2) float32 ")
    assert "True" in lines[lines.index("(declare-const X_0 Real)") :]
    assert {"specs/tiny_sat.vnnlib sat", "specs/tiny_unsat.vnnlib unsat"} <= set(lines)
    assert lines[-2:] == ["False", "['sat', 'unsat']"]


def test_keywords_and_methods_that_are_named_exist(page: Callable[[str], str]) -> None:
    text = page("docs/python.md")
    keywords = {
        *inspect.signature(vnnverify.verify).parameters,
        *inspect.signature(compute.bounds).parameters,
        *inspect.signature(vnnverify.Ball).parameters,
    }
    assert set(re.findall(r"`(\w+)=", text)) <= {*keywords, "margin", "tolerance", "decreasing"}
    assert set(METHODS) <= set(re.findall(r"`([a-z-]+)`", text.split("## Bounds")[1].split("\n## ")[0]))
    for name in re.findall(r"^\| `(?:Property)?\.(\w+)\(", text, re.MULTILINE):
        assert callable(getattr(vnnverify.Property, name))
    rows = text.split("## Results")[1].split("## Properties")[0]
    for cell in re.findall(r"^\| (`.*?) \|", rows, re.MULTILINE):
        assert all(hasattr(vnnverify.Result, name) for name in re.findall(r"`(\w+)`", cell))
