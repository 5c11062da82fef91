# SPDX-License-Identifier: Apache-2.0
"""Damped Gauss-Newton steps for conjunctions: thin unsafe sets, where many rows must hold at once.

A gradient of the largest margin looks at one row at a time and zigzags between them. Here the rows of
a point's target are linearised together, and the least change of the input that satisfies all of them
is taken, inside the box (Levenberg-Marquardt; coordinates are held where they would leave their interval).
"""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify_falsification.hunt import Hunt

__all__ = ["refine", "refined_points"]

STEPS = 25

ROWS = 32
"""Rows of a target that are linearised: those missed by most."""

POINTS = 64
"""Points that are refined together at most."""

BATCHES = 4
"""Batches of the network's work that a step may cost, as each row of each point is differentiated."""

DEPTHS = (1e-4, 1e-2, 1e-6, 1e-3)
"""How far inside the rows the points aim in turn, as fractions of how far they are away at first. Opposite
rows that leave less room than that meet in the middle."""

LEAST_MISS = 1e-3
"""A point is taken to be away by at least this much (rows have length one): else it aims at nothing."""

FIRST_DAMPING, LEAST_DAMPING, EASE, BRAKE = 1e-3, 1e-9, 0.2, 8.0
"""Damping relative to the mean of the normal matrix's diagonal, and its factors after success and failure."""

HOLDS = 3
"""Passes in which coordinates that would leave their interval are held at its end."""


def refined_points(hunt: Hunt) -> int:
    """How many points `refine` should be given, from the structure of network and targets alone."""
    return max(1, min(hunt.batch, POINTS, BATCHES * hunt.batch // _rows(hunt)))


def refine(hunt: Hunt, target: Tensor, start: Tensor) -> None:
    """Move points u = start (batch, n) into their targets (batch,)."""
    u = trial = start
    miss, slope = _linearised(hunt, target, trial)
    depth = _depths(miss)
    loss = torch.full_like(u[:, 0], torch.inf)
    damping = torch.full_like(loss, FIRST_DAMPING / EASE)
    kept, kept_slope = miss, slope
    for step in range(STEPS):
        if step:
            miss, slope = _linearised(hunt, target, trial)
        if hunt.over():
            return
        found = (miss + depth).clamp(min=0).square().sum(dim=1)
        better = found < loss  # false where not a number
        loss = torch.where(better, found, loss)
        u = torch.where(better[:, None], trial, u)
        kept = torch.where(better[:, None], miss, kept)
        kept_slope = torch.where(better[:, None, None], slope, kept_slope)
        damping = torch.where(better, (damping * EASE).clamp(min=LEAST_DAMPING), damping * BRAKE)
        trial = _stepped(u, (kept + depth).clamp(min=0), kept_slope, damping)


def _rows(hunt: Hunt) -> int:
    return min(ROWS, hunt.targets.row.shape[1])


def _linearised(hunt: Hunt, target: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """The largest margins (batch, k) of each point's target and their derivatives (batch, k, n) by u."""
    clause = hunt.targets.clause[target]
    place = hunt.place(clause)
    with torch.no_grad():
        x = hunt.at(u, place)
        products = hunt.targets.products(x, hunt.graph(x))
        hunt.record(clause, u, x, products)
        margins, row = hunt.targets.margins(products, target).topk(_rows(hunt), dim=1)
    slope = u.new_zeros(row.numel(), u.shape[1])
    point = torch.arange(u.shape[0], device=u.device).repeat_interleave(row.shape[1])
    for first in range(0, row.numel(), hunt.batch):
        if hunt.over():
            break
        index, which = point[first : first + hunt.batch], row.flatten()[first : first + hunt.batch, None]
        with torch.enable_grad():
            v = u[index].requires_grad_()
            x = hunt.at(v, place.take(index))
            margin = hunt.targets.margins(hunt.targets.products(x, hunt.graph(x)), target[index])
            (gradient,) = torch.autograd.grad(margin.gather(1, which).sum(), v)
        hunt.points += index.numel()
        slope[first : first + hunt.batch] = torch.nan_to_num(gradient, 0.0, 0.0, 0.0)
    return margins, slope.view(*row.shape, -1)


def _depths(miss: Tensor) -> Tensor:
    """How far inside its rows each point aims: miss (batch, k) -> (batch, 1)."""
    index = torch.arange(miss.shape[0], device=miss.device) % len(DEPTHS)
    away = miss[:, :1].abs().clamp(min=LEAST_MISS)
    return away * torch.tensor(DEPTHS, device=miss.device, dtype=miss.dtype)[index, None]


def _stepped(u: Tensor, miss: Tensor, slope: Tensor, damping: Tensor) -> Tensor:
    """u (batch, n) moved by the damped least-squares step against miss (batch, k), zero where a row holds."""
    slope = slope * (miss > 0)[:, :, None]
    free = torch.ones_like(u)
    moved = u
    for _ in range(HOLDS):
        held = slope * free[:, None, :]
        normal = held @ held.transpose(1, 2)  # (batch, k, k)
        mean = normal.diagonal(dim1=1, dim2=2).mean(dim=1).clamp(min=torch.finfo(u.dtype).tiny)
        shift = torch.diag_embed((damping * mean)[:, None].expand_as(miss))
        left = miss + (slope @ ((moved - u) * (1 - free))[:, :, None])[:, :, 0]
        weights, _ = torch.linalg.solve_ex(normal + shift, left)
        change = (held.transpose(1, 2) @ weights[:, :, None])[:, :, 0]
        moved = torch.where(free > 0, u - change, moved)
        free = free * ((moved >= 0) & (moved <= 1))
        moved = torch.nan_to_num(moved, 0.5, 1.0, 0.0).clamp(0.0, 1.0)
    return moved
