# SPDX-License-Identifier: Apache-2.0
"""The unsafe polytopes of all clauses as one table, so that unlike clauses are attacked in one batch.

A target is a pair of a clause and one of its unsafe polytopes. Its value at a point is the largest
margin of its rows, each scaled to Euclidean norm one: the target is hit where the value is <= 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vnnverify import Clause, Polytope

__all__ = ["Targets"]


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Rows over the outputs, or over outputs and inputs joined if some region has linear rows.

    Equal rows are stored once: a hundred thousand clauses often share two of them.
    """

    rows: Tensor  # (distinct, m) or (distinct, m + n), in the computing dtype
    row: Tensor  # (targets, rows of a target) int64: which of `rows`
    bound: Tensor  # (targets, rows of a target): +inf where a target has fewer rows
    strict: Tensor  # (targets, rows of a target) bool
    clause: Tensor  # (targets,) int64
    of_clause: Tensor  # (clauses, targets of a clause) int64; a shorter list repeats its last target
    joined: bool  # whether rows speak of outputs and inputs

    @classmethod
    def of(cls, clauses: Sequence[Clause], inputs: int, device: torch.device, dtype: torch.dtype) -> Targets:
        """The table of all clauses. Each clause must have an unsafe polytope."""
        joined = any(c.region.linear is not None for c in clauses)
        polytopes = [_joined(c, p, inputs) if joined else p for c in clauses for p in c.unsafe]
        counts = np.array([p.b.numel() for p in polytopes])
        A, b, strict = _normalised(polytopes)
        distinct, index = _distinct(A)
        if not len(distinct):  # only polytopes without rows: everything is unsafe
            distinct = np.zeros((1, A.shape[1]))
        place = (np.repeat(np.arange(len(polytopes)), counts), _positions(counts))
        shape = (len(polytopes), max(1, int(counts.max())))
        row = np.zeros(shape, dtype=np.int64)
        bound = np.full(shape, np.inf)
        is_strict = np.zeros(shape, dtype=bool)
        row[place], bound[place], is_strict[place] = index.reshape(-1), b, strict
        sizes = np.array([len(c.unsafe) for c in clauses])
        first = np.cumsum(sizes) - sizes
        of_clause = first[:, None] + np.minimum(np.arange(sizes.max()), sizes[:, None] - 1)
        return cls(
            rows=torch.from_numpy(distinct).to(device, dtype),
            row=torch.from_numpy(row).to(device),
            bound=torch.from_numpy(bound).to(device, dtype),
            strict=torch.from_numpy(is_strict).to(device),
            clause=torch.from_numpy(np.repeat(np.arange(len(clauses)), sizes)).to(device),
            of_clause=torch.from_numpy(of_clause).to(device),
            joined=joined,
        )

    def __len__(self) -> int:
        return self.clause.numel()

    @property
    def conjunctive(self) -> bool:
        """Whether some target has more than one row."""
        return self.row.shape[1] > 1

    def products(self, x: Tensor, y: Tensor) -> Tensor:
        """Every distinct row at the points: x (batch, n), y (batch, m) -> (batch, distinct)."""
        return (torch.cat([y, x], dim=1) if self.joined else y) @ self.rows.T

    def margins(self, products: Tensor, target: Tensor) -> Tensor:
        """Margins of one target per point, target (batch,): (batch, rows of a target); <= 0 is inside."""
        return self._shifted(products.gather(1, self.row[target]), target)

    def values(self, products: Tensor, clause: Tensor) -> Tensor:
        """Values of all targets of each point's clause (batch,), as `of_clause`; +inf where not finite."""
        target = self.of_clause[clause]  # (batch, k)
        picked = products.gather(1, self.row[target].flatten(1)).view(*target.shape, -1)
        value = self._shifted(picked, target).amax(dim=-1)
        finite = torch.isfinite(products).all(dim=1, keepdim=True)
        return torch.where(finite, value, torch.full_like(value, torch.inf))

    def _shifted(self, products: Tensor, target: Tensor) -> Tensor:
        margins = products - self.bound[target]
        tiny = torch.finfo(margins.dtype).tiny
        return torch.where((margins == 0) & self.strict[target], margins + tiny, margins)


def _normalised(polytopes: Sequence[Polytope]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All rows below each other, each divided by its Euclidean norm (not if that is zero)."""
    A = torch.cat([p.A for p in polytopes]).cpu()
    b = torch.cat([p.b for p in polytopes]).cpu()
    norm = A.norm(dim=1)
    norm = torch.where(norm > 0, norm, torch.ones_like(norm))
    strict = torch.cat([p.strict for p in polytopes]).cpu()
    return (A / norm[:, None]).numpy(), (b / norm).numpy(), strict.numpy()


def _distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different rows, and which of them each row is; `np.unique` takes seconds where rows are long."""
    known: dict[bytes, int] = {}
    index = np.array([known.setdefault(row.tobytes(), len(known)) for row in rows + 0.0], dtype=np.int64)
    first = np.unique(index, return_index=True)[1]
    return rows[first], index


def _positions(counts: np.ndarray) -> np.ndarray:
    """0, 1, …, counts[0] - 1, 0, 1, …, counts[1] - 1, …"""
    first: np.ndarray = np.repeat(np.cumsum(counts) - counts, counts)
    positions: np.ndarray = np.arange(first.size) - first
    return positions


def _joined(clause: Clause, polytope: Polytope, inputs: int) -> Polytope:
    """The polytope over (y, x): its own rows, and those of the clause's region."""
    linear = clause.region.linear
    A = torch.cat([polytope.A, polytope.A.new_zeros(polytope.A.shape[0], inputs)], dim=1)
    if linear is None:
        return Polytope(A, polytope.b, polytope.strict)
    of_inputs = torch.cat([linear.A.new_zeros(linear.A.shape[0], polytope.A.shape[1]), linear.A], dim=1)
    return Polytope(
        torch.cat([A, of_inputs]),
        torch.cat([polytope.b, linear.b]),
        torch.cat([polytope.strict, linear.strict]),
    )
