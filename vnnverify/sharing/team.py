# SPDX-License-Identifier: Apache-2.0
"""Other workers, as a search sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from vnnverify.sharing.parcel import Parcel

__all__ = ["LAST_BATCH", "Returned", "Team"]

LAST_BATCH = 0.5
"""Seconds before its deadline at which a search on another's parcel begins no further batch: of one that is
cut short nothing is known."""


@dataclass(frozen=True, slots=True, eq=False)
class Returned:
    """What has become of a parcel."""

    number: int
    left: Parcel | None  # what is still open of it; None: the worker failed, so all of it is
    witness: Tensor | None = None  # (n,) float64, to be confirmed
    stats: Mapping[str, int] = field(default_factory=dict)  # counters of the worker's search


class Team(Protocol):
    """Workers on the same query, each of which searches what it is given as the giver would."""

    def idle(self) -> int:
        """How many workers wait for a parcel. A team may take its time to come together."""
        ...

    def give(self, parcel: Parcel, seconds: float) -> int:
        """Hand a parcel to an idle worker, which returns what is left of it after so many seconds at most.

        Returns:
            The number under which it comes back.
        """
        ...

    def take(self, wait: float) -> list[Returned]:
        """The parcels that have come back. If there is none, one is waited for, so many seconds at most."""
        ...
