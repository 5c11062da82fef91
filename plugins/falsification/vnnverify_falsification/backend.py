# SPDX-License-Identifier: Apache-2.0
"""The schedule: instant tries first, then restarts of growing length until the time is up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vnnverify import Backend, Context, Deadline, Outcome, Query, option
from vnnverify.obstacle import Obstacle, ObstacleKind
from vnnverify.query.model_points import Points, points_in
from vnnverify_falsification.concrete import try_centres, try_corners
from vnnverify_falsification.gradient import descend, gives_gradient
from vnnverify_falsification.hunt import BLIND_BATCH, Hunt
from vnnverify_falsification.inner import HUGE, with_inner_boxes
from vnnverify_falsification.local_search import wander
from vnnverify_falsification.refine import refine, refined_points

__all__ = ["Falsification", "FalsificationOptions"]

BLIND_ROUND = 5
"""Where there are gradients, every so many rounds one searches without them."""

WARM_PART, WARM_NOISE = 4, 0.1
"""One point in so many starts from the best so far, changed by so much of the box's width."""

SAMPLED_BATCHES = 1
"""Batches of uniform points at most in each of the first boxes: large networks have better uses for time."""

FEW_CLAUSES = 64
"""Up to so many clauses are looked at for points that the model can be given."""

REFINED_ROUND = 2
"""Where targets have several rows, every so many rounds one takes all of them into account at once."""


@dataclass(frozen=True, slots=True)
class FalsificationOptions:
    """How long and how broadly to search."""

    seconds: float = option(0.0, help="stop after so many seconds; 0: at the deadline", minimum=0)
    rounds: int = option(2000, help="batches of restarts before giving up", minimum=0)
    steps: int = option(25, help="steps of the shortest round; longer ones take multiples of it", minimum=1)
    samples: int = option(256, help="uniform points tried in each of the first boxes", minimum=0)
    boxes: int = option(
        8, help="clauses whose corners and samples are tried, most promising first", minimum=0
    )
    memory_mb: int = option(512, help="memory that a batch may take, in MiB", minimum=1)


class Falsification(Backend[FalsificationOptions]):
    """Search for a counterexample in all clauses at once. Never says `unsat`."""

    def verify(self, query: Query, ctx: Context) -> Outcome:
        """`sat` with a point that the original model confirms, else `unknown` or `timeout`.

        The search is determined by `ctx.generator` and the query; the clock only ends it.
        """
        clauses = [c for c in query.clauses if c.unsafe and not c.region.empty]
        if not clauses:
            reason = "no counterexample found: no clause has a region and an unsafe polytope"
            return Outcome.unknown(reason, obstacle=Obstacle(ObstacleKind.NO_COUNTEREXAMPLE))
        held = [points_in(c.region, query.layout) for c in clauses[:FEW_CLAUSES]]
        if len(clauses) <= FEW_CLAUSES:
            clauses = [c for c, points in zip(clauses, held, strict=True) if points is not Points.NONE]
        if not clauses:
            reason = "no counterexample found: no box holds a number of each input's type"
            return Outcome.unknown(reason, obstacle=Obstacle(ObstacleKind.NO_COUNTEREXAMPLE))
        if ctx.deadline.expired:
            return Outcome.timeout("the deadline had passed")
        limits = ctx
        if self.options.seconds > 0:
            limits = ctx.until(Deadline(min(ctx.deadline.at, Deadline.after(self.options.seconds).at)))
        if query.reach > HUGE / 2:
            clauses = with_inner_boxes(clauses)
        hunt = Hunt(query, clauses, limits, self.options.memory_mb)
        several = len(clauses) > FEW_CLAUSES or Points.SEVERAL in held
        rounds = self._search(hunt, self.options.rounds if several else 0)
        stats: dict[str, Any] = {
            "points": hunt.points,
            "rounds": rounds,
            "refused_candidates": hunt.refused,
        }
        if hunt.witness is not None:
            return Outcome.sat(hunt.witness, **stats)
        best = float(hunt.best.min())
        stats["best_margin"] = best if best < torch.inf else None
        reason = f"no counterexample found at {hunt.points:,} points, nearest margin {best:.3g}"
        if ctx.deadline.remaining() == 0:
            return Outcome.timeout(reason, **stats)
        return Outcome.unknown(reason, obstacle=Obstacle(ObstacleKind.NO_COUNTEREXAMPLE), **stats)

    def _search(self, hunt: Hunt, rounds: int) -> int:
        """Run the schedule, so many rounds at most; the number of those begun."""
        try_centres(hunt)
        if hunt.over():
            return 0
        smooth = gives_gradient(hunt)
        if not smooth:
            hunt.batch = min(hunt.batch, BLIND_BATCH)
        try_corners(hunt, self.options.boxes, min(self.options.samples, SAMPLED_BATCHES * hunt.batch))
        cursor = 0
        for number in range(rounds):
            if hunt.over():
                return number
            target = _chosen_targets(hunt, number, cursor)
            cursor += target.numel()
            start, warm = _starts(hunt, target, number)
            steps = self.options.steps * luby(number + 1)
            if smooth and hunt.targets.conjunctive and number % REFINED_ROUND == 1:
                few = slice(refined_points(hunt))
                refine(hunt, target[few], start[few])
            elif smooth and number % BLIND_ROUND != BLIND_ROUND - 1:
                descend(hunt, target, start, warm, steps, variant=number)
            else:
                wander(hunt, target, start, steps)
        return rounds


def _chosen_targets(hunt: Hunt, number: int, cursor: int) -> Tensor:
    """One target per point of the batch: in turn all, the best quarter, sixteenth and sixty-fourth of them.

    Where a batch is too small for that, it takes up where the last one ended.
    """
    count = len(hunt.targets) >> (2 * (number % 4))
    pool = hunt.best.argsort(stable=True)[: max(1, count)]
    if pool.numel() > hunt.batch:
        pool = pool.roll(-(cursor % pool.numel()))[: hunt.batch]
    return pool[torch.arange(hunt.batch, device=pool.device) % pool.numel()]


def _starts(hunt: Hunt, target: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Uniform points; in the first round some centres; later some points near the best so far.

    Returns:
        The points (batch, n), and which of them are near the best: (batch,) bool.
    """
    u = hunt.uniform(target.numel(), hunt.inputs)
    index = torch.arange(target.numel(), device=target.device) + number
    warm = torch.zeros_like(target, dtype=torch.bool)
    if number == 0:
        u[: len(hunt.targets)] = 0.5
        return u, warm
    for place in torch.nonzero(index % WARM_PART == 0).flatten().tolist():
        known = hunt.elite.get(int(target[place]))
        if known is not None:
            u[place] = (known[1] + WARM_NOISE * (u[place] - 0.5)).clamp(0.0, 1.0)
            warm[place] = True
    return u, warm


def luby(number: int) -> int:
    """The universal restart sequence 1, 1, 2, 1, 1, 2, 4, 1, … at position `number` >= 1.

    Source: Luby, Sinclair, Zuckerman, Optimal speedup of Las Vegas algorithms, 1993, section 2.
    """
    length = 1
    while length < number:
        length = 2 * length + 1
    if length == number:
        return (length + 1) // 2
    return luby(number - length // 2)
