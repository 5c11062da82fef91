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

FILTERED = 3
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

    def violated(self, goal: Tensor, x: Tensor) -> Tensor:
        y = self.tool.graph(x).to(torch.float64)
        margin = torch.einsum("npm,nm->np", self.C[goal], y) - self.d[goal]
        inside = torch.where(self.strict[goal], margin < 0, margin <= 0)
        return (inside | ~self.real[goal]).all(dim=1)

    def bound(self, branches: Branches) -> ActivationBounds:
        problems = self._problems(self.dual, branches)
        ascent = self.dual.ascend(problems, self.steps, self.ctx.deadline)
        lower = self._certified(branches, problems, ascent)
        element = self._choose(problems, ascent, lower)
        memory = {
            "alpha": (problems.alpha * SLOPE_STEPS).round().to(torch.uint8),
            "weight": problems.weight,
        }
        multiplier = problems.beta.gather(1, branches.element.clamp(min=0))
        threshold = torch.zeros_like(element, dtype=self.dtype)
        worth = _worth(problems, ascent, element.clamp(min=0))
        return ActivationBounds(lower, multiplier, memory, ascent.point, element, threshold, worth)

    def _problems(self, dual: Dual, branches: Branches) -> Problems:
        goal = branches.goal
        dtype = dual.lower.dtype
        C, d = self.C[goal].to(dtype), self.d[goal].to(dtype)
        problems = dual.problems(self.box[goal], C, d)
        if branches.memory:
            problems.alpha = branches.memory["alpha"].to(dtype) / SLOPE_STEPS
            problems.weight = branches.memory["weight"].to(dtype)
        for t in range(branches.element.shape[1]):
            element, side = branches.element[:, t], branches.side[:, t]
            row = (side != 0).nonzero()[:, 0]
            e, at, up = element[row], branches.threshold[row, t].to(dtype), side[row] > 0
            problems.lower[row, e] = torch.where(up, torch.fmax(problems.lower[row, e], at), problems.lower[row, e])
            problems.upper[row, e] = torch.where(up, problems.upper[row, e], torch.fmin(problems.upper[row, e], at))
            problems.split[row, e] = side[row]
            problems.beta[row, e] = branches.multiplier[row, t].to(dtype)
        return problems

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

    def _choose(self, problems: Problems, ascent: Ascent, lower: Tensor) -> Tensor:
        """Elements to split, best first: (D, k)."""
        D, U = problems.alpha.shape
        free = (problems.lower < 0) & (problems.upper > 0)
        k = min(LEVELS, U)
        if k == 0:
            return torch.full((D, 1), -1, dtype=torch.long, device=free.device)
        chord = problems.upper / (problems.upper - problems.lower)
        above = (-ascent.coefficient).clamp(min=0) * -problems.lower * chord
        corner = torch.maximum(-problems.lower * problems.alpha, problems.upper * (1 - problems.alpha))
        below = ascent.coefficient.clamp(min=0) * corner  # the slope below is optimised: it matters less
        score = torch.where(free, above + 1e-3 * below, -1.0)
        value, element = score.topk(k, dim=1)
        element = torch.where(value >= 0, element, -1)
        rows = (~(lower > 0) & (element >= 0).all(dim=1)).nonzero()[:, 0]
        if k < 2 or not rows.numel() or FILTERED < 2:
            return element
        few = element[rows, : min(FILTERED, k)]
        best = self._filter(problems.take(rows), few, _worth(problems, ascent, element)[rows, : few.shape[1]])
        first = few.gather(1, best[:, None])
        rest = element[rows]
        order = torch.where(rest == first, -1, torch.arange(k, device=rest.device).expand_as(rest)).argsort(dim=1)
        element[rows] = rest.gather(1, order)
        return element

    def _filter(self, problems: Problems, element: Tensor, worth: Tensor) -> Tensor:
        """Of the candidates (D, k), the one whose worse child has the best bound: (D,)."""
        D, k = element.shape
        index = torch.arange(D, device=element.device).repeat_interleave(2 * k)
        child = problems.take(index)
        e = element.repeat_interleave(2, dim=1).reshape(-1)
        row = torch.arange(e.numel(), device=e.device)
        up = row % 2 == 0
        child.lower[row, e] = torch.where(up, 0.0, child.lower[row, e])
        child.upper[row, e] = torch.where(up, child.upper[row, e], 0.0)
        child.beta[row, e] = worth.reshape(-1)
        child.split[row, e] = torch.where(up, 1, -1).to(torch.int8)
        bound = self.dual.evaluate(child).reshape(D, k, 2)
        return (bound.amin(dim=2) + 1e-3 * bound.amax(dim=2)).argmax(dim=1)


def _worth(problems: Problems, ascent: Ascent, element: Tensor) -> Tensor:
    """Multipliers (D, k, 2) with which a child's bound starts where its parent's ended: what the slope
    below gave up or had over the exact slope 1 or 0 of either side."""
    coefficient = ascent.coefficient.gather(1, element).clamp(min=0)
    alpha = problems.alpha.gather(1, element)
    return torch.stack([coefficient * (1 - alpha), -coefficient * alpha], dim=2)
