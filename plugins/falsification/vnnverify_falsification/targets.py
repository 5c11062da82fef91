# SPDX-License-Identifier: Apache-2.0
"""What a batch of points aims at: each point has a clause, whose box holds it, and one unsafe polytope."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify import Query
from vnnverify.search import Specification

__all__ = ["Targets"]


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """All (clause, polytope) pairs of a query, with the clauses' boxes."""

    spec: Specification
    lower: Tensor  # (K, n) float64
    upper: Tensor  # (K, n)
    clause: Tensor  # (T,)
    polytope: Tensor  # (T,)

    @classmethod
    def of(cls, query: Query, device: torch.device) -> Targets:
        """The pairs in the order of the query."""
        spec = Specification.of(query.clauses, query.graph.output_size, device)
        pairs = spec.real.nonzero()
        lower = torch.stack([c.region.lower for c in query.clauses]).to(device)
        upper = torch.stack([c.region.upper for c in query.clauses]).to(device)
        return cls(spec, lower, upper, pairs[:, 0], pairs[:, 1])

    def __len__(self) -> int:
        return self.clause.shape[0]

    def box(self, target: Tensor) -> tuple[Tensor, Tensor]:
        """The boxes (batch, n) of points with these target numbers (batch,)."""
        clause = self.clause[target]
        return self.lower[clause], self.upper[clause]

    def margins(self, target: Tensor, y: Tensor) -> Tensor:
        """Row margins (batch, S) of each point's polytope at outputs y (batch, m); −inf for other rows.
        The point is unsafe where all are <= 0."""
        clause = self.clause[target]
        C, d = self.spec.C[clause].to(y.dtype), self.spec.d[clause].to(y.dtype)
        rows = self.spec.member[clause, self.polytope[target]]
        margins = torch.einsum("bsm,bm->bs", C, y) - d
        return torch.where(rows, margins, -float("inf"))

    def distance(self, target: Tensor, y: Tensor) -> Tensor:
        """The largest margin (batch,): how far each point is from unsafe; −inf if it has no rows; NaN is far."""
        margins = self.margins(target, y)
        if margins.shape[1] == 0:
            return margins.new_full((margins.shape[0],), -float("inf"))
        return torch.nan_to_num(margins.amax(dim=1), nan=float("inf"), posinf=float("inf"), neginf=-float("inf"))
