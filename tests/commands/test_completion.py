# SPDX-License-Identifier: Apache-2.0
"""Completion in the shell, as the README says to switch it on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; sys.argv[0] = 'vnnverify'; from vnnverify.commands import main; main()"


def asked(**environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True, text=True, check=True, cwd=ROOT, env={**os.environ, **environment},
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("vnnverify ver", "plain,verify"),
        ("vnnverify verify --time", "plain,--timeout"),
        ("vnnverify verify --dtype float6", "plain,float64"),
        ("vnnverify verify models_on", "file,models_on"),
        ("vnnverify show models_on", "file,models_on"),
    ],
)
def test_words_are_completed(words: str, expected: str) -> None:
    count = str(len(words.split()) - 1)
    assert asked(_VNNVERIFY_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=count) == f"{expected}\n"


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_each_shell_has_its_script(shell: str) -> None:
    assert f"_VNNVERIFY_COMPLETE={shell}_complete" in asked(_VNNVERIFY_COMPLETE=f"{shell}_source")


def test_readme_names_the_three_shells() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall("_VNNVERIFY_COMPLETE=([a-z]+)_source vnnverify", text) == ["bash", "zsh", "fish"]
