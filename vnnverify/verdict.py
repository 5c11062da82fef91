# SPDX-License-Identifier: Apache-2.0
"""The possible answers, what a proof of `unsat` promises, and whether a backend can work on a query at all.

Writers spell the answers, not this enum.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from vnnverify.errors import UnsupportedOperator
from vnnverify.obstacle import Obstacle, ObstacleKind

__all__ = ["Guarantee", "Support", "Verdict"]


class Verdict(Enum):
    """VNN-LIB states the *negation* of a wish: `SAT` means a counterexample exists."""

    SAT = "sat"
    UNSAT = "unsat"
    UNKNOWN = "unknown"
    TIMEOUT = "timeout"
    ERROR = "error"

    @property
    def decided(self) -> bool:
        """Whether the query is settled."""
        return self in (Verdict.SAT, Verdict.UNSAT)


class Guarantee(Enum):
    """What a backend's `unsat` rests on."""

    REAL = "real"
    """Sound over the real numbers for the parameters as stored; rounding is accounted for."""
    FLOAT = "float"
    """Sound for the declared floating-point arithmetic."""
    STATISTICAL = "statistical"
    """About a randomised classifier, with a confidence; never printed as `unsat`."""


@dataclass(frozen=True, slots=True)
class Support:
    """Whether a backend can work on a query, and if not, why."""

    supported: bool
    reason: str = ""
    obstacle: Obstacle | None = None

    @classmethod
    def yes(cls) -> Support:
        """The backend can work on the query."""
        return cls(True)

    @classmethod
    def no(cls, reason: str, obstacle: Obstacle | None = None) -> Support:
        """The backend cannot; `reason` is a sentence for the user, `obstacle` the same for programs."""
        return cls(False, reason, obstacle or Obstacle(ObstacleKind.NOT_SUPPORTED))

    @classmethod
    def lacking(cls, error: UnsupportedOperator) -> Support:
        """The backend cannot: the domain it works with has no rule for an operator."""
        return cls.no(str(error), Obstacle.of(error))

    def __bool__(self) -> bool:
        return self.supported
