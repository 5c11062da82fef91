# SPDX-License-Identifier: Apache-2.0
"""Bounds of margins over batches of input boxes, for branch and bound on the inputs."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from vnnverify import Context, Deadline, Polytope, Query
from vnnverify.bounds import backward
from vnnverify.bounds.intermediate.refinement import Refinement
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.specification import Specification
from vnnverify.bounds.state import State
from vnnverify.bounds.threads import by_parts
from vnnverify.ir import Value
from vnnverify.numerics import lower_as, varies
from vnnverify.search import ActivationSplit, BoxBounds
from vnnverify_bound_propagation.branching.relu import DualBounder
from vnnverify_bound_propagation.branching.specifications import UnsafePolytope
from vnnverify_bound_propagation.schedule.settings import Settings

__all__ = ["DeepBoxBounder", "LinearBoxBounder"]


def _propagator(
    query: Query,
    ctx: Context,
    settings: Settings,
    dtype: torch.dtype,
    refine_at_most: int | None,
    *,
    light: bool = False,
) -> Propagator:
    """What bounds the query's boxes."""
    lower = torch.stack([c.region.lower for c in query.clauses])
    upper = torch.stack([c.region.upper for c in query.clauses])
    free = varies(lower, upper).any(dim=0).nonzero()[:, 0].to(ctx.device)
    return Propagator(
        query.graph.to(ctx.device, dtype),
        free if 0 < free.numel() <= settings.forward_inputs else None,
        dtype,
        memory=settings.bytes,
        refine_at_most=refine_at_most,
        light=light,
    )


class LinearBoxBounder:
    """For networks on which many boxes can be bounded per second: in the search's float type, and again
    in float64 what fails only for rounding."""

    def __init__(self, query: Query, ctx: Context, settings: Settings, *, halved: bool) -> None:
        self.deadline = ctx.deadline
        most = settings.box_refined if halved else None
        self.fast = _propagator(query, ctx, settings, ctx.dtype, most)
        self.exact = self.fast
        if ctx.dtype != torch.float64:
            self.exact = _propagator(query, ctx, settings, torch.float64, most)
        self.elements = self.fast.widest * max(1, query.varying)
        self.redone: list[int] = []

    @property
    def stats(self) -> dict[str, int]:
        """Boxes that were bounded in float64."""
        return {"float64_boxes": sum(self.redone)}

    def bound(self, lower: Tensor, upper: Tensor, spec: Specification, memory: Tensor | None) -> BoxBounds:
        """Sound lower bounds of all margins of `spec`, with the linear functions they come from."""

        def part(index: Tensor, of: int) -> tuple[Tensor, Tensor, Tensor]:
            return self._bound_part(lower[index], upper[index], spec.where(index))

        found = by_parts(part, len(lower), self.elements, lower.device)
        return BoxBounds(*(torch.cat(column) for column in zip(*found, strict=True)))

    def _bound_part(self, lower: Tensor, upper: Tensor, spec: Specification) -> tuple[Tensor, Tensor, Tensor]:
        """The margins (B, S), slopes and gains (B, S, n)."""
        linear, gain = self._bound(self.fast, lower, upper, spec)
        B, S, n = gain.shape
        margins = linear.lower.reshape(B, S)
        if self.exact is not self.fast:
            hopeful = margins + 2 * linear.error.reshape(B, S)
            tight = spec.open_polytopes(margins).any(dim=1) & ~spec.open_polytopes(hopeful).any(dim=1)
            if bool(tight.any()):
                self.redone.append(int(tight.sum()))
                again, _ = self._bound(
                    self.exact, lower[tight].double(), upper[tight].double(), spec.where(tight)
                )
                exact = lower_as(again.lower.reshape(-1, S), margins.dtype)
                # a margin that stays open must go on being the one that `A` attains
                margins[tight] = torch.where(exact > 0, exact, margins[tight])
        return margins, linear.A.reshape(B, S, n), gain

    def _bound(
        self, tool: Propagator, lower: Tensor, upper: Tensor, spec: Specification
    ) -> tuple[backward.Linear, Tensor]:
        state = tool.propagate(lower, upper, self.deadline)
        return tool.margins(state, spec.as_type(tool.dtype))


class DeepBoxBounder:
    """For networks on which one box takes seconds: in float64, whose rounding error stays below the
    margins of deep networks, with the bounds of the box that was halved, and with a search over signs
    that may take as long as bounding its halves."""

    def __init__(self, query: Query, ctx: Context, settings: Settings) -> None:
        self.ctx, self.settings = ctx, settings
        self.tool = _propagator(query, ctx, settings, torch.float64, None, light=True)
        self.subproblems = 0

    @property
    def stats(self) -> dict[str, int]:
        """Subproblems of all searches over signs."""
        return {"subproblems": self.subproblems}

    def bound(self, lower: Tensor, upper: Tensor, spec: Specification, memory: Tensor | None) -> BoxBounds:
        """Sound lower bounds of all margins of `spec`, with the linear functions they come from."""
        started = time.monotonic()
        deadline = self.ctx.deadline

        def better(value: Value, state: State) -> bool:
            """Slopes of each row's own where rows are short."""
            refinement = Refinement(self.tool, state, settings=self.settings)
            return refinement.with_slopes(value, self.settings.box_slope_steps, deadline)

        state = self.tool.propagate(lower.double(), upper.double(), deadline, memory, better)
        linear, gain = self.tool.margins(state, spec.as_type(torch.float64))
        effort = (time.monotonic() - started) / len(lower)
        B, S, n = gain.shape
        margins = lower_as(linear.lower.reshape(B, S), lower.dtype)
        open_ = spec.open_polytopes(margins)
        excluded = ~open_
        points = []
        for box in open_.any(dim=1).nonzero()[:, 0].tolist():
            candidates = open_[box].nonzero()[:, 0]
            left, point = self._search(
                state.of_box(box), spec, box, candidates, self.settings.box_effort * effort
            )
            excluded[box, candidates] = True
            excluded[box, left] = False
            points.extend([] if point is None else [point])
        return BoxBounds(
            margins,
            linear.A.reshape(B, S, n).to(lower.dtype),
            gain.to(lower.dtype),
            self.tool.remembered(state),
            excluded,
            torch.stack(points) if points else None,
        )

    def _search(
        self, root: State, spec: Specification, box: int, candidates: Tensor, seconds: float
    ) -> tuple[Tensor, Tensor | None]:
        """Those polytopes among `candidates` that a search over signs leaves open, and a witness if found."""
        polytopes: list[UnsafePolytope] = []
        for p in candidates.tolist():
            rows = spec.member[box, p]
            polytope = Polytope(spec.C[box, rows], spec.d[box, rows], spec.strict[box, rows])
            polytopes.append(UnsafePolytope(len(polytopes), 0, polytope))
        ctx = self.ctx.until(Deadline.after(min(seconds, self.ctx.deadline.remaining())))
        settings = self.settings
        bounder = DualBounder(
            self.tool, root, polytopes, ctx, dtype=torch.float32, steps=settings.box_steps, settings=settings
        )
        search = ActivationSplit(
            bounder, ctx, full_batch=settings.box_full_batch, patience=settings.box_patience
        )
        found = search.run(*bounder.start())
        self.subproblems += found.stats["subproblems"]
        return candidates[found.open_polytopes], found.witness
