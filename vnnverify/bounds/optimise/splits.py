# SPDX-License-Identifier: Apache-2.0
"""Which open ReLUs of a subproblem to split, by what their relaxation costs its bound."""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.bounds.optimise.settings import DualSettings
from vnnverify.bounds.optimise.subproblems import Subproblems

__all__ = ["best_splits"]


def best_splits(
    problems: Subproblems,
    coefficient: Tensor,
    most: int,
    loss: Tensor | None = None,
    settings: DualSettings | None = None,
) -> tuple[Tensor, Tensor]:
    """Elements to split (D, k), best first, -1 where none is open, and multipliers (D, k, 2) for their
    upper and lower sides. k is 1 at least and `most` at most.

    Args:
        coefficient: with which each open element came by (D, U).
        loss: a branching score of each element (D, U). None: what its relaxation can cost the row.
    """
    D, U = problems.alpha.shape
    device = problems.alpha.device
    if U == 0:
        return torch.full((D, 1), -1, device=device), problems.alpha.new_zeros(D, 1, 2)
    own = _loss(problems, coefficient)
    if loss is not None:
        own = torch.where(own >= 0, loss + (settings or DualSettings()).split_tie * own, -1.0)
    value, element = own.topk(min(most, U), dim=1)
    return torch.where(value >= 0, element, -1), _next_multiplier(problems, coefficient, element)


def _loss(problems: Subproblems, coefficient: Tensor) -> Tensor:
    """What the relaxation of each open element can cost its row: (D, U); -1 where nothing is open."""
    lower, upper, alpha = problems.lower, problems.upper, problems.alpha
    above = (-coefficient).clamp(min=0) * -lower * upper / (upper - lower)
    corner = torch.maximum(-lower * alpha, upper * (1 - alpha))
    below = coefficient.clamp(min=0) * corner  # the slope below is optimised: it matters little
    return torch.where((lower < 0) & (upper > 0), above + 1e-3 * below, -1.0)


def _next_multiplier(problems: Subproblems, coefficient: Tensor, element: Tensor) -> Tensor:
    """Multipliers (D, k, 2) with which a child's bound starts where its parent's ended: they make up for
    the difference between the parent's slope and the exact slope, 1 or 0, of either side."""
    chord = problems.upper / (problems.upper - problems.lower)
    slope = torch.where(coefficient > 0, problems.alpha, chord).gather(1, element)
    own, beta = coefficient.gather(1, element), problems.beta.gather(1, element)
    return torch.stack([beta + own * (1 - slope), beta - own * slope], dim=2)
