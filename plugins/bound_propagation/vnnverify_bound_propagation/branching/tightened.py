# SPDX-License-Identifier: Apache-2.0
"""Subproblems with intermediate bounds of their own.

A split changes the bounds of all later neurons, and with the outputs known to be unsafe those of earlier ones
as well. Bounding these anew takes as long as thousands of subproblems with the root's intermediate bounds,
and can save more than that: where the relaxation of later layers is what is loose, splits alone get
nowhere.

What to split is what the bound depends on most, by way of all intermediate bounds that follow from it; the
ends that are bounded anew are those that the parent's bound depended on."""

from __future__ import annotations

import dataclasses
import time

import torch
from torch import Tensor

from vnnverify import Context, Deadline
from vnnverify.bounds.intermediate.sensitivity import Sensitivity, sensitivity
from vnnverify.bounds.intermediate.tightening import Tightening
from vnnverify.bounds.optimise.subproblems import DualSolution, Subproblems
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.state import State
from vnnverify.ir import flat
from vnnverify.numerics import round_up, upper_as
from vnnverify.search import ActivationBounds, ActivationSplit, Branches
from vnnverify_bound_propagation.branching.relu import DualBounder

__all__ = ["TighteningBounder"]

PROVED = torch.finfo(torch.float32).tiny
"""A lower bound of what is proved by parts."""
BYTES = 2 * 3 * 4
"""What two intermediate bounds of an open element depend on takes so much, times the number of open
elements."""


