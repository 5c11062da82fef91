# SPDX-License-Identifier: Apache-2.0
"""Networks with more than ReLUs: sigmoids, sines, products, jumps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import torch
from torch import Tensor

from vnnverify import Context, Deadline
from vnnverify.bounds.intermediate.cost import Margins
from vnnverify.bounds.intermediate.refinement import Refinement
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.state import State
from vnnverify.deadline import OutOfTime
from vnnverify.search import ActivationSplit, SearchResult
from vnnverify_bound_propagation.branching.general import LineBounder
from vnnverify_bound_propagation.branching.specifications import UnsafePolytope, batches, per_row
from vnnverify_bound_propagation.schedule.conclusion import concluded, undecided
from vnnverify_bound_propagation.schedule.settings import Settings

__all__ = ["search_curves"]


def search_curves(
    tool: Propagator, state: State, polytopes: list[UnsafePolytope], ctx: Context, settings: Settings
) -> SearchResult:
    """Lines optimised for each polytope, then for each intermediate bound as well, then splits on the
    arguments of all elementwise operators."""
    stats = {"polytopes": len(polytopes), "subproblems": 0}
    own, polytopes, rows, worst = _optimised(tool, state, polytopes, ctx.deadline, settings)
    rounds: Iterable[tuple[int, int]] = ((settings.curve_root_steps, 0),)
    if Refinement(tool, state, settings=settings).narrow:
        given = settings.steps_and_splits_of_rounds()
        rounds = itertools.chain(given, itertools.repeat(given[-1]))
    for steps, splits in rounds:
        if not polytopes or ctx.deadline.expired:
            break
        before = worst
        margins = Margins(
            torch.cat([p.rows.A for p in polytopes]).to(state.lower.device),
            torch.cat([p.rows.b for p in polytopes]).to(state.lower.device),
            per_row(polytopes, [p.box for p in polytopes]).to(state.lower.device),
        )
        limit = ctx.deadline.share(settings.curve_root_share)
        refined = Refinement(tool, state, margins, settings).run(steps, limit, splits)
        if refined:
            own, polytopes, rows, worst = _optimised(tool, state, polytopes, ctx.deadline, settings)
        if steps and not worst > (1 - settings.patch_progress) * before:
            break
    if not polytopes:
        return SearchResult([], stats=stats)
    bounder = LineBounder(tool, own, polytopes, rows, ctx, settings)
    try:
        roots, found = bounder.start()
    except OutOfTime:
        return undecided(polytopes)
    result = ActivationSplit(bounder, ctx, max_batch=settings.max_batch).run(roots, found)
    left = [polytopes[k] for k in result.open_polytopes]
    return concluded(result, left, {**stats, **result.stats})


def _optimised(
    tool: Propagator, state: State, polytopes: list[UnsafePolytope], deadline: Deadline, settings: Settings
) -> tuple[State, list[UnsafePolytope], Tensor, float]:
    """Those polytopes no row of which is proved by lines of its own; a state with one box for each of them,
    with the lines of its best row; which row that is; and the least of their bounds."""
    own, open_, rows_of, worst = [], [], [], math.inf
    for part in batches(polytopes, tool.rows_optimised(tool.graph)):
        rows = torch.cat([p.rows.A for p in part]).to(state.lower.device)
        limit = torch.cat([p.rows.b for p in part]).to(state.lower.device)
        count = torch.tensor([p.rows.b.numel() for p in part], device=rows.device)
        polytope = torch.arange(len(part), device=rows.device).repeat_interleave(count)
        box = torch.tensor([p.box for p in part], device=rows.device)[polytope]
        try:
            steps = settings.curve_margin_steps
            found = tool.optimised_margins(state, rows, limit, box, steps, deadline, settings)
        except OutOfTime:
            for one in part:
                own.append(state.of_box(one.box))
                open_.append(one)
                rows_of.append(0)
            worst = -math.inf
            continue
        for k in range(len(part)):
            mine = (polytope == k).nonzero()[:, 0]
            best = int(mine[found.lower[mine].argmax()]) if mine.numel() else -1
            if best < 0 or not (math.isfinite(found.lower[best]) and found.lower[best] > 0):
                own.append(found.state.of_box(best) if best >= 0 else state.of_box(part[k].box))
                open_.append(part[k])
                worst = min(worst, float(found.lower[best]) if best >= 0 else -math.inf)
                rows_of.append(best - int(mine[0]) if best >= 0 else 0)
    chosen = torch.tensor(rows_of, dtype=torch.long, device=state.lower.device)
    return State.stacked(own) if own else state, open_, chosen, worst
