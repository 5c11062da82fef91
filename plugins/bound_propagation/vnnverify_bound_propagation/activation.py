# SPDX-License-Identifier: Apache-2.0
"""Bounds of sub-problems with split activations, and which activation to split next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify import Context, Deadline
from vnnverify.ir import flat
from vnnverify.numerics import lower_as, upper_as
from vnnverify.query import Polytope
from vnnverify.search import ActivationBounds, Branches, bound_in_threads
from vnnverify_bound_propagation.bounds import Propagator
from vnnverify_bound_propagation.dual import Dual
from vnnverify_bound_propagation.problems import Ascent, Problems
from vnnverify_bound_propagation.pruning import without_dead
from vnnverify_bound_propagation.splits import best_splits, bound_by_cases
from vnnverify_bound_propagation.state import State

__all__ = ["DualBounder", "Goal", "stacked"]

FILTERED = 8
"""Candidates for the next split that are tried by real bounds."""
LEVELS = 6
"""Most elements proposed for one sub-problem."""
SLOPE_STEPS = 255
"""Slopes travel from parent to child as bytes; any rounding of them is sound."""
ROOT_STEPS, TIGHTEN_STEPS = 40, 10
"""Gradient steps for a goal without splits, and for an inner bound."""
LEAF_STEPS, LEAF_DECAY = 300, 0.985
"""Gradient steps where every sign is settled, and how slowly their size falls."""
WORTHWHILE, WORTHWHILE_CASES = 0.02, 0.05
"""Inner bounds are tightened again while some goal's bound gains this part of its distance from zero:
without splits, and with them, which takes several times as long."""


@dataclass(frozen=True, slots=True, eq=False)
class Goal:
    """One unsafe polytope of one clause, over one of the root's boxes."""

    clause: int
    box: int
    polytope: Polytope


