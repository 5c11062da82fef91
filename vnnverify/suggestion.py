# SPDX-License-Identifier: Apache-2.0
"""The name that a mistyped one was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["did_you_mean"]

LIKE = 0.7
"""How alike two names must be, by the share of characters in common."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'NAME'?`, to be put behind what is wrong; empty where no known name is like `word`."""
    lower = {name.lower(): name for name in sorted(known)}
    close = get_close_matches(word.lower(), lower, n=1, cutoff=LIKE)
    return f"; did you mean {lower[close[0]]!r}?" if close else ""
