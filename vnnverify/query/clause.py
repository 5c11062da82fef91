# SPDX-License-Identifier: Apache-2.0
"""One disjunct of a query: a region and the outputs that are unsafe there."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from vnnverify.numerics import gamma
from vnnverify.query.polytope import Polytope
from vnnverify.query.region import Region

__all__ = ["Clause"]

EXACT_ROWS = 64
"""Rows of a polytope, too close to call in floats, that are worked out in rational numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Clause:
    """One disjunct: a region, and the union of unsafe polytopes over the outputs."""

    region: Region
    unsafe: tuple[Polytope, ...]

    def violated_by(self, x: Tensor, y: Tensor) -> Tensor:
        """Which pairs (x, y), (batch, n) and (batch, m), are candidates for a witness: (batch,) bool."""
        hit = torch.zeros(x.shape[0], dtype=torch.bool, device=x.device)
        for polytope in self.unsafe:
            hit |= polytope.contains(y)
        return hit & self.region.contains(x)

    def excluded_by(self, lower: Tensor, upper: Tensor) -> bool:
        """Whether no point of the output box [lower, upper] (m,), rounded outward, is unsafe."""
        lower, upper = lower.to(torch.float64), upper.to(torch.float64)
        return all(_polytope_misses_box(p, lower, upper) for p in self.unsafe)


def _polytope_misses_box(polytope: Polytope, lower: Tensor, upper: Tensor) -> bool:
    A = polytope.A
    least = A.clamp(min=0) @ lower + A.clamp(max=0) @ upper - polytope.b
    size = A.abs() @ torch.maximum(lower.abs(), upper.abs()) + polytope.b.abs()
    bound = least - gamma(A.shape[1] + 2, torch.float64) * size
    if bool((torch.isfinite(bound) & (bound > 0)).any()):
        return True
    close = torch.isfinite(bound) & (least >= -gamma(A.shape[1] + 2, torch.float64) * size)
    return any(_row_misses_box(polytope, k, lower, upper) for k in close.nonzero()[:EXACT_ROWS, 0].tolist())


def _row_misses_box(polytope: Polytope, k: int, lower: Tensor, upper: Tensor) -> bool:
    """Whether no z in [lower, upper] satisfies row k, exactly."""
    row = polytope.A[k]
    used = row.nonzero()[:, 0].tolist()
    ends = ((float(row[j]), float((lower if row[j] > 0 else upper)[j])) for j in used)
    least = sum((Fraction(a) * Fraction(z) for a, z in ends), Fraction(0)) - Fraction(float(polytope.b[k]))
    return least >= 0 if bool(polytope.strict[k]) else least > 0
