# SPDX-License-Identifier: Apache-2.0
"""Mistyped names, and what they were meant to be."""

from __future__ import annotations

import pytest

from vnnverify.suggestion import did_you_mean

NAMES = ("verify", "bench", "bound_propagation", "milp", "MILP2")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("veryfy", "verify"),
        ("VERIFY", "verify"),
        ("bench-", "bench"),
        ("bound-propagation", "bound_propagation"),
        ("mlip2", "MILP2"),
        ("abacus", ""),
        ("nope", ""),
        ("", ""),
    ],
)
def test_closest_name(word: str, meant: str) -> None:
    assert did_you_mean(word, NAMES) == (f"; did you mean {meant!r}?" if meant else "")


def test_nothing_is_known() -> None:
    assert did_you_mean("verify", ()) == ""
