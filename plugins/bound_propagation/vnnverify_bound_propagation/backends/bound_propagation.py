# SPDX-License-Identifier: Apache-2.0
"""The backend: which search a query gets."""

from __future__ import annotations

import torch

from vnnverify import Backend, Context, Outcome, Query, Support
from vnnverify.bounds import backward
from vnnverify.domains import interval
from vnnverify.errors import UnsupportedOperator
from vnnverify.ir import Affine
from vnnverify.numerics import direct_convolutions
from vnnverify.obstacle import Obstacle, ObstacleKind
from vnnverify.ops.piecewise import Relu
from vnnverify.search import InputSplit, without_zero_margins
from vnnverify_bound_propagation.branching.inputs import DeepBoxBounder, LinearBoxBounder
from vnnverify_bound_propagation.schedule.activation_search import ActivationSearch
from vnnverify_bound_propagation.schedule.settings import Settings

__all__ = ["BoundPropagation"]


class BoundPropagation(Backend[Settings]):
    """Proves by sound linear bounds and branch and bound: on the input box where few inputs vary, on the
    signs inside the network where many do."""

    def supports(self, query: Query) -> Support:
        """Whether intervals and backward bounds both have rules for every operator."""
        try:
            interval.domain.prepare(query.graph)
            backward.domain.prepare(query.graph)
        except UnsupportedOperator as error:
            return Support.lacking(error)
        return Support.yes()

    def verify(self, query: Query, ctx: Context) -> Outcome:
        """Halves boxes where few inputs vary, splits signs where many do; in between, on curved networks, the
        one for a share of the time, then the other. Over balls it begins with signs."""
        if ctx.parcel is None:  # whose subproblems count its clauses as they are
            query = without_zero_margins(query, ctx)
        if not query.clauses:
            return Outcome.unsat()
        if ctx.deadline.expired:
            return Outcome.timeout("no time was given")
        if ctx.parcel is None and any(clause.region.is_round for clause in query.clauses):
            found = self._over_regions(query, ctx)
            if found.verdict.decided or ctx.deadline.expired:
                return found
            query = found.residual or query
        free, nodes, settings = query.varying, query.graph.nodes, self.options
        relus = sum(node.output.size for node in nodes if isinstance(node.op, Relu))
        costly = relus > settings.costly_relus
        with torch.no_grad(), direct_convolutions():
            few = free <= settings.split_inputs or ctx.parcel is not None  # which holds boxes
            if few or all(isinstance(node.op, Affine) for node in nodes):
                splits = None if free <= max(settings.affine_inputs, settings.split_inputs) else 0
                return self._split_inputs(query, ctx, costly=costly, splits=splits)
            curved = not all(isinstance(node.op, Affine | Relu) for node in nodes)
            if not curved or free > settings.curved_factor * settings.split_inputs:
                return self._split_activations(query, ctx)
            limited = ctx.until(ctx.deadline.share(settings.curved_halving_share))
            found = self._split_inputs(query, limited, costly=costly, splits=None)
            if found.verdict.decided or ctx.deadline.expired:
                return found
            return self._split_activations(found.residual or query, ctx)

    def _over_regions(self, query: Query, ctx: Context) -> Outcome:
        """What bounds over the regions themselves decide; halving only knows the boxes around them."""
        limited = ctx.until(ctx.deadline.share(self.options.ball_share))
        with torch.no_grad(), direct_convolutions():
            return self._split_activations(query, limited)

    def _split_inputs(self, query: Query, ctx: Context, *, costly: bool, splits: int | None) -> Outcome:
        settings = self.options
        bounder: DeepBoxBounder | LinearBoxBounder
        if costly:
            bounder = DeepBoxBounder(query, ctx, settings)
        else:
            bounder = LinearBoxBounder(query, ctx, settings, halved=splits != 0)
        first, most = 1 if costly else settings.first_boxes, settings.max_batch
        search = InputSplit(query, bounder, ctx, first_batch=first, max_batch=most, max_splits=splits)
        why, kind = "boxes at float resolution", ObstacleKind.FLOAT_RESOLUTION
        if splits == 0:
            why, kind = "too many varying inputs to split", ObstacleKind.TOO_MANY_INPUTS
        return search.run().outcome(query, why, Obstacle(kind), **bounder.stats)

    def _split_activations(self, query: Query, ctx: Context) -> Outcome:
        found = ActivationSearch(query, ctx, self.options).run()
        return found.outcome(query, "no open sign is left to split", Obstacle(ObstacleKind.NOTHING_TO_SPLIT))
