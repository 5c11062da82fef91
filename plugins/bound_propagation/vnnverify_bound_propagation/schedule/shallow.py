# SPDX-License-Identifier: Apache-2.0
"""Networks with one hidden layer of ReLUs: one search over the signs of the hinges."""

from __future__ import annotations

from vnnverify import Context
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.state import State
from vnnverify.search import ActivationSplit, SearchResult
from vnnverify_bound_propagation.branching.specifications import UnsafePolytope
from vnnverify_bound_propagation.one_hidden_layer.search import HingeBounder
from vnnverify_bound_propagation.schedule.conclusion import concluded
from vnnverify_bound_propagation.schedule.settings import Settings

__all__ = ["search_one_hidden_layer"]


def search_one_hidden_layer(
    tool: Propagator, state: State, polytopes: list[UnsafePolytope], ctx: Context, settings: Settings
) -> SearchResult:
    """The search where all ReLUs' arguments are affine in the inputs."""
    bounder = HingeBounder(tool, state, polytopes, ctx, settings)
    result = ActivationSplit(bounder, ctx, max_batch=settings.max_batch).run(*bounder.start())
    stats = {**result.stats, "polytopes": len(polytopes), "open_signs": bounder.size}
    return concluded(result, [polytopes[k] for k in result.open_polytopes], stats)
