# SPDX-License-Identifier: Apache-2.0
"""Points tried before any gradient: centres, corners, uniform samples."""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.numerics import varies
from vnnverify_falsification.hunt import Hunt

__all__ = ["try_centres", "try_corners", "try_points"]

MAX_CORNERS = 1024
"""Boxes with at most so many corners have all of them tried."""


def try_points(hunt: Hunt, clause: Tensor, u: Tensor) -> None:
    """Evaluate points u (count, n) of the boxes of clause (count,), in batches."""
    for start in range(0, clause.numel(), hunt.batch):
        if hunt.over() and hunt.points:  # on large networks a short turn may be over before its first point
            return
        part = slice(start, start + hunt.batch)
        with torch.no_grad():
            x = hunt.at(u[part], hunt.place(clause[part]))
            hunt.record(clause[part], u[part], x, hunt.targets.products(x, hunt.graph(x)))


def try_centres(hunt: Hunt) -> None:
    """The centre of every clause; this also ranks the targets."""
    device, dtype = hunt.ctx.device, hunt.ctx.dtype
    half = torch.full((1, 1), 0.5, device=device, dtype=dtype)
    for start in range(0, len(hunt.clauses), hunt.batch):
        if hunt.over() and hunt.points:
            return
        clause = torch.arange(start, min(start + hunt.batch, len(hunt.clauses)), device=device)
        try_points(hunt, clause, half.expand(clause.numel(), hunt.inputs))


def try_corners(hunt: Hunt, clauses: int, samples: int) -> None:
    """Corners and `samples` uniform points of the `clauses` most promising clauses."""
    ranked = torch.unique_consecutive(hunt.targets.clause[hunt.best.argsort(stable=True)])
    for index in list(dict.fromkeys(ranked.tolist()))[:clauses]:
        if hunt.over():
            return
        u = torch.cat([_corners(hunt, index), hunt.uniform(samples, hunt.inputs)])
        try_points(hunt, torch.full((u.shape[0],), index, device=u.device), u)


def _corners(hunt: Hunt, clause: int) -> Tensor:
    """All corners of a box with few free coordinates, else both end vertices and random corners."""
    region = hunt.clauses[clause].region
    free = torch.nonzero(varies(region.lower, region.upper)).flatten().to(hunt.ctx.device)
    if 2 ** min(free.numel(), 63) <= MAX_CORNERS:
        bits = torch.arange(2 ** free.numel(), device=hunt.ctx.device)
        chosen = (bits[:, None] >> torch.arange(free.numel(), device=hunt.ctx.device)) & 1
        u = torch.zeros(bits.numel(), hunt.inputs, device=hunt.ctx.device, dtype=hunt.ctx.dtype)
        u[:, free] = chosen.to(hunt.ctx.dtype)
        return u
    u = (hunt.uniform(max(2, min(hunt.batch, 64)), hunt.inputs) < 0.5).to(hunt.ctx.dtype)
    u[0], u[1] = 0.0, 1.0
    return u
