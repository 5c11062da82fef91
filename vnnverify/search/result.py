# SPDX-License-Identifier: Apache-2.0
"""What a search over the clauses of a query comes to."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from vnnverify.obstacle import Obstacle
from vnnverify.plugin.backend import Outcome
from vnnverify.query import Query
from vnnverify.sharing import Parcel

__all__ = ["SearchResult"]


@dataclass(frozen=True, slots=True, eq=False)
class SearchResult:
    """What is left when the search ends."""

    open_clauses: list[int]
    witness: Tensor | None = None  # (n,) float64, confirmed
    timed_out: bool = False  # whether the deadline has come; of no importance if nothing is open
    stats: Mapping[str, Any] = field(default_factory=dict)
    left: Parcel | None = None  # the open sub-problems, if they can be handed on

    def outcome(self, query: Query, why: str, obstacle: Obstacle | None = None, **stats: Any) -> Outcome:
        """The outcome of a backend that has searched this query.

        Args:
            why: what keeps the search from going on, if it is not the time; `obstacle` is the same as data.
            stats: further counters.
        """
        stats = {**self.stats, **stats}
        if self.witness is not None:
            return Outcome.sat(self.witness, **stats)
        if not self.open_clauses:
            return Outcome.unsat(**stats)
        residual = query.with_clauses(query.clauses[k] for k in self.open_clauses)
        reason = f"{len(self.open_clauses)} of {len(query.clauses)} clauses open"
        if self.timed_out:
            found = Outcome.timeout(reason, residual, **stats)
        else:
            found = Outcome.unknown(f"{reason}; {why}", residual, obstacle, **stats)
        return dataclasses.replace(found, left=self.left)
