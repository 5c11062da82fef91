# SPDX-License-Identifier: Apache-2.0
"""Projected gradient descent from many starts at once, every point with its own box and target.

Sources: Madry et al., arXiv:1706.06083 (the attack); Tashiro et al., arXiv:2003.06878 (starts
diversified in the output space); Kingma and Ba, arXiv:1412.6980 (the adaptive step).
"""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify_falsification.hunt import Hunt, Place

__all__ = ["descend", "gives_gradient"]

FIRST_STEP, LAST_STEP = 0.25, 0.004
"""Step sizes of the sign steps as fractions of the box's width; between them they decay geometrically."""

WARM_STEP = 0.2
"""Steps of points that start from good ones are this much shorter."""

ADAPTIVE_SCALE = 0.4
"""Adaptive steps are this much shorter than sign steps."""

MOMENTUM, SECOND_MOMENTUM = 0.9, 0.99

DIVERSIFY_STEPS, DIVERSIFY_STEP = 3, 0.2


def gives_gradient(hunt: Hunt) -> bool:
    """Whether outputs depend on inputs differentiably, as seen at the centre and 7 random points."""
    with torch.enable_grad():
        count = min(8, hunt.batch)
        place = hunt.place(torch.zeros(count, dtype=torch.int64, device=hunt.ctx.device))
        u = hunt.uniform(count, hunt.inputs)
        u[0] = 0.5
        u.requires_grad_()
        y = hunt.graph(hunt.at(u, place))
        if not y.requires_grad:
            return False
        (gradient,) = torch.autograd.grad(y.sum(), u)
    return bool((torch.nan_to_num(gradient, 0.0, 0.0, 0.0) != 0).any())


def descend(hunt: Hunt, target: Tensor, start: Tensor, warm: Tensor, steps: int, variant: int = 0) -> None:
    """Attack target (batch,) from u = start (batch, n), for so many steps or until the hunt is over.

    Of each four points in turn, one takes sign steps on the largest margin, one adaptive steps on
    it, one sign steps on the sum of positive margins, one adaptive steps on the sum. `variant` says
    which of the four is the first point's. Where `warm` (batch,), the start is good already: steps are small.
    """
    clause = hunt.targets.clause[target]
    place = hunt.place(clause)
    index = torch.arange(target.numel(), device=target.device) + variant
    adaptive, summed = (index % 2 == 1)[:, None], index % 4 >= 2
    u = torch.where(warm[:, None], start, _diversified(hunt, start, place))
    reach = torch.where(warm[:, None], FIRST_STEP * WARM_STEP, FIRST_STEP)
    first, second = torch.zeros_like(u), torch.zeros_like(u)
    decay = (LAST_STEP / FIRST_STEP) ** (1 / max(1, steps - 1))
    for step in range(steps):
        if hunt.over():
            return
        with torch.enable_grad():
            u.requires_grad_()
            x = hunt.at(u, place)
            products = hunt.targets.products(x, hunt.graph(x))
            margins = hunt.targets.margins(products, target)
            loss = torch.where(summed, _summed(margins), margins.amax(dim=1))
            (gradient,) = torch.autograd.grad(loss.sum(), u)
        u = u.detach()
        hunt.record(clause, u, x.detach(), products)
        gradient = torch.nan_to_num(gradient, 0.0, 0.0, 0.0)
        first.lerp_(gradient, 1 - MOMENTUM)
        second.lerp_(gradient.square(), 1 - SECOND_MOMENTUM)
        corrected = first / (1 - MOMENTUM ** (step + 1))
        scale = (second / (1 - SECOND_MOMENTUM ** (step + 1))).sqrt().clamp(min=1e-30)
        move = torch.where(adaptive, ADAPTIVE_SCALE * corrected / scale, gradient.sign())
        if bool(place.round.any()):  # where the surface is round the way down is not along signs
            steepest = gradient / gradient.abs().amax(dim=1, keepdim=True).clamp(min=1e-30)
            move = torch.where(place.round[:, None], steepest, move)
        u = hunt.kept(u - reach * decay**step * move, place)


def _summed(margins: Tensor) -> Tensor:
    """The sum of positive margins; inside the target the largest margin, so that points go on inwards."""
    positive = margins.clamp(min=0).sum(dim=1)
    return torch.where(positive > 0, positive, margins.amax(dim=1))


def _diversified(hunt: Hunt, start: Tensor, place: Place) -> Tensor:
    """Half of the starts, by a coin, moved along a random direction of the outputs."""
    weights = 2 * hunt.uniform(start.shape[0], hunt.outputs) - 1
    weights *= hunt.uniform(start.shape[0], 1) < 0.5
    u = start
    for _ in range(DIVERSIFY_STEPS):
        if hunt.over():
            return u
        with torch.enable_grad():
            u = u.detach().requires_grad_()
            y = hunt.graph(hunt.at(u, place))
            (gradient,) = torch.autograd.grad((y * weights).sum(), u)
        gradient = torch.nan_to_num(gradient, 0.0, 0.0, 0.0)
        u = (u.detach() + DIVERSIFY_STEP * gradient.sign()).clamp(0.0, 1.0)
        hunt.points += u.shape[0]
    return u
