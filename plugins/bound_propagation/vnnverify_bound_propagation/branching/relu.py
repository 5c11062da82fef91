# SPDX-License-Identifier: Apache-2.0
"""Bounds of subproblems with split activations, and which activation to split next."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from vnnverify import Context
from vnnverify.bounds.intermediate.pruning import without_dead
from vnnverify.bounds.optimise.dual import Dual
from vnnverify.bounds.optimise.splits import best_splits
from vnnverify.bounds.optimise.subproblems import DualSolution, Subproblems
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.state import State, in_type
from vnnverify.numerics import upper_as
from vnnverify.search import ActivationBounds, Branches, bound_in_threads
from vnnverify_bound_propagation.branching.specifications import UnsafePolytope, reached, stacked
from vnnverify_bound_propagation.schedule.settings import Settings

__all__ = ["DualBounder"]

SLOPE_LEVELS = 255
"""Slopes travel from parent to child as bytes; any rounding of them is sound."""


class DualBounder:
    """Optimised bounds of subproblems over the boxes of one root state.

    Slopes and multipliers are sought in `dtype`; what they prove is computed in float64.

    Args:
        tool: bounds the graph in float64.
        root: what `tool` knows of each box.
        dtype: float type of the ascent.
        steps: gradient steps per subproblem.
    """

    def __init__(
        self,
        tool: Propagator,
        root: State,
        polytopes: Sequence[UnsafePolytope],
        ctx: Context,
        *,
        dtype: torch.dtype,
        steps: int,
        settings: Settings,
    ) -> None:
        self.ctx, self.dtype, self.steps, self.settings = ctx, dtype, steps, settings
        self.exact = Dual(*without_dead(tool.graph, root), settings)
        fast, known = in_type(dtype, self.exact.graph, self.exact.root)
        self.dual = Dual(fast, known, settings)
        self.rows_at_once = tool.rows_at_once(root.lower.device)
        self.network = fast
        self.widest = tool.widest
        device = root.lower.device
        self.box = torch.tensor([p.box for p in polytopes], device=device)
        self.C, self.d, self.strict, self.real = (
            t.to(device) for t in stacked(polytopes, tool.graph.output_size)
        )
        self.lower, self.upper = self.dual.lower[self.box], self.dual.upper[self.box]  # (polytopes, U)

    def start(self) -> tuple[Branches, ActivationBounds]:
        """Bounds of all polytopes without splits."""
        branches = Branches.roots(len(self.box), self.box.device, self.dtype)
        problems = self.problems(branches)
        ascent = self.dual.ascend(problems, self.settings.relu_root_steps, self.ctx.deadline)
        return branches, self.answer(branches, problems, ascent, self.certified(branches, problems, ascent))

    def bound(self, branches: Branches) -> ActivationBounds:
        """Sound bounds of a batch, parts of it side by side."""
        return bound_in_threads(self._bound, branches, self.widest)

    def _bound(self, branches: Branches) -> ActivationBounds:
        problems = self.problems(branches)
        ascent = self.ascend(problems, self.steps)
        return self.answer(branches, problems, ascent, self.certified(branches, problems, ascent))

    def ascend(self, problems: Subproblems, steps: int) -> DualSolution:
        """Improve the parameters of all subproblems in place; those in which every sign is settled take as
        many more steps as a linear program needs."""
        ascent = self.dual.ascend(problems, steps, self.ctx.deadline)
        index = (problems.settled & ~(ascent.bound > 0)).nonzero()[:, 0]
        if index.numel():
            part = problems.take(index)
            found = self.dual.settle(part, self.ctx.deadline)
            problems.put(index, part)
            ascent.put(index, found)
        return ascent

    def about(self, polytope: Tensor, ends: tuple[Tensor, Tensor], ctx: Context) -> DualBounder:
        """Bounds subproblems of these polytopes (N,), the ends (N, U) given, as if they had no splits."""
        other = copy.copy(self)
        other.ctx = ctx
        other.lower, other.upper = ends
        other.box, other.C, other.d = self.box[polytope], self.C[polytope], self.d[polytope]
        other.strict, other.real = self.strict[polytope], self.real[polytope]
        return other

    def answer(
        self,
        branches: Branches,
        problems: Subproblems,
        ascent: DualSolution,
        lower: Tensor,
        loss: Tensor | None = None,
    ) -> ActivationBounds:
        """What a search is told of these subproblems, with splits by their `loss` (see `best_splits`)."""
        element, first = best_splits(
            problems, ascent.coefficient, self.settings.relu_candidates, loss, self.settings
        )
        memory = {
            "alpha": (problems.alpha * SLOPE_LEVELS).round().to(torch.uint8),
            "beta": problems.beta.to(torch.float16),
            "weight": problems.weight,
        }
        multiplier = problems.beta.gather(1, branches.element.clamp(min=0))
        threshold = torch.zeros_like(element, dtype=self.dtype)
        return ActivationBounds(lower, multiplier, memory, ascent.point, element, threshold, first)

    def violated(self, polytope: Tensor, x: Tensor) -> Tensor:
        rows = self.C[polytope], self.d[polytope]
        return reached(*rows, self.strict[polytope], self.real[polytope], self.network(x).to(torch.float64))

    def problems(self, branches: Branches, ends: tuple[Tensor, Tensor] | None = None) -> Subproblems:
        """The subproblems with what their polytopes and parents know.

        Args:
            ends: (N, U) each, of the open elements before splits. None: as their polytopes have them.
        """
        polytope = branches.polytope
        problems = self.dual.problems(
            self.box[polytope], self.C[polytope].to(self.dtype), self.d[polytope].to(self.dtype)
        )
        lower, upper = (self.lower[polytope], self.upper[polytope]) if ends is None else ends
        problems.lower, problems.upper = lower.clone(), upper.clone()
        if branches.memory:
            problems.alpha = branches.memory["alpha"].to(self.dtype) / SLOPE_LEVELS
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

    def certified(self, branches: Branches, problems: Subproblems, ascent: DualSolution) -> Tensor:
        """Certified bounds where the plain ones are positive; elsewhere the plain ones, at most zero."""
        lower = ascent.bound.clamp(max=0.0)
        hopeful = (ascent.bound > 0).nonzero()[:, 0]
        if hopeful.numel():
            polytope = branches.polytope[hopeful]
            part = problems.take(hopeful).to(torch.float64)
            part.rows, part.offset = self.C[polytope], self.d[polytope]
            proved = self.exact.certify(part).lower
            sure = (proved > 0) & torch.isfinite(proved)  # an overflow proves nothing
            most = torch.finfo(self.dtype).max
            lower[hopeful] = torch.where(sure, upper_as(proved, self.dtype).clamp(max=most), 0.0)
        return lower
