# SPDX-License-Identifier: Apache-2.0
"""The backend: which search a query gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vnnverify import Backend, Context, Deadline, Outcome, Query, Support, option
from vnnverify.domains import interval
from vnnverify.errors import UnsupportedOperator
from vnnverify.numerics import lower_as, varies
from vnnverify.ops.piecewise import Relu
from vnnverify.search import BoxBounds, InputSplit, Specification
from vnnverify_bound_propagation import backward
from vnnverify_bound_propagation.bounds import Propagator
from vnnverify_bound_propagation.signs import SignSearch
from vnnverify_bound_propagation.state import State

__all__ = ["BoundPropagation", "BoundPropagationOptions", "BoxBounder"]


SPLITTABLE_INPUTS = 64
"""Varying inputs up to which halving the box can still get anywhere where no sign can be split."""
MANY_SIGNS = 4000
"""ReLUs beyond which bounding a box costs so much that every bound is computed with care and handed on to
its halves."""
REFINE_AT_MOST = 64
"""Where boxes are halved: most open neurons of a layer and box that are bounded backward."""


@dataclass(frozen=True, slots=True)
class BoundPropagationOptions:
    """Options of `bound_propagation`."""

    memory: int = option(256, help="MiB that the rows of one backward pass may take", minimum=1)
    max_batch: int = option(4096, help="most boxes bounded at once", minimum=1)
    split_inputs: int = option(
        16, help="branch and bound on the input box up to so many varying inputs, on signs beyond", minimum=0
    )
    forward_inputs: int = option(32, help="forward linear bounds up to so many varying inputs", minimum=0)


class BoxBounder:
    """Bounds margins in the search's float type; what fails only for rounding is redone in float64."""

    def __init__(
        self, query: Query, ctx: Context, options: BoundPropagationOptions, *, costly: bool, splits: bool
    ) -> None:
        self.deadline: Deadline = ctx.deadline
        self.remembers = costly and splits
        refine_at_most = None if costly or not splits else REFINE_AT_MOST
        # on deep networks the rounding error of float32 outweighs the margins
        dtype = torch.float64 if costly else ctx.dtype
        lower = torch.stack([c.region.lower for c in query.clauses])
        upper = torch.stack([c.region.upper for c in query.clauses])
        free = varies(lower, upper).any(dim=0).nonzero()[:, 0].to(ctx.device)
        forms = free if 0 < free.numel() <= options.forward_inputs else None
        memory = options.memory << 20
        self.fast = Propagator(
            query.graph.to(ctx.device, dtype),
            forms,
            dtype,
            memory=memory,
            refine_at_most=refine_at_most,
        )
        self.exact = self.fast
        if dtype != torch.float64:
            self.exact = Propagator(
                query.graph.to(ctx.device, torch.float64),
                forms,
                torch.float64,
                memory=memory,
                refine_at_most=refine_at_most,
            )
        self.redone = 0

    def bound(self, lower: Tensor, upper: Tensor, spec: Specification, memory: Tensor | None) -> BoxBounds:
        """Sound lower bounds of all margins of `spec`, with the linear functions they come from."""
        dtype = self.fast.dtype
        state, linear, gain = self._bound(self.fast, lower.to(dtype), upper.to(dtype), spec, memory)
        B, S, n = gain.shape
        margins = lower_as(linear.lower.reshape(B, S), lower.dtype)
        if self.exact is not self.fast:
            hopeful = margins + 2 * linear.error.reshape(B, S)
            tight = spec.open_polytopes(margins).any(dim=1) & ~spec.open_polytopes(hopeful).any(dim=1)
            if bool(tight.any()):
                self.redone += int(tight.sum())
                ends = lower[tight].double(), upper[tight].double()
                _, again, _ = self._bound(self.exact, *ends, spec.where(tight), None)
                exact = lower_as(again.lower.reshape(-1, S), margins.dtype)
                # a margin that stays open must go on being the one that `A` attains
                margins[tight] = torch.where(exact > 0, exact, margins[tight])
        kept = self.fast.remembered(state) if self.remembers else None
        A = linear.A.reshape(B, S, n).to(lower.dtype)
        return BoxBounds(margins, A, gain.to(lower.dtype), kept)

    def _bound(
        self, tool: Propagator, lower: Tensor, upper: Tensor, spec: Specification, memory: Tensor | None
    ) -> tuple[State, backward.Linear, Tensor]:
        state = tool.propagate(lower, upper, self.deadline, memory)
        return state, *tool.margins(state, spec.as_type(tool.dtype))


class BoundPropagation(Backend[BoundPropagationOptions]):
    """Proves by sound linear bounds and branch and bound: on the input box where few inputs vary, on the
    signs inside the network where many do."""

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
        free = query.varying
        signs = sum(node.output.size for node in query.graph.nodes if isinstance(node.op, Relu))
        with torch.no_grad():
            costly = signs > MANY_SIGNS
            if free <= self.options.split_inputs:
                return self._split_inputs(query, ctx, costly=costly, splits=None)
            if signs:
                return self._split_activations(query, ctx)
            splits = None if free <= SPLITTABLE_INPUTS else 0
            return self._split_inputs(query, ctx, costly=costly, splits=splits)

    def _split_inputs(self, query: Query, ctx: Context, *, costly: bool, splits: int | None) -> Outcome:
        bounder = BoxBounder(query, ctx, self.options, costly=costly, splits=splits != 0)
        search = InputSplit(query, bounder, ctx, max_batch=self.options.max_batch, max_splits=splits)
        found = search.run()
        stats = {**found.stats, "float64_boxes": bounder.redone}
        why = "too many varying inputs to split" if splits == 0 else "boxes at float resolution"
        return _outcome(query, ctx, found.witness, found.open_clauses, found.timed_out, why, stats)

    def _split_activations(self, query: Query, ctx: Context) -> Outcome:
        options = self.options
        search = SignSearch(
            query,
            ctx,
            memory=options.memory << 20,
            max_batch=options.max_batch,
            forward_inputs=options.forward_inputs,
        )
        found = search.run()
        why = "no open sign is left to split"
        return _outcome(query, ctx, found.witness, found.open_goals, found.timed_out, why, found.stats)


def _outcome(
    query: Query,
    ctx: Context,
    witness: Tensor | None,
    open_clauses: Sequence[int],
    timed_out: bool,
    why: str,
    stats: Mapping[str, Any],
) -> Outcome:
    if witness is not None:
        return Outcome.sat(witness, **stats)
    if not open_clauses:
        return Outcome.unsat(**stats)
    residual = query.with_clauses(query.clauses[k] for k in open_clauses)
    open_ = f"{len(open_clauses)} of {len(query.clauses)} clauses open"
    if timed_out and ctx.deadline.expired:
        return Outcome.timeout(open_, residual, **stats)
    return Outcome.unknown(f"{open_}; {why}", residual, **stats)
