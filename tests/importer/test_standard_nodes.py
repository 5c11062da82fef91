# SPDX-License-Identifier: Apache-2.0
"""The node tests of the ONNX standard: each float input varies in turn, the other inputs are constants.

What is read computes what onnxruntime computes, and lies within its bounds; the rest is refused in one line,
and the page of operators lists what that is.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from standard_nodes import outcomes, refused, table
from standard_nodes.judging import AGREES, WRONG

PAGE = Path(__file__).parents[2] / "docs" / "operators.md"
BEGIN, END = "<!-- begin: standard (made by make_operators.py) -->\n", "\n<!-- end: standard -->"
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize("letter", LETTERS)
def test_what_is_read_agrees_with_onnxruntime(letter: str) -> None:
    own = [one for one in outcomes() if one.variant.name.startswith(f"test_{letter}")]
    assert [one.why for one in own if one.kind == WRONG] == []


def test_most_are_read() -> None:
    first = [one for one in outcomes() if not one.variant.index]
    assert len([one for one in first if one.kind == AGREES]) >= 1280
    assert len(refused()) <= 60


def test_the_page_lists_what_is_refused() -> None:
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    listed, _, _ = rest.partition(END)
    assert listed.splitlines() == list(table()), "run python docs/make_operators.py --standard"
