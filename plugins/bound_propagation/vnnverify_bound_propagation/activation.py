# SPDX-License-Identifier: Apache-2.0
"""Bounds of sub-problems with split activations, and which activation to split next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify import Context
from vnnverify.ir import Affine, Elementwise, flat
from vnnverify.query import Polytope
from vnnverify.search import ActivationBounds, Branches
from vnnverify_bound_propagation.bounds import Propagator
from vnnverify_bound_propagation.dual import Ascent, Dual, Problems
from vnnverify_bound_propagation.state import State

__all__ = ["DualBounder", "Goal"]

FILTERED = 8
"""Candidates for the next split that are tried by real bounds."""
LEVELS = 6
"""Most elements proposed for one sub-problem."""
SLOPE_STEPS = 255
"""Slopes travel from parent to child as bytes; any rounding of them is sound."""


@dataclass(frozen=True, slots=True, eq=False)
class Goal:
    """One unsafe polytope of one clause, over one of the root's boxes."""

    clause: int
    box: int
    polytope: Polytope


class DualBounder:
    """Optimised bounds of sub-problems over the boxes of one root state.

    Args:
        tool: bounds the graph in the search's float type.
        root: what `tool` knows of each box.
        steps: gradient steps per sub-problem.
    """

    def __init__(self, tool: Propagator, root: State, goals: Sequence[Goal], ctx: Context, steps: int) -> None:
        self.ctx = ctx
        self.steps = steps
        self.tool = tool
        self.dual = Dual(tool.graph, root)
        self.exact: Dual | None = None
        device, dtype = root.lower.device, tool.dtype
        P = max(g.polytope.b.numel() for g in goals)
        m = tool.graph.output_size
        self.box = torch.tensor([g.box for g in goals], device=device)
        self.C = torch.zeros(len(goals), P, m, dtype=torch.float64)
        self.d = torch.zeros(len(goals), P, dtype=torch.float64)
        self.real = torch.zeros(len(goals), P, dtype=torch.bool)
        self.strict = torch.zeros(len(goals), P, dtype=torch.bool)
        for k, goal in enumerate(goals):
            rows = goal.polytope.b.numel()
            self.C[k, :rows], self.d[k, :rows] = goal.polytope.A, goal.polytope.b
            self.C[k, rows:], self.d[k, rows:] = goal.polytope.A[:1], goal.polytope.b[:1]
            self.real[k, :rows], self.strict[k, :rows] = True, goal.polytope.strict
        self.C, self.d = self.C.to(device), self.d.to(device)
        self.real, self.strict = self.real.to(device), self.strict.to(device)
        self.dtype = dtype
        self.redone = 0
        ends = [torch.cat([flat(root.interval[v][end]) for v in tool.graph.outputs], 1) for end in (0, 1)]
        self.reach = (ends[1] - ends[0]).amax(dim=1)
        self.period, self.rebound_steps = 0, 0; self.tighten=0; self.goal_lower=None

    def violated(self, goal: Tensor, x: Tensor) -> Tensor:
        y = self.tool.graph(x).to(torch.float64)
        margin = torch.einsum("npm,nm->np", self.C[goal], y) - self.d[goal]
        inside = torch.where(self.strict[goal], margin < 0, margin <= 0)
        return (inside | ~self.real[goal]).all(dim=1)

    def bound(self, branches: Branches) -> ActivationBounds:
        problems = self._problems(self.dual, branches)
        if self.period:
            depth = (branches.side != 0).sum(dim=1)
            due = ((depth > 0) & (depth % self.period == 0)).nonzero()[:, 0]
            if due.numel():
                self._rebound(problems, due)
        if self.tighten:
            for _ in range(self.tighten): self._rebound(problems, torch.arange(len(problems)))
            self.goal_lower, self.goal_upper = problems.lower.clone(), problems.upper.clone()
            self.tighten = 0
        ascent = self.dual.ascend(problems, self.steps, self.ctx.deadline)
        lower = self._certified(branches, problems, ascent)
        element, worth = self._choose(problems, ascent)
        memory = {
            "alpha": (problems.alpha * SLOPE_STEPS).round().to(torch.uint8),
            "weight": problems.weight,
            "beta": problems.beta.to(torch.float16),
        }
        if self.period:
            memory["lower"], memory["upper"] = problems.lower, problems.upper
        multiplier = problems.beta.gather(1, branches.element.clamp(min=0))
        threshold = torch.zeros_like(element, dtype=self.dtype)
        return ActivationBounds(lower, multiplier, memory, ascent.point, element, threshold, worth)

    def _problems(self, dual: Dual, branches: Branches) -> Problems:
        goal = branches.goal
        dtype = dual.lower.dtype
        C, d = self.C[goal].to(dtype), self.d[goal].to(dtype)
        problems = dual.problems(self.box[goal], C, d)
        if self.goal_lower is not None: problems.lower, problems.upper=self.goal_lower[goal], self.goal_upper[goal]
        if "lower" in branches.memory:
            problems.lower = branches.memory["lower"].to(dtype)
            problems.upper = branches.memory["upper"].to(dtype)
        if branches.memory:
            problems.alpha = branches.memory["alpha"].to(dtype) / SLOPE_STEPS
            problems.weight = branches.memory["weight"].to(dtype)
            problems.beta = branches.memory["beta"].to(dtype)
        for t in range(branches.element.shape[1]):
            element, side = branches.element[:, t], branches.side[:, t]
            row = (side != 0).nonzero()[:, 0]
            e, at, up = element[row], branches.threshold[row, t].to(dtype), side[row] > 0
            problems.lower[row, e] = torch.where(up, torch.fmax(problems.lower[row, e], at), problems.lower[row, e])
            problems.upper[row, e] = torch.where(up, problems.upper[row, e], torch.fmin(problems.upper[row, e], at))
            problems.beta[row, e] = branches.multiplier[row, t].to(dtype)
        return problems

    def _rebound(self, problems: Problems, due: Tensor) -> None:
        """Bound the open elements of the sub-problems `due` anew, with their splits in force and only
        where the output is unsafe.

        Source: Kotha et al., arXiv:2302.01404 (output constraints as Lagrangian terms).
        """
        graph = self.tool.graph
        spread = (problems.rows.abs().sum(dim=2) * self.reach[problems.box][:, None]).amax(dim=1)
        for node, unit in self.dual.units.items():
            value = node.inputs[0]
            lower, upper = problems.lower[due][:, unit.part], problems.upper[due][:, unit.part]
            which, element = ((lower < 0) & (upper > 0)).nonzero(as_tuple=True)
            if not which.numel():
                continue
            dual = self.dual.toward(graph.with_nodes(graph.nodes, [value, *graph.outputs]))
            step = max(1, self.tool.rows_at_once(lower.device) // 2)
            for start in range(0, which.numel(), step):
                if self.ctx.deadline.expired:
                    return
                p, e = due[which[start : start + step]], element[start : start + step]
                rows = problems.take(p.repeat(2))
                D, P, m = rows.rows.shape
                sign = torch.ones(D, dtype=self.dtype, device=p.device)
                sign[p.numel() :] = -1
                unsafe = rows.rows
                rows.rows = torch.zeros(D, 1 + P, value.size + m, dtype=self.dtype, device=p.device)
                rows.rows[torch.arange(D, device=p.device), 0, unit.columns[e].repeat(2)] = sign
                rows.rows[:, 1:, value.size :] = unsafe
                rows.offset = torch.nn.functional.pad(rows.offset, (1, 0))
                rows.weight = torch.zeros_like(rows.offset)
                rows.weight[:, 0] = 1
                column = unit.part.start + e
                width = problems.upper[p, column] - problems.lower[p, column]
                rows.scale = width.repeat(2) / spread[p].repeat(2)
                rows.alpha = (rows.upper > -rows.lower).to(self.dtype)
                rows.beta = torch.zeros_like(rows.beta)
                dual.ascend(rows, self.rebound_steps, self.ctx.deadline)
                low, high = dual.certify(rows).lower.chunk(2)
                low, high = torch.fmax(problems.lower[p, column], low), torch.fmin(problems.upper[p, column], -high)
                sane = low <= high
                problems.lower[p, column] = torch.where(sane, low, problems.lower[p, column])
                problems.upper[p, column] = torch.where(sane, high, problems.upper[p, column])

    def _certified(self, branches: Branches, problems: Problems, ascent: Ascent) -> Tensor:
        """Certified bounds where the plain ones are positive; the plain ones, made harmless, elsewhere."""
        lower = ascent.bound.clamp(max=0.0)
        hopeful = (ascent.bound > 0).nonzero()[:, 0]
        if hopeful.numel():
            found = self.dual.certify(problems.take(hopeful)).lower
            lower[hopeful] = torch.where(found > 0, found, torch.zeros_like(found))
            again = hopeful[~(found > 0)]
            if again.numel() and self.dtype != torch.float64:
                self.redone += again.numel()
                part = problems.take(again)
                exact = self._exact()
                names = ("rows", "offset", "lower", "upper", "alpha", "beta", "weight")
                for name in names:
                    setattr(part, name, getattr(part, name).double())
                goal = branches.goal[again]
                part.rows, part.offset = self.C[goal], self.d[goal]
                found = exact.certify(part).lower
                lower[again] = torch.where(found > 0, 1e-30, 0.0).to(lower.dtype)
        return lower

    def _exact(self) -> Dual:
        """The same root in float64."""
        if self.exact is None:
            fast = self.dual
            graph = fast.graph.to(fast.root.lower.device, torch.float64)
            state = State(fast.root.lower.double(), fast.root.upper.double())
            state.interval = {v: (a.double(), b.double()) for v, (a, b) in fast.root.interval.items()}
            self.exact = Dual(graph, self.tool.relaxed(graph, state))
        return self.exact

    def _choose(self, problems: Problems, ascent: Ascent) -> tuple[Tensor, Tensor]:
        """Elements to split (D, k), best first, and multipliers (D, k, 2) for their two sides."""
        D, U = problems.alpha.shape
        k = min(LEVELS, U)
        if k == 0:
            none = torch.full((D, 1), -1, dtype=torch.long, device=problems.alpha.device)
            return none, torch.zeros(D, 1, 2, dtype=self.dtype, device=problems.alpha.device)
        value, element = _loss(problems, ascent).topk(k, dim=1)
        return torch.where(value >= 0, element, -1), _worth(problems, ascent, element)


def _loss(problems: Problems, ascent: Ascent) -> Tensor:
    """What the relaxation of each open element can cost its row: (D, U); -1 where nothing is open."""
    lower, upper, alpha = problems.lower, problems.upper, problems.alpha
    above = (-ascent.coefficient).clamp(min=0) * -lower * upper / (upper - lower)
    corner = torch.maximum(-lower * alpha, upper * (1 - alpha))
    below = ascent.coefficient.clamp(min=0) * corner  # the slope below is optimised: it matters little
    return torch.where((lower < 0) & (upper > 0), above + 1e-3 * below, -1.0)


def _worth(problems: Problems, ascent: Ascent, element: Tensor) -> Tensor:
    """Multipliers (D, k, 2) with which a child's bound starts where its parent's ended: they make up for
    the difference between the parent's slope and the exact slope, 1 or 0, of either side."""
    chord = problems.upper / (problems.upper - problems.lower)
    slope = torch.where(ascent.coefficient > 0, problems.alpha, chord).gather(1, element)
    coefficient = ascent.coefficient.gather(1, element)
    beta = problems.beta.gather(1, element)
    return torch.stack([beta + coefficient * (1 - slope), beta - coefficient * slope], dim=2)
