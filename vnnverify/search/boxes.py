# SPDX-License-Identifier: Apache-2.0
"""The work list of branch and bound on the input box."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.query import Clause
from vnnverify.sharing import Parcel

__all__ = ["Boxes"]


@dataclass(slots=True)
class Boxes:
    """N open boxes with their clause and the bound of their parent."""

    lower: Tensor  # (N, n)
    upper: Tensor  # (N, n)
    clause: Tensor  # (N,) int64
    bound: Tensor  # (N,)
    excluded: Tensor  # (N, P) polytopes that the parent's bounds exclude
    memory: Tensor | None = None  # (N, …) of the parents; not for roots

    def __len__(self) -> int:
        return self.lower.shape[0]

    def take(self, index: Tensor) -> Boxes:
        """Those that `index` (long or bool) selects."""
        return Boxes(
            self.lower[index],
            self.upper[index],
            self.clause[index],
            self.bound[index],
            self.excluded[index],
            None if self.memory is None else self.memory[index],
        )

    def joined(self, other: Boxes) -> Boxes:
        """Both in one list."""
        if not len(self) or not len(other):
            return other if not len(self) else self
        parts = (self.memory, other.memory)
        return Boxes(
            torch.cat([self.lower, other.lower]),
            torch.cat([self.upper, other.upper]),
            torch.cat([self.clause, other.clause]),
            torch.cat([self.bound, other.bound]),
            torch.cat([self.excluded, other.excluded]),
            None if parts[0] is None or parts[1] is None else torch.cat([parts[0], parts[1]]),
        )

    def pack(self, clauses: Sequence[Clause]) -> Parcel:
        """The boxes for another worker, with those of the clauses that they are of, counted anew."""
        used, clause = torch.unique(self.clause, return_inverse=True)
        return Parcel(tuple(clauses[k] for k in used.tolist()), clause, self._columns())

    @classmethod
    def unpack(cls, parcel: Parcel, polytopes: int, device: torch.device) -> Boxes:
        """The boxes of a parcel; their clauses are counted as in the parcel.

        Args:
            polytopes: most that any of the clauses has.
        """
        columns = {name: column.to(device) for name, column in parcel.columns.items()}
        excluded = columns.pop("excluded")[:, :polytopes]
        excluded = torch.nn.functional.pad(excluded, (0, polytopes - excluded.shape[1]), value=True)
        return cls(clause=parcel.clause.to(device), excluded=excluded, **columns)

    def pack_left(self, clauses: Sequence[Clause], stuck: Iterable[int]) -> Parcel:
        """What a search over these clauses leaves: these boxes, and the clauses `stuck` with boxes that it
        gave up."""
        return Parcel(tuple(clauses), self.clause, self._columns(), tuple(sorted(stuck)))

    def unpack_left(self, left: Parcel) -> tuple[Boxes, set[int]]:
        """What another worker left of these boxes, and which clauses have boxes that it gave up."""
        boxes = Boxes.unpack(left, self.excluded.shape[1], self.clause.device)
        used = torch.unique(self.clause)
        boxes.clause = used[boxes.clause]
        return boxes, set(used[list(left.stuck)].tolist())

    def _columns(self) -> dict[str, Tensor]:
        every = (field.name for field in dataclasses.fields(self) if field.name != "clause")
        return {name: getattr(self, name) for name in every if getattr(self, name) is not None}
