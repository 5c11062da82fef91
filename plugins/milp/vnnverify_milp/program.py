# SPDX-License-Identifier: Apache-2.0
"""A mixed-integer program under construction: columns with bounds, sparse rows, affine expressions."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp

__all__ = ["Expression", "Program"]


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """One affine expression per element of a value: matrix · columns + constant."""

    matrix: sp.csr_array  # (size, columns so far)
    constant: np.ndarray  # (size,)


@dataclass(slots=True)
class Program:
    """Columns and rows, grown block by block."""

    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    integer: list[bool] = field(default_factory=list)
    blocks: list[tuple[sp.csr_array, np.ndarray, np.ndarray]] = field(default_factory=list)

    @property
    def columns(self) -> int:
        """Number of columns so far."""
        return len(self.lower)

    def add_columns(self, lower: np.ndarray, upper: np.ndarray, *, integer: bool = False) -> np.ndarray:
        """New columns with these bounds; their indices."""
        start = self.columns
        self.lower.extend(lower.tolist())
        self.upper.extend(upper.tolist())
        self.integer.extend([integer] * len(lower))
        return np.arange(start, self.columns)

    def add_rows(self, matrix: sp.csr_array, lower: np.ndarray, upper: np.ndarray) -> None:
        """Rows lower <= matrix · columns <= upper."""
        self.blocks.append((sp.csr_array(matrix), lower, upper))

    def pick(self, columns: np.ndarray, coefficients: np.ndarray | float = 1.0) -> sp.csr_array:
        """A matrix whose row i is coefficients[i] in columns[i]."""
        size = len(columns)
        values = np.broadcast_to(np.asarray(coefficients, dtype=float), (size,))
        return sp.csr_array((values, (np.arange(size), columns)), shape=(size, self.columns))

    def widen(self, matrix: sp.csr_array) -> sp.csr_array:
        """The matrix with columns added since it was made."""
        found = sp.csr_array(matrix, copy=True)
        found.resize((found.shape[0], self.columns))
        return found

    def rows(self) -> tuple[sp.csr_array, np.ndarray, np.ndarray]:
        """All rows as one matrix with their bounds."""
        matrix = sp.csr_array(sp.vstack([self.widen(m) for m, _, _ in self.blocks]))
        return (
            matrix,
            np.concatenate([b[1] for b in self.blocks]),
            np.concatenate([b[2] for b in self.blocks]),
        )
