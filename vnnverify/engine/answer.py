# SPDX-License-Identifier: Apache-2.0
"""What the engine has to say about a query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vnnverify.query import Query, Replay
from vnnverify.sharing import Parcel
from vnnverify.verdict import Guarantee, Verdict

__all__ = ["Answer"]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The answer to a query: a backend's outcome after the runner has replayed its witness, or what the
    turns of all backends have come to."""

    verdict: Verdict
    reason: str = ""
    witness: Replay | None = None
    guarantee: Guarantee = Guarantee.REAL
    backend: str = ""
    seconds: float = 0.0
    stats: Mapping[str, Any] = field(default_factory=dict)
    residual: Query | None = None
    left: Parcel | None = None
    final: bool = False  # more time would change nothing

    def __bool__(self) -> bool:
        raise TypeError(
            "an Answer has no truth value; compare answer.verdict with Verdict.SAT or Verdict.UNSAT"
        )
