# SPDX-License-Identifier: Apache-2.0
"""Properties in words."""

from __future__ import annotations

import pytest

from vnnverify.vnnlib.reading import parse_property
from vnnverify.vnnlib.words import in_words

DECLARED = "".join(f"(declare-const {name} Real)" for name in ("X_0", "X_1", "Y_0", "Y_1"))
BOX = "(assert (>= X_0 0))(assert (<= X_0 1))(assert (<= 0 X_1))(assert (<= X_1 1))"
ROWS = "".join(f"(assert (<= Y_0 {k}))" for k in range(8))
PART = "(and (>= X_0 0) (<= X_0 1) (>= X_1 0) (<= X_1 1) (>= Y_0 {}))"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOX + "(assert (>= Y_0 1.50))", "no input within the 4 bounds gives Y_0 ≥ 1.5"),
        (BOX + "(assert (> Y_0 Y_1))(assert (< Y_1 X_0))",
         "no input within the 4 bounds gives Y_0 > Y_1 and Y_1 < X_0"),
        (BOX + "(assert (or (>= Y_0 1) (and (<= Y_0 0) (<= Y_1 0))))",
         "no input within the 4 bounds gives (Y_0 ≥ 1 or (Y_0 ≤ 0 and Y_1 ≤ 0))"),
        (BOX + "(assert (<= (+ Y_0 (* 2 (- Y_1))) (- Y_1 1)))",
         "no input within the 4 bounds gives Y_0 + (2 * -Y_1) ≤ Y_1 - 1"),
        (BOX + ROWS, "no input within the 4 bounds gives "
         + " and ".join(f"Y_0 ≤ {k}" for k in range(6)) + " and 2 more"),
        (f"(assert (or {PART.format(1)} {PART.format(2)}))",
         "no input gives ((within 4 bounds on inputs, Y_0 ≥ 1) or (within 4 bounds on inputs, Y_0 ≥ 2))"),
        (BOX, "there is no input within the 4 bounds"),
        (BOX + "(assert (or (and (or (and (or (>= Y_0 1) (>= Y_1 1)) (>= Y_0 0)) (>= Y_0 3)) (>= Y_1 3))"
         " (>= Y_1 4)))",
         "no input within the 4 bounds gives (((…) and Y_1 ≥ 3) or Y_1 ≥ 4)"),
    ],
)  # fmt: skip
def test_sentence(text: str, words: str) -> None:
    assert in_words(parse_property(DECLARED + text)) == words
