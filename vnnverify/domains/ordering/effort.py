# SPDX-License-Identifier: Apache-2.0
"""What answering one question may cost."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Effort", "Spent"]

LOOK = 256
"""Products after which the clock is looked at."""


class Spent(Exception):
    """The effort, or the time, is used up."""


class Effort:
    """Products of coefficients that are left, and a clock.

    Args:
        expired: whether the time is used up.
    """

    def __init__(self, expired: Callable[[], bool]) -> None:
        self._expired = expired
        self._left = 0
        self._look = 0

    def begin(self, products: int) -> None:
        """Allow so many products from here on."""
        self._left = self._look = products

    def spend(self, products: int) -> None:
        """Count so many products.

        Raises:
            Spent: there have been too many.
        """
        self._left -= products
        if self._left < self._look:
            self._look = self._left - LOOK
            if self._left < 0 or self._expired():
                raise Spent
