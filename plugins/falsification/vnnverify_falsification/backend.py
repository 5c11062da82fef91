# SPDX-License-Identifier: Apache-2.0
"""The backend: obvious points first, then rounds of gradient descent until the time is over."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify import Backend, Context, Outcome, Query, option
from vnnverify_falsification.attack import Attack
from vnnverify_falsification.targets import Targets

__all__ = ["Falsification", "FalsificationOptions"]


@dataclass(frozen=True, slots=True)
class FalsificationOptions:
    """Options of `falsification`."""

    samples: int = option(512, help="uniform samples and corners tried first, in all", minimum=0)
    steps: int = option(40, help="gradient steps of the first round; later rounds take up to ten times as many", minimum=1)
    points: int = option(512, help="points that move at once", minimum=1)
    rounds: int = option(0, help="gradient rounds; 0: until the time is over", minimum=0)


class Falsification(Backend[FalsificationOptions]):
    """Refutes by points; never proves anything."""

    def verify(self, query: Query, ctx: Context) -> Outcome:
        if not query.clauses:
            return Outcome.unsat()
        network = query.graph.to(ctx.device, ctx.dtype)
        targets = Targets.of(query, ctx.device)
        attack = Attack(network, targets, ctx)
        if ctx.deadline.expired:
            return Outcome.timeout("no time was given", query)
        witness, distance = self._obvious(attack)
        if witness is None and len(targets):
            witness, distance = self._rounds(attack, distance)
        stats = {
            "evaluations": attack.evaluations,
            "best_margin": float(distance.min()) if distance.numel() else float("inf"),
            "refused_hits": attack.refused,
        }
        if witness is not None:
            return Outcome.sat(witness, **stats)
        reason = "no counterexample found"
        if ctx.deadline.expired:
            return Outcome.timeout(reason, query, **stats)
        return Outcome.unknown(reason, query, **stats)

    def _obvious(self, attack: Attack) -> tuple[Tensor | None, Tensor]:
        """Centres, ends and random corners of every box; the least distance of each target (T,)."""
        targets, ctx = attack.targets, attack.ctx
        T = len(targets)
        best = torch.full((T,), float("inf"), dtype=torch.float64, device=ctx.device)
        chunk = self._chunk(targets)
        per_target = max(0, self.options.samples // max(1, T))
        for start in range(0, T, chunk):
            if ctx.deadline.expired:
                break
            target = torch.arange(start, min(T, start + chunk), device=ctx.device)
            lower, upper = targets.box(target)
            tries = [(lower + upper) / 2, lower, upper]
            for k in range(min(per_target, 64)):
                u = torch.rand(lower.shape, generator=ctx.generator, dtype=torch.float64, device=ctx.device)
                u = u.round() if k % 2 else u
                tries.append(torch.where(u == 1, upper, torch.where(u == 0, lower, lower + u * (upper - lower))))
            for x in tries:
                if ctx.deadline.expired:
                    break
                with torch.no_grad():
                    witness, distance = attack.check(x, target, attack.outputs(x))
                if witness is not None:
                    return witness, best
                best[target] = torch.minimum(best[target], distance.to(torch.float64))
        return None, best

    def _chunk(self, targets: Targets) -> int:
        """Points at once, so that inputs of any size stay within tens of megabytes."""
        n, S, m = targets.lower.shape[1], targets.spec.C.shape[1], targets.spec.C.shape[2]
        return max(1, min(4096, (1 << 21) // max(1, n + S * m)))

    def _rounds(self, attack: Attack, distance: Tensor) -> tuple[Tensor | None, Tensor]:
        """Descend from many starts, most on the targets that are nearest so far."""
        targets, ctx, options = attack.targets, attack.ctx, self.options
        points = min(options.points, max(8, self._chunk(targets)))
        number = 0
        while not ctx.deadline.expired and (options.rounds == 0 or number < options.rounds):
            order = distance.argsort()
            count = min(len(targets), max(1, points // 2))
            if number % 3 == 2 and len(targets) > count:  # now and then look elsewhere
                order = order[torch.randperm(len(order), generator=ctx.generator, device=order.device)]
            target = order[:count].repeat(-(-points // count))[:points]
            steps = min(options.steps * (1 + number), options.steps * 10)
            x = attack.starts(target, diversify=number % 2 == 0)
            witness, _, reached = attack.descend(x, target, steps, smooth=number % 3 == 1)
            distance = distance.scatter_reduce(0, target, reached, "amin")
            if witness is not None:
                return witness, distance
            number += 1
        return None, distance
