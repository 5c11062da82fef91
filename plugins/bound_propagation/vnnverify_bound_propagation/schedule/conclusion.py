# SPDX-License-Identifier: Apache-2.0
"""How searches begin and end: whether there is time for one, and what it comes to for the clauses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vnnverify import Deadline
from vnnverify.search import ActivationResult, SearchResult
from vnnverify_bound_propagation.branching.specifications import UnsafePolytope
from vnnverify_bound_propagation.schedule.settings import Settings

__all__ = ["concluded", "in_time", "undecided"]


def in_time(polytopes: list[UnsafePolytope], each: float, deadline: Deadline, settings: Settings) -> bool:
    """Whether a search over these polytopes can begin, where a backward pass takes `each` seconds for each of
    them. It takes two passes before it looks at the clock."""
    return deadline.remaining() > settings.start_passes * each * len(polytopes)


def undecided(polytopes: list[UnsafePolytope], visited: int = 0) -> SearchResult:
    """What a search comes to if the time has run out."""
    stats = {"polytopes": len(polytopes), "subproblems": visited}
    return SearchResult(_clauses(polytopes), timed_out=True, stats=stats)


def concluded(result: ActivationResult, left: list[UnsafePolytope], stats: Mapping[str, Any]) -> SearchResult:
    """What a search comes to for the clauses that its polytopes belong to.

    Args:
        left: the polytopes that it left open.
    """
    return SearchResult(_clauses(left), result.witness, result.timed_out, stats)


def _clauses(polytopes: list[UnsafePolytope]) -> list[int]:
    return sorted({polytope.clause for polytope in polytopes})
