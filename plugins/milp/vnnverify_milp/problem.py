# SPDX-License-Identifier: Apache-2.0
"""The question asked of the solver: how deep into an unsafe polytope does the network reach?

    minimise t  with  t >= (A y − b)_i / size_i  for every row of the polytope and of the region

Rows are scaled by a power of two near the largest value of |A| |y| + |b|, so that t and the
tolerance it is compared with have no unit. The program always has a solution; the polytope is
unreachable if and only if its optimum is positive (or zero, with a strict row).
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch
from torch import Tensor

from vnnverify import Polytope
from vnnverify_milp.encoding import Encoding
from vnnverify_milp.program import Array, Expression, joined, rounding, transformed

__all__ = ["Problem", "depth_rows", "safe_bound"]


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """min t over rows lower <= matrix · v <= upper and columns within their finite ends; t is the last."""

    matrix: sp.csr_array  # (rows, columns)
    row_lower: Array
    row_upper: Array
    lower: Array
    upper: Array
    integer: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, encoding: Encoding, rows: Expression) -> Problem:
        """The least possible largest value of `rows` over the encoding."""
        program = encoding.program
        matrix, row_lower, row_upper = program.rows()
        size = 1 + (program.size_of(rows) + rows.error).max(initial=0.0)  # no wall for t: |t| < size
        t = sp.csr_array(np.ones((rows.constant.size, 1)))
        below = sp.hstack([matrix, sp.csr_array((matrix.shape[0], 1))])
        margins = sp.hstack([-program.widen(rows.matrix), t])
        least = np.nextafter(rows.constant - rows.error, -np.inf)
        return cls(
            sp.csr_array(sp.vstack([below, margins])),
            np.concatenate([row_lower, least]),
            np.concatenate([row_upper, np.full(least.size, np.inf)]),
            np.concatenate([program.lower, [-size]]),
            np.concatenate([program.upper, [size]]),
            np.append(program.integer, False),
        )

    def model(self, *, integer: bool) -> highspy.HighsLp:
        """As HiGHS takes it, with or without the demand that binaries are whole."""
        columns = sp.csc_array(self.matrix)
        model = highspy.HighsLp()
        model.num_row_, model.num_col_ = self.matrix.shape
        cost = np.zeros(self.lower.size)
        cost[-1] = 1.0
        model.col_cost_, model.col_lower_, model.col_upper_ = cost, self.lower, self.upper
        model.row_lower_, model.row_upper_ = self.row_lower, self.row_upper
        model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        model.a_matrix_.start_ = columns.indptr
        model.a_matrix_.index_ = columns.indices
        model.a_matrix_.value_ = columns.data
        if integer:
            kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
            model.integrality_ = [kinds[flag] for flag in self.integer.astype(int)]
        return model


def depth_rows(encoding: Encoding, unsafe: Polytope, linear: Polytope | None) -> tuple[Expression, Tensor]:
    """The scaled rows of a polytope and of the region's own rows as one expression, and their scales.

    Returns:
        (rows,) expressions that are all <= 0 exactly inside, and the powers of two (rows,) they were
        multiplied by.
    """
    program = encoding.program
    inputs = Expression(program.pick(encoding.inputs), *(np.zeros(encoding.inputs.size),) * 2)
    asked = [(unsafe, encoding.outputs)] + ([(linear, inputs)] if linear is not None else [])
    found, scales = [], []
    for polytope, value in asked:
        A, b = polytope.A.numpy(), polytope.b.numpy()
        size = np.abs(A) @ (program.size_of(value) + value.error) + np.abs(b)
        scale = np.exp2(-np.floor(np.log2(np.where(size > 0, size, 1.0))))
        rows = sp.csr_array(A * scale[:, None])
        found.append(transformed(program, [rows], [value], -b * scale, A.shape[1] + 2))
        scales.append(torch.from_numpy(scale))
    return joined(program, found), torch.cat(scales)


def safe_bound(problem: Problem, dual: Array) -> float:
    """A lower bound of t over the problem without integrality, valid for any multipliers `dual` (rows,).

    t = yᵀ M v + (c − Mᵀ y)ᵀ v, where yᵀ M v is bounded by the ends of the rows and the rest by the ends
    of the columns; every rounding error is subtracted.

    Source: Neumaier and Shcherbina, Safe bounds in linear and mixed-integer linear programming, Math.
    Program. 99 (2004), section 3.
    """
    side = np.where(dual > 0, problem.row_lower, problem.row_upper)
    y = np.where(np.isfinite(side) & np.isfinite(dual), dual, 0.0)
    side = np.where(y != 0, side, 0.0)
    reach = np.maximum(np.abs(problem.lower), np.abs(problem.upper))
    reduced = -(problem.matrix.T @ y)
    reduced[-1] += 1.0
    ends = np.minimum(reduced * problem.lower, reduced * problem.upper)
    size = (np.abs(y) @ abs(problem.matrix)) @ reach + np.abs(y) @ np.abs(side) + reach[-1]
    terms = sum(problem.matrix.shape)
    return float(y @ side + ends.sum() - rounding(2 * terms + 8) * size)
