# SPDX-License-Identifier: Apache-2.0
"""Batched projected gradient descent on the largest margin of each point's unsafe polytope.

Sources: Madry et al., arXiv:1706.06083 (PGD); Tashiro et al., arXiv:2003.06878 (output-diversified
initialisation).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vnnverify import Context
from vnnverify_falsification.targets import Targets

__all__ = ["Attack"]

Network = Callable[[Tensor], Tensor]


class Attack:
    """One query's network and targets, and the steps that move points towards them."""

    def __init__(self, network: Network, targets: Targets, ctx: Context) -> None:
        self.network = network
        self.targets = targets
        self.ctx = ctx
        self.evaluations = 0
        self.refused = 0

    def outputs(self, x: Tensor) -> Tensor:
        """The network at points (batch, n), in the search's float type."""
        self.evaluations += x.shape[0]
        return self.network(x.to(self.ctx.dtype))

    def check(self, x: Tensor, target: Tensor, y: Tensor) -> tuple[Tensor | None, Tensor]:
        """A confirmed witness among the points if there is one, and every point's distance (batch,)."""
        with torch.no_grad():
            distance = self.targets.distance(target, y)
            strict = self.targets.spec.strict[self.targets.clause[target]].any(dim=1)
            hits = torch.where(strict, distance < 0, distance <= 0).nonzero()[:, 0]
            best = hits[distance[hits].argsort()]
            for index in best[:3].tolist():
                if self.ctx.confirm(x[index].to(torch.float64)):
                    return x[index].to(torch.float64), distance
                self.refused += 1
        return None, distance

    def starts(self, target: Tensor, *, diversify: bool) -> Tensor:
        """Random points of the targets' boxes, pushed apart along random output directions if asked."""
        lower, upper = self.targets.box(target)
        u = torch.rand(lower.shape, generator=self.ctx.generator, dtype=torch.float64, device=lower.device)
        x = lower + u * (upper - lower)
        if not diversify:
            return x
        direction: Tensor | None = None
        for _ in range(4):
            point = x.to(self.ctx.dtype).requires_grad_()
            y = self.network(point)
            if not y.requires_grad or self.ctx.deadline.expired:
                break
            if direction is None:
                direction = (
                    2 * torch.rand(y.shape, generator=self.ctx.generator, device=y.device, dtype=y.dtype) - 1
                )
            (gradient,) = torch.autograd.grad((y * direction).sum(), point)
            x = _inside(x + 0.25 * (upper - lower) * torch.nan_to_num(gradient).sign(), lower, upper)
        return x

    def descend(
        self, x: Tensor, target: Tensor, steps: int, *, smooth: bool
    ) -> tuple[Tensor | None, Tensor, Tensor]:
        """Move points for some steps; a witness if met, else the best point of each and its distance.

        Args:
            smooth: descend on the sum of the positive margins instead of the largest one.
        """
        lower, upper = self.targets.box(target)
        width = upper - lower
        best, best_distance = x, torch.full((x.shape[0],), float("inf"), dtype=torch.float64, device=x.device)
        for step in range(steps + 1):
            point = x.to(self.ctx.dtype).requires_grad_()
            y = self.network(point)
            self.evaluations += x.shape[0]
            witness, distance = self.check(x, target, y.detach())
            closer = distance.to(torch.float64) < best_distance
            best = torch.where(closer[:, None], x, best)
            best_distance = torch.where(closer, distance.to(torch.float64), best_distance)
            if witness is not None or step == steps or self.ctx.deadline.expired:
                return witness, best, best_distance
            rate = 0.5 * (1 - step / steps) ** 2 + 0.002
            if y.requires_grad:
                loss = self._loss(target, y, smooth=smooth)
                (gradient,) = torch.autograd.grad(loss, point)
                x = _inside(x - rate * width * torch.nan_to_num(gradient).sign(), lower, upper)
            else:  # a black box: keep what is best and look around it
                noise = torch.randn(
                    x.shape, generator=self.ctx.generator, dtype=torch.float64, device=x.device
                )
                x = _inside(best + rate * width * noise, lower, upper)
        raise AssertionError("the loop returns at its last step")

    def _loss(self, target: Tensor, y: Tensor, *, smooth: bool) -> Tensor:
        margins = self.targets.margins(target, y)
        if smooth:
            return margins.clamp(min=0).sum()
        worst = margins.amax(dim=1)
        return torch.where(torch.isfinite(worst), worst, torch.zeros_like(worst)).sum()


def _inside(x: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    return torch.minimum(torch.maximum(x, lower), upper)
