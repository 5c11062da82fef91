# SPDX-License-Identifier: Apache-2.0
"""Whether there is time to begin a search, and what it comes to if there is none."""

from __future__ import annotations

from vnnverify import Deadline
from vnnverify.search import ActivationResult
from vnnverify_bound_propagation.branching.specifications import UnsafePolytope
from vnnverify_bound_propagation.schedule.settings import Settings

__all__ = ["in_time", "undecided"]


def in_time(goals: list[UnsafePolytope], each: float, deadline: Deadline, settings: Settings) -> bool:
    """Whether a search over these polytopes can begin, where a backward pass takes `each` seconds for each of
    them. It takes two passes before it looks at the clock."""
    return deadline.remaining() > settings.start_passes * each * len(goals)


def undecided(goals: list[UnsafePolytope], visited: int = 0) -> ActivationResult:
    """The result if the time has run out. `open_goals` are clauses."""
    stats = {"goals": len(goals), "subproblems": visited}
    return ActivationResult(sorted({goal.clause for goal in goals}), timed_out=True, stats=stats)
