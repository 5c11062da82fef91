# SPDX-License-Identifier: Apache-2.0
"""Handing open sub-problems of a search to other workers, and taking back what they leave."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, Protocol, Self, TypeVar

from torch import Tensor

from vnnverify.deadline import Deadline
from vnnverify.sharing import LAST_BATCH, Parcel, Returned, Team

__all__ = ["HandedOut", "WorkList"]

WORTH_HANDING = 0.1
"""Seconds that sub-problems must have taken so far for as many of them to be worth a parcel."""
PART = 0.25
"""A parcel is worked on for this part of the time that the search has taken so far: whoever has nothing left
waits no longer than that."""
SHORTEST, LONGEST = 1.0, 5.0
"""Seconds that a parcel is worked on at least and at most."""
COUNT = 2.0
"""Sub-problems for which there is time all the same, by what they have taken so far."""


class WorkList(Protocol):
    """Open sub-problems as rows of tensors."""

    bound: Tensor  # (N,) lower bounds of their parents

    def __len__(self) -> int: ...

    def take(self, index: Tensor) -> Self:
        """Those that `index` selects."""
        ...

    def joined(self, other: Self) -> Self:
        """Both in one list."""
        ...


W = TypeVar("W", bound=WorkList)


class HandedOut(Generic[W]):
    """What other workers of the team have of a search's sub-problems. Without a team nobody has any.

    Args:
        pack: the parcel of some sub-problems.
    """

    def __init__(self, team: Team | None, pack: Callable[[W], Parcel], deadline: Deadline) -> None:
        self._team = team
        self._pack = pack
        self._deadline = deadline
        self._out: dict[int, W] = {}
        self._started = time.monotonic()

    def __bool__(self) -> bool:
        return bool(self._out)

    def hand_out(self, work: W, visited: int) -> W:
        """Give every idle worker an equal share of the work, low and high bounds alike, and return one's own.

        Args:
            visited: sub-problems that the search has bounded so far.
        """
        idle = 0 if self._team is None or len(work) < 2 else min(self._team.idle(), len(work) - 1)
        if self._team is None or idle == 0:
            return work
        spent = time.monotonic() - self._started
        if len(work) * spent < WORTH_HANDING * visited:
            return work
        order = work.bound.argsort()
        seconds = max(min(max(SHORTEST, PART * spent), LONGEST), COUNT * spent / visited) + LAST_BATCH
        seconds = min(seconds, self._deadline.remaining())
        for k in range(1, idle + 1):
            part = work.take(order[k :: idle + 1])
            self._out[self._team.give(self._pack(part), seconds)] = part
        return work.take(order[:: idle + 1])

    def take_back(self, wait: bool) -> list[tuple[W, Returned]]:
        """What has come back, each with the sub-problems that were given.

        Args:
            wait: for something to come back, until the deadline.
        """
        if self._team is None or not self._out:
            return []
        found = self._team.take(self._deadline.remaining() if wait else 0.0)
        return [(self._out.pop(one.number), one) for one in found]

    def still_out(self) -> list[W]:
        """The sub-problems that have not come back, which are all open therefore."""
        return list(self._out.values())
