# SPDX-License-Identifier: Apache-2.0
"""Random local search, for networks without a useful gradient: black boxes, steps, saturation.

Each point changes a random part of its coordinates and keeps what brings it nearer to its target.
The part shrinks as the search goes on, as in the square attack (Andriushchenko et al.,
arXiv:1912.00049): half of the parts are runs of neighbours, half are scattered.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify_falsification.hunt import Hunt

__all__ = ["wander"]

FIRST_PART = 0.5
"""Fraction of the coordinates that is changed at first; at the end it is one coordinate."""

FIRST_SCALE, LAST_SCALE = 0.5, 0.01
"""Standard deviation of the small moves, as a fraction of the box's width."""


def wander(hunt: Hunt, target: Tensor, start: Tensor, steps: int) -> None:
    """Attack target (batch,) from u = start (batch, n) without gradients."""
    clause = hunt.targets.clause[target]
    place = hunt.place(clause)
    u = start
    value = torch.full_like(u[:, 0], torch.inf)
    for step in range(steps):
        if hunt.over():
            return
        trial = u if step == 0 else _changed(hunt, u, step / steps)
        with torch.no_grad():
            x = hunt.at(trial, place)
            products = hunt.targets.products(x, hunt.graph(x))
            hunt.record(clause, trial, x, products)
            found = hunt.targets.margins(products, target).amax(dim=1)
        better = found <= value  # false where not a number
        u = torch.where(better[:, None], trial, u)
        value = torch.where(better, found, value)


def _changed(hunt: Hunt, u: Tensor, progress: float) -> Tensor:
    """The points with part of their coordinates moved a little or, every second point, to an end."""
    count, n = u.shape
    fraction = max(1.0 / n, FIRST_PART * (1.0 / n / FIRST_PART) ** progress)
    scattered = hunt.uniform(count, n) < fraction
    place = (torch.arange(n, device=u.device) - (hunt.uniform(count, 1) * n).floor()) % n
    run = place < max(1, round(fraction * n))
    index = torch.arange(count, device=u.device)[:, None]
    chosen = torch.where(index % 4 < 2, scattered, run)
    scale = FIRST_SCALE * (LAST_SCALE / FIRST_SCALE) ** progress
    noise = torch.randn(count, n, generator=hunt.ctx.generator, device=u.device, dtype=u.dtype)
    ends = (hunt.uniform(count, n) < 0.5).to(u.dtype)
    moved = torch.where(index % 2 == 0, (u + scale * noise).clamp(0.0, 1.0), ends)
    return torch.where(chosen, moved, u)
