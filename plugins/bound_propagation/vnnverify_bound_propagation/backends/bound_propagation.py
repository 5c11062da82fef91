# SPDX-License-Identifier: Apache-2.0
"""The backend: which search a query gets."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vnnverify import Backend, Context, Outcome, Query, Support, option
from vnnverify.bounds import backward
from vnnverify.domains import interval
from vnnverify.errors import UnsupportedOperator
from vnnverify.ir import Affine
from vnnverify.numerics import direct_convolutions
from vnnverify.ops.piecewise import Relu
from vnnverify.search import InputSplit, without_zero_margins
from vnnverify_bound_propagation.branching.inputs import BoxBounder, DeepBoxBounder, Limits
from vnnverify_bound_propagation.schedule.activation_search import ActivationSearch

__all__ = ["BoundPropagation", "BoundPropagationOptions"]


SPLITTABLE_INPUTS = 64
"""Varying inputs up to which halving the box can still get anywhere where no sign can be split."""
CURVED_INPUTS, HALVING_SHARE = 4, 0.5
"""Where there are other functions than ReLUs, a box of up to so many times `split_inputs` varying inputs is
halved for this part of the time, then the network is split: products gain more from halves."""
MANY_SIGNS = 4000
"""ReLUs beyond which bounding a box costs so much that each is bounded as well as possible, at first one by
one."""
FIRST_BATCH = 64
"""Most boxes of the first batch otherwise."""


@dataclass(frozen=True, slots=True)
class BoundPropagationOptions:
    """Options of `bound_propagation`."""

    memory: int = option(
        256, help="MiB that the rows of one backward pass may take", minimum=1, mebibytes=True
    )
    max_batch: int = option(4096, help="most boxes bounded at once", minimum=1)
    split_inputs: int = option(
        16, help="branch and bound on the input box up to so many varying inputs, on signs beyond", minimum=0
    )
    forward_inputs: int = option(32, help="forward linear bounds up to so many varying inputs", minimum=0)


class BoundPropagation(Backend[BoundPropagationOptions]):
    """Proves by sound linear bounds and branch and bound: on the input box where few inputs vary, on the
    signs inside the network where many do."""

    def supports(self, query: Query) -> Support:
        """Whether intervals and backward bounds both have rules for every operator."""
        try:
            interval.domain.prepare(query.graph)
            backward.domain.prepare(query.graph)
        except UnsupportedOperator as error:
            return Support.no(str(error))
        return Support.yes()

    def verify(self, query: Query, ctx: Context) -> Outcome:
        """Halves boxes where few inputs vary, splits signs where many do; in between, on curved networks, the
        one for a share of the time, then the other."""
        if ctx.parcel is None:  # whose sub-problems count its clauses as they are
            query = without_zero_margins(query, ctx)
        if not query.clauses:
            return Outcome.unsat()
        if ctx.deadline.expired:
            return Outcome.timeout("no time was given")
        free, nodes = query.varying, query.graph.nodes
        signs = sum(node.output.size for node in nodes if isinstance(node.op, Relu))
        with torch.no_grad(), direct_convolutions():
            few = free <= self.options.split_inputs or ctx.parcel is not None  # which holds boxes
            if few or all(isinstance(node.op, Affine) for node in nodes):
                splits = None if free <= max(SPLITTABLE_INPUTS, self.options.split_inputs) else 0
                return self._split_inputs(query, ctx, costly=signs > MANY_SIGNS, splits=splits)
            curved = not all(isinstance(node.op, Affine | Relu) for node in nodes)
            if not curved or free > CURVED_INPUTS * self.options.split_inputs:
                return self._split_activations(query, ctx)
            limited = ctx.until(ctx.deadline.share(HALVING_SHARE))
            found = self._split_inputs(query, limited, costly=signs > MANY_SIGNS, splits=None)
            if found.verdict.decided or ctx.deadline.expired:
                return found
            return self._split_activations(found.residual or query, ctx)

    def _split_inputs(self, query: Query, ctx: Context, *, costly: bool, splits: int | None) -> Outcome:
        limits = Limits(self.options.memory << 20, self.options.forward_inputs)
        bounder: DeepBoxBounder | BoxBounder
        if costly:
            bounder = DeepBoxBounder(query, ctx, limits)
        else:
            bounder = BoxBounder(query, ctx, limits, halved=splits != 0)
        first, most = 1 if costly else FIRST_BATCH, self.options.max_batch
        search = InputSplit(query, bounder, ctx, first_batch=first, max_batch=most, max_splits=splits)
        why = "too many varying inputs to split" if splits == 0 else "boxes at float resolution"
        return search.run().outcome(query, why, **bounder.stats)

    def _split_activations(self, query: Query, ctx: Context) -> Outcome:
        options = self.options
        search = ActivationSearch(
            query,
            ctx,
            memory=options.memory << 20,
            max_batch=options.max_batch,
            forward_inputs=options.forward_inputs,
        )
        return search.run().outcome(query, "no open sign is left to split")
