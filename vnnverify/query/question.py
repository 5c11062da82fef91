# SPDX-License-Identifier: Apache-2.0
"""One question about a graph: is any clause satisfiable?"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from vnnverify.ir.graph import Graph
from vnnverify.query.clause import Clause
from vnnverify.query.layout import Layout
from vnnverify.query.source import Source

__all__ = ["Query"]


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """One question: is any clause satisfiable?"""

    graph: Graph
    clauses: tuple[Clause, ...]
    layout: Layout
    source: Source
    truncated: tuple[int, ...] = ()  # graph inputs of which the outputs depend on the whole part only

    @property
    def varying(self) -> int:
        """The most inputs that vary in a clause."""
        return max((c.region.varying for c in self.clauses), default=0)

    @property
    def reach(self) -> float:
        """The largest absolute value of an input in a region."""
        ends = [end for clause in self.clauses for end in (clause.region.lower, clause.region.upper)]
        parts = (torch.stack(ends[k : k + 4096]) for k in range(0, len(ends), 4096))
        return max((float(part.abs().max()) for part in parts if part.numel()), default=0.0)

    def with_clauses(self, clauses: Iterable[Clause]) -> Query:
        """The residual query that asks about these clauses only."""
        return dataclasses.replace(self, clauses=tuple(clauses))
