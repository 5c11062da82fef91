# SPDX-License-Identifier: Apache-2.0
"""Networks of ReLUs: rounds of better root bounds, with a search after each."""

from __future__ import annotations

import dataclasses
import time

from vnnverify import Context, Deadline
from vnnverify.bounds.intermediate.refinement import Refinement
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.state import State
from vnnverify.search import ActivationResult, ActivationSplit, SearchResult
from vnnverify_bound_propagation.branching.relu import DualBounder
from vnnverify_bound_propagation.branching.specifications import UnsafePolytope
from vnnverify_bound_propagation.branching.tightened import TighteningBounder
from vnnverify_bound_propagation.schedule.conclusion import concluded, in_time, undecided
from vnnverify_bound_propagation.schedule.settings import Settings

__all__ = ["ReluRounds"]


class ReluRounds:
    """Intermediate bounds at the root and searches in turn. An early search gives up soon; where the next
    round would be dear, a search takes all of the time, or as long as such a round if that is promising.

    Args:
        tool: bounds the graph in float64.
        state: what it knows of each box; is refined in place.
        each: seconds that a backward pass takes for a polytope.
    """

    def __init__(self, tool: Propagator, state: State, each: float, settings: Settings) -> None:
        self.tool, self.state, self.each, self.settings = tool, state, each, settings

    def run(self, polytopes: list[UnsafePolytope], ctx: Context) -> SearchResult:
        """Search these polytopes."""
        settings, each = self.settings, self.each
        polytopes_at_root, visited = len(polytopes), 0
        share, lowest = settings.root_share, 0.0  # nothing has been gained so far
        cases = settings.cases_of_rounds()
        for splits in cases:
            before = time.monotonic()
            if splits is not None:
                refinement = Refinement(self.tool, self.state, settings=settings)
                refinement.run(settings.root_steps, ctx.deadline.share(share), splits)
            spent = time.monotonic() - before
            if not in_time(polytopes, each, ctx.deadline, settings):
                return undecided(polytopes, visited)
            result, root = self._trial(polytopes, ctx, max(spent, settings.trial_seconds))
            visited += result.stats["subproblems"]
            polytopes = [polytopes[k] for k in result.open_polytopes]
            if not polytopes:
                break
            hopeless = result.splits_needed > settings.hopeless_splits
            promising = hopeless or root > (1 - settings.promising_gain) * lowest
            share = settings.promising_share if promising else settings.root_share
            lowest = root
            left = ctx.deadline.remaining()
            if splits is None or settings.round_growth * spent <= settings.round_share * left:
                continue
            another = promising and spent < settings.promising_share * left and splits != cases[-1]
            if another and (hopeless or not splits):  # an early search has been just that
                continue
            if not in_time(polytopes, each, ctx.deadline, settings):
                return undecided(polytopes, visited)
            limited = ctx.until(Deadline.after(min(2 * spent, left))) if another else ctx
            result = self._last(polytopes, ctx, limited, splits)
            visited += result.stats["subproblems"]
            polytopes = [polytopes[k] for k in result.open_polytopes]
            if not polytopes or not another:
                break
        stats = {**result.stats, "subproblems": visited, "polytopes": polytopes_at_root}
        return concluded(result, polytopes, stats)

    def _trial(
        self, polytopes: list[UnsafePolytope], ctx: Context, seconds: float
    ) -> tuple[ActivationResult, float]:
        """A search that gives up early, and the least bound of its roots."""
        settings = self.settings
        most = ctx.deadline.share(settings.trial_share).remaining()
        limited = ctx.until(Deadline.after(min(seconds, most)))
        bounder = self._bounder(polytopes, limited)
        search = ActivationSplit(
            bounder, limited, max_batch=settings.max_batch, patience=settings.trial_patience
        )
        roots, found = bounder.start()
        return _named(search.run(roots, found), bounder), float(found.lower.min())

    def _last(
        self, polytopes: list[UnsafePolytope], whole: Context, ctx: Context, splits: int
    ) -> ActivationResult:
        """A search that takes all of the time of `ctx`, with intermediate bounds of each subproblem's own
        where in the `whole` time left there is time for many of these."""
        settings, most = self.settings, self.settings.max_batch
        plain = self._bounder(polytopes, ctx)
        if not splits:
            return _named(ActivationSplit(plain, ctx, max_batch=most).run(*plain.start()), plain)
        bounder = TighteningBounder.over(
            plain, self.tool, self.state, splits=settings.tightened_splits, memory=settings.bytes
        )
        before, limit = time.monotonic(), ctx.deadline.share(settings.tightened_share)
        roots, found = bounder.start(limit)
        each = (time.monotonic() - before) / len(polytopes)
        if not limit.expired and settings.tightened_many * each < whole.deadline.remaining():
            seconds = settings.tightened_seconds
            search = ActivationSplit(bounder, ctx, full_batch=1, max_batch=most, seconds=seconds)
        else:
            kept, found = bounder.without_more(found, ctx)
            search = ActivationSplit(kept, ctx, max_batch=most)
        result = search.run(roots, found)
        visited = result.stats["subproblems"] + bounder.subproblems
        return _named(dataclasses.replace(result, stats={**result.stats, "subproblems": visited}), plain)

    def _bounder(self, polytopes: list[UnsafePolytope], ctx: Context) -> DualBounder:
        settings = self.settings
        steps = settings.relu_steps
        return DualBounder(
            self.tool, self.state, polytopes, ctx, dtype=ctx.dtype, steps=steps, settings=settings
        )


def _named(result: ActivationResult, bounder: DualBounder) -> ActivationResult:
    """With the number of signs that the bounder may split among the statistics."""
    return dataclasses.replace(result, stats={**result.stats, "open_signs": bounder.dual.size})
