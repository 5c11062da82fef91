# SPDX-License-Identifier: Apache-2.0
"""What is said of each turn of a backend, and which of its counters are understood.

A backend may count what it likes under any name. Of these names it is known what they mean:

| name | meaning |
|---|---|
| `subproblems`, `boxes`, `nodes` | sub-problems that the search has visited |
| `open_subproblems`, `open_boxes` | sub-problems left when it ended |
| `lowest_bound`, `worst_bound` | the lowest bound of the margins of what is open, as far as it is known |
| `best_margin` | the least margin at any input that was tried |
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["TURN", "Statistics"]

TURN = ("verdict", "seconds", "reason", "open_clauses", "obstacle")
"""What the record of a turn says beside the backend's own counters: its verdict, how long it took, why it
decided nothing (in a sentence, and as data: `kind` and what belongs to that, see `Obstacle`) and how many
clauses were left open."""

_VISITED = ("subproblems", "boxes", "nodes")
_OPEN = ("open_subproblems", "open_boxes")
_BOUNDS = ("lowest_bound", "worst_bound")
_MARGIN = "best_margin"


@dataclass(frozen=True, slots=True)
class Statistics:
    """What is known of a search, read from its counters. What is no number there counts as not said."""

    visited: int = 0
    open: int = 0
    bound: float | None = None  # the best of those given that are negative: searches that have none say zero
    margin: float | None = None

    @classmethod
    def of(cls, counters: Mapping[str, Any]) -> Statistics:
        """The statistics in an outcome's counters."""
        return cls(
            visited=sum(_whole(counters, _VISITED)),
            open=sum(_whole(counters, _OPEN)),
            bound=max((bound for bound in _numbers(counters, _BOUNDS) if bound < 0), default=None),
            margin=next(_numbers(counters, (_MARGIN,)), None),
        )


def _whole(counters: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[int]:
    found = (counters.get(name) for name in names)
    return (value for value in found if isinstance(value, int) and not isinstance(value, bool))


def _numbers(counters: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[float]:
    """Those that are finite."""
    for value in map(counters.get, names):
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            yield float(value)
