# SPDX-License-Identifier: Apache-2.0
"""Bounds of inputs that follow from linear rows over several of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from vnnverify.vnnlib.rows import FloatRow, round_up

__all__ = ["derive_bounds"]


def derive_bounds(lower: np.ndarray, upper: np.ndarray, rows: Sequence[FloatRow]) -> None:
    """Replace infinite bounds (n,) in place by what the rows imply, rounded outward.

    A row Σ a_j x_j <= b bounds x_i as soon as all other terms are bounded below:
    a_i x_i <= b − Σ min a_j x_j. Repeated until nothing new follows; finite bounds stay as they are.
    """
    waiting = [row for row in rows if math.isfinite(row.bound)]
    progress = True
    while progress:
        progress = False
        left = []
        for row in waiting:
            missing = [k for k in range(len(row.variables)) if _least(row, k, lower, upper) is None]
            if missing:
                left.append(row)
            if len(missing) > 1:
                continue
            for k in missing or range(len(row.variables)):
                progress |= _bound(row, k, lower, upper)
        progress &= bool(np.isinf(lower).any() or np.isinf(upper).any())
        waiting = left


def _least(row: FloatRow, k: int, lower: np.ndarray, upper: np.ndarray) -> Fraction | None:
    """The least value of the row's term k, or None if it has none."""
    a, index = row.coefficients[k], row.variables[k].index
    end = float(lower[index] if a > 0 else upper[index])
    return Fraction(a) * Fraction(end) if math.isfinite(end) else None


def _bound(row: FloatRow, k: int, lower: np.ndarray, upper: np.ndarray) -> bool:
    """Bound the variable of term k by all other terms; True if it was not bounded there."""
    a, index = row.coefficients[k], row.variables[k].index
    ends = upper if a > 0 else lower
    if math.isfinite(ends[index]):
        return False
    rest = [_least(row, j, lower, upper) for j in range(len(row.variables)) if j != k]
    most = (Fraction(row.bound) - sum((term for term in rest if term is not None), Fraction(0))) / Fraction(a)
    ends[index] = round_up(most) if a > 0 else -round_up(-most)
    return bool(np.isfinite(ends[index]))
