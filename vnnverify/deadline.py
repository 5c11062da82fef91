# SPDX-License-Identifier: Apache-2.0
"""A point in monotonic time that is passed along explicitly."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

__all__ = ["Deadline", "OutOfTime"]


class OutOfTime(Exception):
    """A computation was given up at its deadline; whoever asked for it goes on without."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment at which work must stop, in seconds of `time.monotonic`."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """A deadline so many seconds from now; `math.inf` never expires."""
        return cls(time.monotonic() + seconds)

    @classmethod
    def never(cls) -> Deadline:
        """A deadline that never expires."""
        return cls(math.inf)

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - time.monotonic())

    @property
    def expired(self) -> bool:
        """Whether the moment has come."""
        return time.monotonic() >= self.at

    def check(self) -> None:
        """Go on.

        Raises:
            OutOfTime: the moment has come.
        """
        if self.expired:
            raise OutOfTime

    def share(self, fraction: float, at_least: float = 0.0) -> Deadline:
        """An earlier deadline: `fraction` of the time left, or `at_least` seconds if that is more."""
        left = self.remaining()
        if math.isinf(left):
            return self
        return Deadline.after(min(left, max(fraction * left, at_least)))
