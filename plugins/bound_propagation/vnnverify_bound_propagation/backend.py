# SPDX-License-Identifier: Apache-2.0
"""The backend: linear bounds at the root, then branch and bound on the input box where it is small."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify import Backend, Context, Deadline, Outcome, Query, Support, option
from vnnverify.domains import interval
from vnnverify.errors import UnsupportedOperator
from vnnverify.numerics import lower_as
from vnnverify.search import BoxBounds, InputSplit, Specification
from vnnverify_bound_propagation import backward
from vnnverify_bound_propagation.bounds import Propagator

__all__ = ["BoundPropagation", "BoundPropagationOptions", "BoxBounder"]


@dataclass(frozen=True, slots=True)
class BoundPropagationOptions:
    """Options of `bound_propagation`."""

    memory: int = option(256, help="MiB that the rows of one backward pass may take", minimum=1)
    max_batch: int = option(4096, help="most boxes bounded at once", minimum=1)
    split_inputs: int = option(
        64, help="branch and bound on the input box up to so many varying inputs", minimum=0
    )
    refine_at_most: int = option(
        64, help="where inputs are split: most open neurons of a layer and box bounded backward", minimum=0
    )
    forward_inputs: int = option(32, help="forward linear bounds up to so many varying inputs", minimum=0)


class BoxBounder:
    """Bounds margins in the search's float type; what fails only for rounding is redone in float64."""

    def __init__(self, query: Query, ctx: Context, options: BoundPropagationOptions) -> None:
        self.deadline: Deadline = ctx.deadline
        lower = torch.stack([c.region.lower for c in query.clauses])
        upper = torch.stack([c.region.upper for c in query.clauses])
        free = (upper > lower).any(dim=0).nonzero()[:, 0].to(ctx.device)
        forms = free if 0 < free.numel() <= options.forward_inputs else None
        memory = options.memory << 20
        limit = options.refine_at_most if free.numel() <= options.split_inputs else None
        self.fast = Propagator(
            query.graph.to(ctx.device, ctx.dtype), forms, ctx.dtype, memory=memory, refine_at_most=limit
        )
        self.exact = self.fast
        if ctx.dtype != torch.float64:
            self.exact = Propagator(
                query.graph.to(ctx.device, torch.float64),
                forms,
                torch.float64,
                memory=memory,
                refine_at_most=limit,
            )
        self.redone = 0

    def bound(self, lower: Tensor, upper: Tensor, spec: Specification) -> BoxBounds:
        """Sound lower bounds of all margins of `spec`, with the linear functions they come from."""
        linear, gain = self._bound(self.fast, lower, upper, spec)
        B, S, n = gain.shape
        margins = linear.lower.reshape(B, S)
        if self.exact is not self.fast:
            hopeful = margins + 2 * linear.error.reshape(B, S)
            tight = spec.open_polytopes(margins).any(dim=1) & ~spec.open_polytopes(hopeful).any(dim=1)
            if bool(tight.any()):
                self.redone += int(tight.sum())
                again, _ = self._bound(
                    self.exact, lower[tight].double(), upper[tight].double(), spec.where(tight)
                )
                exact = lower_as(again.lower.reshape(-1, S), margins.dtype)
                margins[tight] = torch.fmax(margins[tight], exact)
        return BoxBounds(margins, linear.A.reshape(B, S, n), gain)

    def _bound(
        self, tool: Propagator, lower: Tensor, upper: Tensor, spec: Specification
    ) -> tuple[backward.Linear, Tensor]:
        state = tool.propagate(lower, upper, self.deadline)
        return tool.margins(state, spec.as_type(tool.dtype))


class BoundPropagation(Backend[BoundPropagationOptions]):
    """Proves by sound linear bounds; complete on networks with few varying inputs."""

    def supports(self, query: Query) -> Support:
        try:
            interval.domain.prepare(query.graph)
            backward.domain.prepare(query.graph)
        except UnsupportedOperator as error:
            return Support.no(str(error))
        return Support.yes()

    def verify(self, query: Query, ctx: Context) -> Outcome:
        if not query.clauses:
            return Outcome.unsat()
        if ctx.deadline.expired:
            return Outcome.timeout("no time was given")
        with torch.no_grad():
            bounder = BoxBounder(query, ctx, self.options)
            free = max(int((c.region.upper > c.region.lower).sum()) for c in query.clauses)
            search = InputSplit(
                query,
                bounder,
                ctx,
                max_batch=self.options.max_batch,
                max_splits=None if free <= self.options.split_inputs else 0,
            )
            found = search.run()
        stats = {**found.stats, "float64_boxes": bounder.redone}
        if found.witness is not None:
            return Outcome.sat(found.witness, **stats)
        if not found.open_clauses:
            return Outcome.unsat(**stats)
        residual = query.with_clauses(query.clauses[k] for k in found.open_clauses)
        open_ = f"{len(found.open_clauses)} of {len(query.clauses)} clauses open"
        if found.timed_out and ctx.deadline.expired:
            return Outcome.timeout(open_, residual, **stats)
        why = (
            "too many varying inputs to split"
            if free > self.options.split_inputs
            else "boxes at float resolution"
        )
        return Outcome.unknown(f"{open_}; {why}", residual, **stats)
