# SPDX-License-Identifier: Apache-2.0
"""Open sub-problems of a search as plain tensors, and as text that goes through a pipe."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vnnverify.query import Ball, Box, Clause, Polytope

__all__ = ["Parcel"]


@dataclass(frozen=True, slots=True, eq=False)
class Parcel:
    """N sub-problems of a search over some clauses.

    What the columns mean is between the searches that hand a parcel over and take it; all are of one kind.
    """

    clauses: tuple[Clause, ...]
    clause: Tensor  # (N,) int64, which of them each sub-problem is about
    columns: Mapping[str, Tensor]  # (N, …) each
    stuck: tuple[int, ...] = ()  # clauses with sub-problems, not among the N, that the search gave up

    def __len__(self) -> int:
        return self.clause.shape[0]

    def covers(self, clauses: Sequence[Clause]) -> bool:
        """Whether these are all among the parcel's clauses, which are told apart by identity."""
        mine = {id(clause) for clause in self.clauses}
        return all(id(clause) in mine for clause in clauses)

    def about(self, clauses: Sequence[Clause]) -> Parcel:
        """The sub-problems of these clauses of the parcel, which are counted anew."""
        number = {id(clause): k for k, clause in enumerate(clauses)}
        new = [number.get(id(clause), -1) for clause in self.clauses]
        clause = torch.tensor(new, dtype=torch.long, device=self.clause.device)[self.clause]
        keep = clause >= 0
        columns = {name: column[keep] for name, column in self.columns.items()}
        stuck = tuple(new[k] for k in self.stuck if new[k] >= 0)
        return Parcel(tuple(clauses), clause[keep], columns, stuck)

    def to_text(self) -> str:
        """Everything in one line of ASCII, exact to the bit."""
        content = {
            "clauses": [_plain_clause(clause) for clause in self.clauses],
            "clause": self.clause.cpu(),
            "columns": {name: column.cpu().contiguous() for name, column in self.columns.items()},
            "stuck": list(self.stuck),
        }
        data = io.BytesIO()
        torch.save(content, data)
        return base64.b64encode(data.getbuffer()).decode("ascii")

    @classmethod
    def from_text(cls, text: str) -> Parcel:
        """The parcel that `to_text` wrote."""
        content = torch.load(io.BytesIO(base64.b64decode(text)), weights_only=True)
        clauses = tuple(_clause(record) for record in content["clauses"])
        return cls(clauses, content["clause"], content["columns"], tuple(content["stuck"]))


def _plain_clause(clause: Clause) -> dict[str, Any]:
    region = clause.region
    ball = region if isinstance(region, Ball) else None  # of other shapes the box goes, which holds them
    return {
        "ball": None if ball is None else [ball.norm, ball.centre, ball.radius],
        "lower": region.lower,
        "upper": region.upper,
        "linear": None if region.linear is None else _plain_polytope(region.linear),
        "unsafe": [_plain_polytope(polytope) for polytope in clause.unsafe],
    }


def _plain_polytope(polytope: Polytope) -> list[Tensor]:
    return [polytope.A, polytope.b, polytope.strict]


def _clause(record: Mapping[str, Any]) -> Clause:
    linear = None if record["linear"] is None else Polytope(*record["linear"])
    unsafe = tuple(Polytope(*parts) for parts in record["unsafe"])
    lower, upper = record["lower"], record["upper"]
    if record["ball"] is None:
        return Clause(Box(lower, upper, linear), unsafe)
    norm, centre, radius = record["ball"]
    return Clause(Ball(norm, centre, radius, lower, upper), unsafe)