class DualBounder:
    """Optimised bounds of sub-problems over the boxes of one root state.

    Slopes and multipliers are sought in `dtype`; what they prove is computed in float64.

    Args:
        tool: bounds the graph in float64.
        root: what `tool` knows of each box.
        dtype: float type of the ascent.
        steps: gradient steps per sub-problem.
    """

    def __init__(
        self,
        tool: Propagator,
        root: State,
        goals: Sequence[Goal],
        ctx: Context,
        *,
        dtype: torch.dtype,
        steps: int,
    ) -> None:
        self.ctx, self.dtype, self.steps = ctx, dtype, steps
        self.exact = Dual(*without_dead(tool.graph, root))
        fast, known = Propagator.in_type(dtype, self.exact.graph, self.exact.root)
        self.dual = Dual(fast, known)
        self.rows_at_once = tool.rows_at_once(root.lower.device)
        self.network = fast
        self.widest = tool.widest
        device = root.lower.device
        self.box = torch.tensor([g.box for g in goals], device=device)
        self.C, self.d, self.strict, self.real = (
            t.to(device) for t in stacked(goals, tool.graph.output_size)
        )
        self.lower, self.upper = self.dual.lower[self.box], self.dual.upper[self.box]  # (goals, U)
        ends = [torch.cat([flat(root.interval[v][end]) for v in tool.graph.outputs], 1) for end in (0, 1)]
        self.reach = (ends[1] - ends[0]).amax(dim=1).to(dtype)  # (B,) widest output interval

    def start(self, deadline: Deadline, splits: int = 0) -> tuple[Branches, ActivationBounds]:
        """Bounds of all goals without splits, after tightening inner bounds as long as that helps.

        Args:
            splits: so many neurons are split for each inner bound.
        """
        branches = Branches.roots(len(self.box), self.box.device, self.dtype)
        problems = self._problems(branches)
        ascent = self.dual.ascend(problems, ROOT_STEPS, self.ctx.deadline)
        lower = self._certified(branches, problems, ascent)
        while not deadline.expired:
            open_ = (~(lower > 0)).nonzero()[:, 0]
            if not open_.numel() or self.dual.size == 0:
                break
            before = lower[open_]
            part = problems.take(open_)
            self._tighten(part, deadline, splits)
            self.lower[open_], self.upper[open_] = part.lower, part.upper
            found = self.dual.ascend(part, ROOT_STEPS, self.ctx.deadline)
            lower[open_] = torch.fmax(before, self._certified(branches.take(open_), part, found))
            problems.put(open_, part)
            ascent.put(open_, found)
            gain = (lower[open_] - before) / before.abs().clamp(min=1e-6)
            if not bool((gain > (WORTHWHILE if splits == 0 else WORTHWHILE_CASES)).any()):
                break
        return branches, self._answer(branches, problems, ascent, lower)

    def bound(self, branches: Branches) -> ActivationBounds:
        return bound_in_threads(self._bound, branches, self.widest)

    def _bound(self, branches: Branches) -> ActivationBounds:
        problems = self._problems(branches)
        ascent = self.dual.ascend(problems, self.steps, self.ctx.deadline)
        leaf = ~((problems.lower < 0) & (problems.upper > 0)).any(dim=1) & ~(ascent.bound > 0)
        if bool(leaf.any()):  # nothing is left to split: a linear program, worth solving well
            index = leaf.nonzero()[:, 0]
            part = problems.take(index)
            found = self.dual.ascend(part, LEAF_STEPS, self.ctx.deadline, decay=LEAF_DECAY)
            problems.put(index, part)
            ascent.put(index, found)
        return self._answer(branches, problems, ascent, self._certified(branches, problems, ascent))

    def _answer(
        self, branches: Branches, problems: Problems, ascent: Ascent, lower: Tensor
    ) -> ActivationBounds:
        element, worth = best_splits(problems, ascent, LEVELS)
        memory = {
            "alpha": (problems.alpha * SLOPE_STEPS).round().to(torch.uint8),
            "beta": problems.beta.to(torch.float16),
            "weight": problems.weight,
        }
        multiplier = problems.beta.gather(1, branches.element.clamp(min=0))
        threshold = torch.zeros_like(element, dtype=self.dtype)
        return ActivationBounds(lower, multiplier, memory, ascent.point, element, threshold, worth)

    def violated(self, goal: Tensor, x: Tensor) -> Tensor:
        y = self.network(x).to(torch.float64)
        margin = torch.einsum("npm,nm->np", self.C[goal], y) - self.d[goal]
        inside = torch.where(self.strict[goal], margin < 0, margin <= 0)
        return (inside | ~self.real[goal]).all(dim=1)

    def _problems(self, branches: Branches) -> Problems:
        """The sub-problems with what their goals and parents know."""
        goal = branches.goal
        problems = self.dual.problems(
            self.box[goal], self.C[goal].to(self.dtype), self.d[goal].to(self.dtype)
        )
        problems.lower, problems.upper = self.lower[goal], self.upper[goal]
        if branches.memory:
            problems.alpha = branches.memory["alpha"].to(self.dtype) / SLOPE_STEPS
            problems.beta = branches.memory["beta"].to(self.dtype)
            problems.weight = branches.memory["weight"]
        for t in range(branches.element.shape[1]):
            element, side = branches.element[:, t], branches.side[:, t]
            row = (side != 0).nonzero()[:, 0]
            e, at, up = element[row], branches.threshold[row, t], side[row] > 0
            problems.lower[row, e] = torch.where(
                up, torch.fmax(problems.lower[row, e], at), problems.lower[row, e]
            )
            problems.upper[row, e] = torch.where(
                up, problems.upper[row, e], torch.fmin(problems.upper[row, e], at)
            )
            problems.beta[row, e] = branches.multiplier[row, t]
        return problems

    def _tighten(self, problems: Problems, deadline: Deadline, splits: int) -> None:
        """Better bounds of the open elements, for inputs whose outputs are unsafe. In place.

        A row ±z_j is bounded together with multiples of the unsafe rows, which are <= 0 where it matters.
        Source: Kotha et al., arXiv:2302.01404.
        """
        spread = problems.rows.abs().sum(dim=2).amax(dim=1) * self.reach[problems.box]
        for node, unit in self.dual.units.items():
            value = node.inputs[0]
            lower, upper = problems.lower[:, unit.part], problems.upper[:, unit.part]
            which, element = ((lower < 0) & (upper > 0)).nonzero(as_tuple=True)
            fast, exact = (dual.also_toward(value) for dual in (self.dual, self.exact))
            step = max(1, self.rows_at_once // 2)
            for start in range(0, which.numel(), step):
                if deadline.expired:
                    return
                p, e = which[start : start + step], element[start : start + step]
                column = unit.part.start + e
                rows = self._inner_rows(problems, p, unit.columns[e], value.size)
                width = (problems.upper[p, column] - problems.lower[p, column]).repeat(2)
                rows.scale = width / spread[p].repeat(2)
                found = bound_by_cases(fast, exact, rows, TIGHTEN_STEPS, splits, deadline)
                low, high = found.chunk(2)
                low = torch.fmax(problems.lower[p, column], lower_as(low, self.dtype))
                high = torch.fmin(problems.upper[p, column], upper_as(-high, self.dtype))
                sane = low <= high  # crossed bounds mean that nothing is left, but prove nothing here
                problems.lower[p, column] = torch.where(sane, low, problems.lower[p, column])
                problems.upper[p, column] = torch.where(sane, high, problems.upper[p, column])

    def _inner_rows(self, problems: Problems, which: Tensor, column: Tensor, size: int) -> Problems:
        """Sub-problems that bound +z and −z of one element each, below the unsafe rows: (2·len(which),)."""
        rows = problems.take(which.repeat(2))
        D, P, m = rows.rows.shape
        sign = torch.ones(D, dtype=self.dtype, device=column.device)
        sign[which.numel() :] = -1
        both = torch.zeros(D, 1 + P, size + m, dtype=self.dtype, device=column.device)
        both[torch.arange(D, device=column.device), 0, column.repeat(2)] = sign
        both[:, 1:, size:] = rows.rows
        rows.rows = both
        rows.offset = torch.nn.functional.pad(rows.offset, (1, 0))
        rows.weight = torch.zeros_like(rows.offset)
        rows.weight[:, 0] = 1
        rows.alpha = (rows.upper > -rows.lower).to(self.dtype)
        rows.beta = torch.zeros_like(rows.beta)
        return rows

    def _certified(self, branches: Branches, problems: Problems, ascent: Ascent) -> Tensor:
        """Certified bounds where the plain ones are positive; elsewhere the plain ones, at most zero."""
        lower = ascent.bound.clamp(max=0.0)
        hopeful = (ascent.bound > 0).nonzero()[:, 0]
        if hopeful.numel():
            goal = branches.goal[hopeful]
            part = problems.take(hopeful).to(torch.float64)
            part.rows, part.offset = self.C[goal], self.d[goal]
            proved = self.exact.certify(part).lower
            sure = (proved > 0) & torch.isfinite(proved)  # an overflow proves nothing
            lower[hopeful] = torch.where(sure, upper_as(proved, self.dtype), 0.0)
        return lower


def stacked(goals: Sequence[Goal], outputs: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows C (goals, P, m), d, strict and real (goals, P); padding repeats the first row."""
    P = max([1, *(g.polytope.b.numel() for g in goals)])
    C = torch.zeros(len(goals), P, outputs, dtype=torch.float64)
    d = torch.zeros(len(goals), P, dtype=torch.float64)
    strict, real = (torch.zeros(len(goals), P, dtype=torch.bool) for _ in range(2))
    for k, goal in enumerate(goals):
        rows = goal.polytope.b.numel()
        C[k, :rows], d[k, :rows] = goal.polytope.A, goal.polytope.b
        if rows:
            C[k, rows:], d[k, rows:] = goal.polytope.A[:1], goal.polytope.b[:1]
        strict[k, :rows], real[k, :rows] = goal.polytope.strict, True
    return C, d, strict, real
