# SPDX-License-Identifier: Apache-2.0
"""A mixed-integer program under construction: columns with ends, sparse rows, affine expressions.

The program is kept *wider* than what it encodes: expressions carry a bound of their own rounding
error, and a row that contains one is relaxed by that much. So every point of the encoded function
is a point of the program as stored, and only the solver's arithmetic remains to be allowed for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch

from vnnverify.numerics import gamma

__all__ = ["Array", "Expression", "Program", "joined", "rounding", "transformed"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """matrix · v + constant ± error, one per element, for all columns v within their ends."""

    matrix: sp.csr_array  # (size, columns so far)
    constant: Array  # (size,)
    error: Array  # (size,) >= 0

    def take(self, index: npt.NDArray[np.intp]) -> Expression:
        """Some of the elements."""
        return Expression(sp.csr_array(self.matrix[index]), self.constant[index], self.error[index])


@dataclass(slots=True)
class Program:
    """Columns and rows, grown block by block. Ends of columns are finite."""

    lower: Array = field(default_factory=lambda: np.zeros(0))
    upper: Array = field(default_factory=lambda: np.zeros(0))
    integer: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    blocks: list[tuple[sp.csr_array, Array, Array]] = field(default_factory=list)

    @property
    def columns(self) -> int:
        """Number of columns so far."""
        return int(self.lower.size)

    @property
    def reach(self) -> Array:
        """The largest |v| of each column: (columns,)."""
        return np.maximum(np.abs(self.lower), np.abs(self.upper))

    def add_columns(self, lower: Array, upper: Array, *, integer: bool = False) -> npt.NDArray[np.intp]:
        """New columns with these ends; their indices."""
        start = self.columns
        self.lower = np.concatenate([self.lower, lower])
        self.upper = np.concatenate([self.upper, upper])
        self.integer = np.concatenate([self.integer, np.full(lower.size, integer)])
        return np.arange(start, self.columns)

    def add_rows(self, matrix: sp.csr_array, lower: Array, upper: Array) -> None:
        """Rows lower <= matrix · v <= upper."""
        self.blocks.append((matrix, lower, upper))

    def define(self, expression: Expression, lower: Array, upper: Array) -> npt.NDArray[np.intp]:
        """New columns, with these ends, that equal an expression up to its error; their indices."""
        columns = self.add_columns(lower, upper)
        constant, error = expression.constant, expression.error
        below, above = (np.nextafter(constant + s * error, s * np.inf) for s in (-1, 1))
        self.add_rows(self.pick(columns) - self.widen(expression.matrix), below, above)
        return columns

    def pick(self, columns: npt.NDArray[np.intp], coefficients: Array | float = 1.0) -> sp.csr_array:
        """A matrix whose row i is coefficients[i] in columns[i]."""
        size = len(columns)
        values = np.broadcast_to(np.asarray(coefficients, dtype=np.float64), (size,))
        return sp.csr_array((values, columns, np.arange(size + 1)), shape=(size, self.columns))

    def widen(self, matrix: sp.csr_array) -> sp.csr_array:
        """The matrix with the columns added since it was made."""
        parts = (matrix.data, matrix.indices, matrix.indptr)
        return sp.csr_array(parts, shape=(matrix.shape[0], self.columns))

    def size_of(self, expression: Expression) -> Array:
        """Bound of |matrix| |v| + |constant|: what rounding errors of sums are relative to."""
        matrix = self.widen(expression.matrix)
        found: Array = abs(matrix) @ self.reach + np.abs(expression.constant)
        return found

    def rows(self) -> tuple[sp.csr_array, Array, Array]:
        """All rows as one matrix, with their ends."""
        matrix = sp.vstack([sp.csr_array((0, self.columns)), *(self.widen(m) for m, _, _ in self.blocks)])
        lower, upper = (np.concatenate([np.zeros(0), *(b[k] for b in self.blocks)]) for k in (1, 2))
        return sp.csr_array(matrix), lower, upper


def rounding(terms: int) -> float:
    """Relative error, in float64, of a sum of so many products, itself rounded up."""
    g = gamma(terms, torch.float64)
    return g * (1 + 4 * g)


def joined(program: Program, parts: Sequence[Expression]) -> Expression:
    """The elements of several expressions, one after the other."""
    return Expression(
        sp.csr_array(sp.vstack([program.widen(part.matrix) for part in parts])),
        np.concatenate([part.constant for part in parts]),
        np.concatenate([part.error for part in parts]),
    )


def transformed(
    program: Program,
    weights: Sequence[sp.csr_array],
    inputs: Sequence[Expression],
    offset: Array,
    terms: int,
) -> Expression:
    """Σ_k weights[k] · inputs[k] + offset, with the rounding errors of sums of so many products."""
    total = sp.csr_array((offset.size, program.columns))
    constant, error, size = offset, np.zeros(offset.size), np.abs(offset)
    for weight, x in zip(weights, inputs, strict=True):
        total = total + weight @ program.widen(x.matrix)
        constant = constant + weight @ x.constant
        error = error + abs(weight) @ x.error
        size = size + abs(weight) @ program.size_of(x)
    error = (error + rounding(terms) * size) * (1 + rounding(terms))
    return Expression(sp.csr_array(total), constant, error)
