# SPDX-License-Identifier: Apache-2.0
"""Runs HiGHS on a problem. Only lower bounds of the optimum prove anything, never a status."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np

from vnnverify import Deadline
from vnnverify_milp.problem import Problem, safe_bound
from vnnverify_milp.program import Array

__all__ = ["SOLVER_TOLERANCE", "Answer", "Candidate", "branch", "margin_of", "relax"]

SOLVER_TOLERANCE = 1e-9
"""Feasibility, integrality and dual tolerance that HiGHS is run with; it allows 1e-10 to infinity."""

SAFETY = 10.0
"""Solver tolerances hold in scaled and presolved space; they are granted this factor outside of it."""

TOLERANCE = 1e-6
"""What the dual bound of a mixed-integer program must exceed at the least, relative to the size of the
row it is about: the cuts that HiGHS derives, and the bounds it tightens, are rounded with tolerances
of up to this size, and a binary may be off by 1e-9 of a big-M in every layer."""

Candidate = Callable[[Array], bool]
"""Looks at a solution v (columns,); True ends the search."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known about the least t."""

    bound: float  # a lower bound; −inf if none was found
    done: bool = False  # a candidate was accepted
    nodes: int = 0


def margin_of(problem: Problem, tolerance: float) -> float:
    """What a dual bound by HiGHS must exceed to count as positive.

    Multipliers that are wrong by the dual tolerance in every column err by that much times the
    columns' widths; `tolerance` is for everything else.
    """
    return tolerance + SAFETY * SOLVER_TOLERANCE * float((problem.upper - problem.lower).sum())


def relax(problem: Problem, deadline: Deadline, threads: int, candidate: Candidate) -> Answer:
    """The problem without integrality. The bound is valid whatever the solver did: it only supplies the
    multipliers."""
    solver = _solver(problem, deadline, threads, integer=False)
    stop = _Interrupt(deadline)
    solver.cbSimplexInterrupt += stop
    solver.cbIpmInterrupt += stop
    solver.run()
    solution = solver.getSolution()
    bound = -math.inf
    if solution.dual_valid:
        bound = safe_bound(problem, np.asarray(solution.row_dual))
    done = solution.value_valid and candidate(np.asarray(solution.col_value))
    return Answer(bound if math.isfinite(bound) else -math.inf, done)


def branch(problem: Problem, deadline: Deadline, threads: int, margin: float, candidate: Candidate) -> Answer:
    """The problem as it is. Ends as soon as the dual bound exceeds `margin`, `candidate` accepts a
    solution, or the deadline comes. The bound is as good as HiGHS' tolerances: see `margin_of`."""
    solver = _solver(problem, deadline, threads, integer=True)
    stop = _Interrupt(deadline, margin, candidate)
    solver.cbMipImprovingSolution += stop.improving
    solver.cbMipInterrupt += stop
    solver.cbSimplexInterrupt += stop
    solver.run()
    if stop.error is not None:
        raise stop.error
    info, solution = solver.getInfo(), solver.getSolution()
    if not stop.done and solution.value_valid:
        stop.done = candidate(np.asarray(solution.col_value))
    bound = float(info.mip_dual_bound)  # infinite if the solver believes that nothing is feasible
    return Answer(bound if math.isfinite(bound) else -math.inf, stop.done, max(0, int(info.mip_node_count)))


class _Interrupt:
    """Callbacks of one run. An exception must not pass through the solver's own code: it is kept."""

    def __init__(
        self,
        deadline: Deadline,
        margin: float = math.inf,
        candidate: Candidate = lambda v: False,
    ) -> None:
        self.deadline = deadline
        self.margin = margin
        self.candidate = candidate
        self.done = False
        self.error: Exception | None = None

    def improving(self, event: Any) -> None:
        """A better solution: is it a witness?"""
        if self.done or self.error is not None:
            return
        try:
            self.done = self.candidate(np.array(event.data_out.mip_solution))
        except Exception as error:
            self.error = error

    def __call__(self, event: Any) -> None:
        """Whether to stop."""
        proved = self.margin < event.data_out.mip_dual_bound < math.inf
        if self.done or self.error is not None or proved or self.deadline.expired:
            event.interrupt()


class _Quiet(highspy.Highs):
    """A solver that prints nothing: its banner would come where it is given its callbacks, as it is made."""

    def enableCallbacks(self) -> None:  # noqa: N802
        self.silent()
        super().enableCallbacks()  # type: ignore[no-untyped-call]


def _solver(problem: Problem, deadline: Deadline, threads: int, *, integer: bool) -> highspy.Highs:
    highspy.Highs.resetGlobalScheduler(True)  # else the first run's number of threads is binding
    solver = _Quiet()  # type: ignore[no-untyped-call]
    for name in ("primal_feasibility_tolerance", "dual_feasibility_tolerance", "mip_feasibility_tolerance"):
        solver.setOptionValue(name, SOLVER_TOLERANCE)
    solver.setOptionValue("mip_abs_gap", 0.0)
    solver.setOptionValue("mip_rel_gap", 0.0)
    solver.setOptionValue("threads", threads)
    remaining = deadline.remaining()
    if math.isfinite(remaining):
        solver.setOptionValue("time_limit", max(remaining, 0.01))
    solver.passModel(problem.model(integer=integer))
    return solver
