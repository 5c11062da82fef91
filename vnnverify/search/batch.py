# SPDX-License-Identifier: Apache-2.0
"""How many sub-problems to bound at once."""

from __future__ import annotations

__all__ = ["BatchSize"]

FORGET = 0.7
"""Weight of earlier steps relative to the newest one."""
OVERHEAD = 0.5
"""A batch grows until the fixed cost of a step is at most this part of its time, however long that is."""
TRIAL = 1.0
"""Seconds up to which a step is thought to be mostly fixed cost while only one size has been seen."""


class BatchSize:
    """Follows how a step's time depends on its size, a + b·n, and chooses n.

    Args:
        first: size of the first batch.
        most: largest size.
        seconds: what a step should take, unless the fixed cost a alone makes that wasteful.
    """

    def __init__(self, first: int, most: int, seconds: float) -> None:
        self.size = min(first, most)
        self.most = most
        self.seconds = seconds
        self._sums = [0.0] * 5  # weights, n, t, n·n, n·t

    def took(self, count: int, seconds: float) -> None:
        """A step over `count` sub-problems has taken so long; adapts `size`, by a factor of four at most."""
        new = (1.0, count, seconds, count * count, count * seconds)
        self._sums = [FORGET * old + term for old, term in zip(self._sums, new, strict=True)]
        weight, n, t, nn, nt = self._sums
        spread = weight * nn - n * n
        if spread > 1e-3 * weight * nn:
            each = min(max((weight * nt - n * t) / spread, 1e-3 * t / n), t / n)
            fixed = (t - each * n) / weight
            wish = max((self.seconds - fixed) / each, fixed / each * (1 - OVERHEAD) / OVERHEAD)
        else:
            wish = max(self.seconds * n / t, 2.0 * count if seconds < TRIAL else 0.0)
        self.size = int(min(self.most, max(1.0, self.size / 4, min(wish, 4.0 * self.size))))
