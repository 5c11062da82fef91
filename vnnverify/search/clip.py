# SPDX-License-Identifier: Apache-2.0
"""Shrinks an input box by linear lower bounds of the margins: only where all rows of a still-open
polytope can be <= 0 is there anything left to look for.

Source: domain clipping as in Shi et al., arXiv:2412.08640, section on input-split branch and bound.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.numerics import unit_roundoff

__all__ = ["clip"]


def clip(
    lower: Tensor, upper: Tensor, margin: Tensor, A: Tensor, member: Tensor, open_: Tensor
) -> tuple[Tensor, Tensor]:
    """Boxes (batch, n) that still hold every point of [lower, upper] with a reachable polytope.

    margin_s(x) >= margin[s] + Σ_j |A_sj| · (distance of x_j from the end where A_s is least), for x
    in the box, so row s forbids coordinates further than −margin[s]/|A_sj| from that end. The rows
    of one polytope cut in turn (intersection), open polytopes are joined (hull). Rounded outward. What is not
    finite cuts nothing; of a box that holds none the ends cross.

    Args:
        margin: sound lower bounds (batch, S) of the margins on the box.
        A: slopes (batch, S, n) of the linear lower bounds that `margin` was taken from.
        member: (batch, P, S) which rows make up which polytope.
        open_: (batch, P) the polytopes not excluded.
    """
    u = unit_roundoff(lower.dtype)
    inf = float("inf")
    known = torch.isfinite(margin)
    slack = torch.where(known, (-margin).clamp(min=0) * (1 + 4 * u), inf)  # (batch, S)
    reach = slack[:, :, None] / A.abs()  # (batch, S, n); inf or NaN where A is 0
    reach = torch.where(torch.isfinite(A), torch.nan_to_num(reach, nan=inf, posinf=inf) * (1 + 4 * u), inf)
    lo, up = lower[:, None], upper[:, None]
    guard = 4 * u * lo.abs() + 4 * u * up.abs()
    row_up = torch.where(
        A > 0, torch.fmin(up, lo + reach + guard), up
    )  # NaN, as of an infinite end, cuts nothing
    row_lo = torch.where(A < 0, torch.fmax(lo, up - reach - guard), lo)
    best_up, best_lo = torch.full_like(upper, -inf), torch.full_like(lower, inf)
    for p in range(member.shape[1]):
        rows = member[:, p, :, None]
        cut_up = torch.where(rows, row_up, up).amin(dim=1)
        cut_lo = torch.where(rows, row_lo, lo).amax(dim=1)
        keep = open_[:, p, None]
        best_up = torch.where(keep, torch.maximum(best_up, cut_up), best_up)
        best_lo = torch.where(keep, torch.minimum(best_lo, cut_lo), best_lo)
    return torch.maximum(lower, best_lo), torch.minimum(upper, best_up)
