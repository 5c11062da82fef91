# SPDX-License-Identifier: Apache-2.0
"""Networks with one hidden layer of ReLUs: one search over the signs of the hinges."""

from __future__ import annotations

import dataclasses

from vnnverify import Context
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.state import State
from vnnverify.search import ActivationResult, ActivationSplit
from vnnverify_bound_propagation.branching.specifications import UnsafePolytope
from vnnverify_bound_propagation.one_hidden_layer.search import HingeBounder
from vnnverify_bound_propagation.schedule.settings import Settings

__all__ = ["search_one_hidden_layer"]


def search_one_hidden_layer(
    tool: Propagator, state: State, polytopes: list[UnsafePolytope], ctx: Context, settings: Settings
) -> ActivationResult:
    """The search where all ReLUs' arguments are affine in the inputs. Its `open_polytopes` are clauses."""
    bounder = HingeBounder(tool, state, polytopes, ctx, settings)
    result = ActivationSplit(bounder, ctx, max_batch=settings.max_batch).run(*bounder.start())
    clauses = sorted({polytopes[k].clause for k in result.open_polytopes})
    stats = {**result.stats, "polytopes": len(polytopes), "open_signs": bounder.size}
    return dataclasses.replace(result, open_polytopes=clauses, stats=stats)
