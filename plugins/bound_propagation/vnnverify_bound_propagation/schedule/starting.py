# SPDX-License-Identifier: Apache-2.0
"""Whether there is time to begin a search, and what it comes to if there is none."""

from __future__ import annotations

from vnnverify import Deadline
from vnnverify.search import ActivationResult
from vnnverify_bound_propagation.branching.specifications import UnsafePolytope
from vnnverify_bound_propagation.schedule.settings import Settings

__all__ = ["in_time", "undecided"]


def in_time(polytopes: list[UnsafePolytope], each: float, deadline: Deadline, settings: Settings) -> bool:
    """Whether a search over these polytopes can begin, where a backward pass takes `each` seconds for each of
    them. It takes two passes before it looks at the clock."""
    return deadline.remaining() > settings.start_passes * each * len(polytopes)


def undecided(polytopes: list[UnsafePolytope], visited: int = 0) -> ActivationResult:
    """The result if the time has run out. `open_polytopes` are clauses."""
    stats = {"polytopes": len(polytopes), "subproblems": visited}
    return ActivationResult(sorted({polytope.clause for polytope in polytopes}), timed_out=True, stats=stats)
