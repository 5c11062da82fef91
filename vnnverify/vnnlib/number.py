# SPDX-License-Identifier: Apache-2.0
"""Decimal literals, exact, and the floats next to them."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

__all__ = ["MAX_DIGITS", "Number"]

MAX_DIGITS = 5_000
"""Longest literal read, in characters; the longest exact decimal of a float64 has 1,079."""


class Number:
    """A decimal literal: its text, its exact value, and the floats next to it. Not to be changed.

    Attributes:
        text: as written.
        nearest: the nearest float64; infinite if the literal is beyond its range.
    """

    __slots__ = ("_side", "nearest", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.nearest = float(text)
        self._side: int | None = None  # found when first asked for: most literals of a file never are

    def __repr__(self) -> str:
        return f"Number({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def value(self) -> Fraction:
        """The exact value."""
        return Fraction(Decimal(self.text))

    @property
    def side(self) -> int:
        """Where the exact value lies relative to `nearest`: −1 below, 0 equal, 1 above."""
        if self._side is None:
            self._side = _compare(self.text, self.nearest)
        return self._side

    @property
    def down(self) -> float:
        """The largest float64 that is not above the value."""
        return math.nextafter(self.nearest, -math.inf) if self.side < 0 else self.nearest

    @property
    def up(self) -> float:
        """The smallest float64 that is not below the value."""
        return math.nextafter(self.nearest, math.inf) if self.side > 0 else self.nearest

    def against(self, x: float) -> int:
        """The sign of x − value, exactly, for a finite x."""
        if x != self.nearest:
            return 1 if x > self.nearest else -1
        return -self.side


def _compare(text: str, nearest: float) -> int:
    """The sign of literal − float. Comparing decimals is exact; only their arithmetic rounds."""
    if math.isinf(nearest):
        return -1 if nearest > 0 else 1
    exact, rounded = Decimal(text), Decimal.from_float(nearest)
    return (exact > rounded) - (exact < rounded)