class TighteningBounder:
    """Bounds each subproblem, tightens its intermediate bounds, bounds it again, and splits it without
    further inner bounds for as long as that took.

    Args:
        plain: bounds subproblems with the intermediate bounds they have.
        reach: widest output interval of each of the root's boxes (B,).
        size: largest absolute value of the outputs over each polytope's box (polytopes, m).
        splits: so many neurons are split for each intermediate bound.
        memory: bytes that what intermediate bounds depend on may take.
    """

    def __init__(self, plain: DualBounder, reach: Tensor, size: Tensor, *, splits: int, memory: int) -> None:
        self.plain, self.splits, self.memory = plain, splits, memory
        rows = plain.C.to(plain.dtype).to(plain.C.dtype)
        beyond = torch.einsum("gpm,gm->gp", (plain.C - rows).abs(), size) * (1 + 1e-9)
        self.limits = upper_as(round_up(plain.d + beyond), plain.dtype)  # of the rows as they are in `dtype`
        self.tightening = Tightening(
            plain.dual, plain.exact, reach.to(plain.dtype), plain.rows_at_once, plain.settings
        )
        self.subproblems = 0

    @classmethod
    def over(
        cls, plain: DualBounder, tool: Propagator, root: State, *, splits: int, memory: int
    ) -> TighteningBounder:
        """With what the root knows of the outputs."""
        low, high = (
            torch.cat([flat(root.interval[v][end]) for v in tool.graph.outputs], 1) for end in (0, 1)
        )
        size = torch.maximum(low.abs(), high.abs())[plain.box]
        return cls(plain, (high - low).amax(dim=1), size, splits=splits, memory=memory)

    def start(self, deadline: Deadline) -> tuple[Branches, ActivationBounds]:
        """Bounds of all polytopes without splits, with new intermediate bounds until the deadline."""
        branches = Branches.roots(len(self.plain.box), self.plain.box.device, self.plain.dtype)
        return branches, self._in_parts(branches, deadline)

    def without_more(self, roots: ActivationBounds, ctx: Context) -> tuple[DualBounder, ActivationBounds]:
        """What bounds subproblems of the polytopes with the intermediate bounds that these have at their
        roots, and what it is to know of the roots."""
        memory = dict(roots.memory)
        ends = memory.pop("lower"), memory.pop("upper")
        for name in ("low", "high"):
            del memory[name]
        every = torch.arange(len(ends[0]), device=ends[0].device)
        return self.plain.about(every, ends, ctx), dataclasses.replace(roots, memory=memory)

    def bound(self, branches: Branches) -> ActivationBounds:
        """Sound bounds of a batch."""
        return self._in_parts(branches, self.plain.ctx.deadline)

    def _in_parts(self, branches: Branches, deadline: Deadline) -> ActivationBounds:
        size = max(1, self.memory // (BYTES * self.plain.dual.size**2 + 1))
        index = torch.arange(len(branches), device=branches.polytope.device)
        return ActivationBounds.joined(
            [self._bound(branches.take(part), deadline) for part in torch.split(index, size)]
        )

    def violated(self, polytope: Tensor, x: Tensor) -> Tensor:
        """As `DualBounder.violated`."""
        return self.plain.violated(polytope, x)

    def _bound(self, branches: Branches, deadline: Deadline) -> ActivationBounds:
        plain = self.plain
        memory = branches.memory
        problems = plain.problems(branches, (memory["lower"], memory["upper"]) if memory else None)
        ascent = plain.ascend(problems, plain.steps)
        lower = plain.certified(branches, problems, ascent)
        total = Sensitivity.direct(problems, ascent)
        witness: Tensor | None = None
        open_ = (~(lower > 0)).nonzero()[:, 0]
        if open_.numel():
            began = time.monotonic()
            mine, part = branches.take(open_), problems.take(open_)
            ends = (mine.memory["low"], mine.memory["high"]) if memory else None
            rows, empty = self.tightening.run(part, self.limits[mine.polytope], ends, self.splits, deadline)
            found = plain.ascend(part, plain.settings.tightened_steps)
            proved = plain.certified(mine, part, found)
            proved[empty] = PROVED
            total.put(open_, sensitivity(part, found, rows))
            closed, witness = self._search(
                mine.polytope,
                part,
                found,
                proved,
                min(plain.settings.tightened_effort * (time.monotonic() - began), deadline.remaining()),
            )
            proved[closed] = PROVED
            lower[open_] = torch.fmax(lower[open_], proved)
            problems.put(open_, part)
            ascent.put(open_, found)
        answer = plain.answer(branches, problems, ascent, lower, total.loss)
        low, high = _wanted(problems, total, plain.settings.tightened_part)
        gained = lower - branches.bound > plain.settings.tightened_progress * branches.bound.abs()
        stuck = ~(gained | torch.isinf(branches.bound))[:, None]
        low, high = low | stuck, high | stuck
        answer.memory |= {"lower": problems.lower, "upper": problems.upper, "low": low, "high": high}
        if witness is not None:
            answer.point[~(lower > 0)] = witness.to(answer.point.dtype)
        return answer

    def _search(
        self, polytope: Tensor, problems: Subproblems, ascent: DualSolution, lower: Tensor, seconds: float
    ) -> tuple[Tensor, Tensor | None]:
        """Which of the subproblems are closed by splits with the intermediate bounds they have, and a
        witness."""
        closed = torch.zeros_like(lower, dtype=torch.bool)
        open_ = (~(lower > 0)).nonzero()[:, 0]
        if not open_.numel():
            return closed, None
        ctx = dataclasses.replace(self.plain.ctx, deadline=Deadline.after(seconds), tell=_silent)
        part = problems.take(open_)
        bounder = self.plain.about(polytope[open_], (part.lower, part.upper), ctx)
        roots = Branches.roots(open_.numel(), lower.device, lower.dtype)
        known = bounder.answer(roots, part, ascent.take(open_), lower[open_])
        found = ActivationSplit(bounder, ctx, patience=self.plain.settings.tightened_patience).run(
            roots, known
        )
        self.subproblems += found.stats["subproblems"]
        closed[open_] = True
        closed[open_[found.open_polytopes]] = False
        return closed, found.witness


def _silent(visited: int, left: int, bound: float) -> None:
    """Progress is what the search around this one says it is."""


def _wanted(problems: Subproblems, total: Sensitivity, part: float) -> tuple[Tensor, Tensor]:
    """Which lower and which upper ends (D, U) of the open elements the bounds owe this part to of
    what they owe to all."""
    gain = torch.cat([total.lower * -problems.lower, total.upper * problems.upper], 1).clamp(min=0)
    ordered, order = gain.sort(dim=1, descending=True)
    before = ordered.cumsum(dim=1) - ordered
    wanted = torch.zeros_like(gain, dtype=torch.bool)
    wanted.scatter_(1, order, before < part * ordered.sum(dim=1, keepdim=True))
    low, high = wanted.chunk(2, dim=1)
    return low, high
