# SPDX-License-Identifier: Apache-2.0
"""Minimises the largest margin of one unsafe polytope with HiGHS. Only its dual bound proves anything."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
import scipy.sparse as sp

from vnnverify import Deadline, Polytope
from vnnverify_milp.program import Expression, Program

__all__ = ["TOLERANCE", "Answer", "minimise"]

TOLERANCE = 1e-6
"""How far the dual bound must be above zero, relative to 1 + the largest |coefficient| and bound of the
polytope's rows. HiGHS runs with feasibility tolerances of 1e-9; a binary off by 1e-9 opens a big-M row
by 1e-9 times the neuron's range, and such slips add up over layers to well below 1e-6 on the networks
this encoding can solve."""

SOLVER_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known about the least possible value of the largest margin."""

    bound: float  # dual bound; −inf if none was found
    excluded: bool  # bound is above the tolerance
    nodes: int


def minimise(
    program: Program,
    inputs: np.ndarray,
    outputs: Expression,
    polytope: Polytope,
    linear: Polytope | None,
    deadline: Deadline,
    threads: int,
    candidate: Callable[[np.ndarray], bool],
) -> Answer:
    """Solve min t with t >= every row's margin A y − b, over the program.

    Stops as soon as the dual bound excludes the polytope, `candidate` accepts an input, or the
    deadline comes.

    Args:
        candidate: called with the inputs (n,) of every improving solution; True ends the search.
    """
    model, size = _model(program, inputs, outputs, polytope, linear)
    margin = TOLERANCE * (1.0 + size)
    solver = highspy.Highs()
    solver.silent()
    for name in ("primal_feasibility_tolerance", "dual_feasibility_tolerance", "mip_feasibility_tolerance"):
        solver.setOptionValue(name, SOLVER_TOLERANCE)
    solver.setOptionValue("threads", threads)
    remaining = deadline.remaining()
    if math.isfinite(remaining):
        solver.setOptionValue("time_limit", max(remaining, 0.01))
    solver.passModel(model)
    found = False

    def improving(event: Any) -> None:
        nonlocal found
        if not found and len(event.data_out.mip_solution):
            found = candidate(np.asarray(event.data_out.mip_solution)[inputs])

    def interrupt(event: Any) -> None:
        if found or deadline.expired or event.data_out.mip_dual_bound > margin:
            event.interrupt()

    solver.cbMipImprovingSolution += improving
    solver.cbMipInterrupt += interrupt
    solver.run()
    info = solver.getInfo()
    integer = any(program.integer)
    bound = info.mip_dual_bound if integer else _lp_bound(solver, info)
    if not found and not integer and len(solver.getSolution().col_value):
        candidate(np.asarray(solver.getSolution().col_value)[inputs])
    bound = float(bound) if math.isfinite(bound) else -math.inf
    return Answer(bound, bound > margin, max(0, int(info.mip_node_count)))


def _lp_bound(solver: highspy.Highs, info: Any) -> float:
    """The optimum of a program without binaries; no bound unless the solver reached it."""
    optimal = solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return float(info.objective_function_value) if optimal else -math.inf


def _model(
    program: Program, inputs: np.ndarray, outputs: Expression, polytope: Polytope, linear: Polytope | None
) -> tuple[highspy.HighsLp, float]:
    """The program with the column t last, and the size of the polytope's rows."""
    columns = program.columns
    matrix, row_lower, row_upper = program.rows()
    A, b = polytope.A.numpy(), polytope.b.numpy()
    margins = sp.csr_array(A) @ program.widen(outputs.matrix)
    constant = A @ outputs.constant - b
    blocks = [sp.hstack([matrix, sp.csr_array((matrix.shape[0], 1))])]
    lowers, uppers = [row_lower], [row_upper]
    blocks.append(sp.hstack([-margins, sp.csr_array(np.ones((len(b), 1)))]))
    lowers.append(constant)
    uppers.append(np.full(len(b), np.inf))
    if linear is not None:
        place = sp.csr_array(
            (np.ones(len(inputs)), (np.arange(len(inputs)), inputs)), shape=(len(inputs), columns)
        )
        rows = sp.csr_array(linear.A.numpy()) @ place
        blocks.append(sp.hstack([rows, sp.csr_array((rows.shape[0], 1))]))
        lowers.append(np.full(rows.shape[0], -np.inf))
        uppers.append(linear.b.numpy())
    whole = sp.csc_array(sp.vstack(blocks))
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = columns + 1, whole.shape[0]
    model.col_cost_ = np.append(np.zeros(columns), 1.0)
    model.col_lower_ = np.append(np.asarray(program.lower), -np.inf)
    model.col_upper_ = np.append(np.asarray(program.upper), np.inf)
    model.row_lower_, model.row_upper_ = np.concatenate(lowers), np.concatenate(uppers)
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_ = whole.indptr
    model.a_matrix_.index_ = whole.indices
    model.a_matrix_.value_ = whole.data
    kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
    model.integrality_ = [kinds[flag] for flag in (*program.integer, False)]
    size = max(float(np.abs(A).max(initial=0.0)), float(np.abs(b).max(initial=0.0)))
    return model, size
