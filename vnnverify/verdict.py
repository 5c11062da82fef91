# SPDX-License-Identifier: Apache-2.0
"""The possible answers, and what a proof of `unsat` promises. Writers spell them, not this enum."""

from __future__ import annotations

from enum import Enum

__all__ = ["Guarantee", "Verdict"]


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
    """What a backend's positive answer is worth."""

    REAL = "real"
    """Sound over the real numbers for the parameters as stored; rounding is accounted for."""
    FLOAT = "float"
    """Sound for the declared floating-point arithmetic."""
    STATISTICAL = "statistical"
    """About a randomised classifier, with a confidence; never printed as `unsat`."""
