# SPDX-License-Identifier: Apache-2.0
"""Which open elements of a sub-problem to split, and bounds over the cases of several splits at once."""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify import Deadline
from vnnverify_bound_propagation.dual import Dual
from vnnverify_bound_propagation.problems import Ascent, Problems

__all__ = ["best_splits", "bound_by_cases"]

CASES_AT_ONCE = 2
"""Cases of a sub-problem that are bounded together."""
TIE = 1e-3
"""Weight of an element's own relaxation beside a given loss, which may be zero for all."""


def best_splits(
    problems: Problems, ascent: Ascent, most: int, loss: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Elements to split (D, k), best first, -1 where none is open, and multipliers (D, k, 2) for their
    upper and lower sides. k is 1 at least and `most` at most.

    Args:
        loss: what splitting each element is worth (D, U). None: what its relaxation can cost the row.
    """
    D, U = problems.alpha.shape
    device = problems.alpha.device
    if U == 0:
        return torch.full((D, 1), -1, device=device), problems.alpha.new_zeros(D, 1, 2)
    own = _loss(problems, ascent)
    if loss is not None:
        own = torch.where(own >= 0, loss + TIE * own, -1.0)
    value, element = own.topk(min(most, U), dim=1)
    return torch.where(value >= 0, element, -1), _worth(problems, ascent, element)


def bound_by_cases(
    fast: Dual, exact: Dual, problems: Problems, steps: int, splits: int, deadline: Deadline
) -> tuple[Tensor, Ascent]:
    """Certified bounds (D,) of sub-problems in the type of `exact`, each the best of its own bound and, where
    that is not positive, the least bound of its 2^splits cases; their parameters are optimised by `fast`, in
    place. And where the ascent without cases ended."""
    dtype = exact.root.lower.dtype
    ascent = fast.ascend(problems, steps, deadline)
    found = exact.certify(problems.to(dtype)).lower
    open_ = (~(found > 0)).nonzero()[:, 0]
    if not splits or deadline.expired or not open_.numel():
        return found, ascent
    part = problems.take(open_)
    cases = part.cases(*best_splits(part, ascent.take(open_), splits))
    lowest = []
    for index in torch.arange(len(cases), device=found.device).split(CASES_AT_ONCE * open_.numel()):
        case = cases.take(index)
        fast.ascend(case, steps, deadline)
        lowest.append(exact.certify(case.to(dtype)).lower)
    found[open_] = torch.fmax(found[open_], torch.cat(lowest).reshape(open_.numel(), -1).amin(dim=1))
    return found, ascent


def _loss(problems: Problems, ascent: Ascent) -> Tensor:
    """What the relaxation of each open element can cost its row: (D, U); -1 where nothing is open."""
    lower, upper, alpha = problems.lower, problems.upper, problems.alpha
    above = (-ascent.coefficient).clamp(min=0) * -lower * upper / (upper - lower)
    corner = torch.maximum(-lower * alpha, upper * (1 - alpha))
    below = ascent.coefficient.clamp(min=0) * corner  # the slope below is optimised: it matters little
    return torch.where((lower < 0) & (upper > 0), above + 1e-3 * below, -1.0)


def _worth(problems: Problems, ascent: Ascent, element: Tensor) -> Tensor:
    """Multipliers (D, k, 2) with which a child's bound starts where its parent's ended: they make up for
    the difference between the parent's slope and the exact slope, 1 or 0, of either side."""
    chord = problems.upper / (problems.upper - problems.lower)
    slope = torch.where(ascent.coefficient > 0, problems.alpha, chord).gather(1, element)
    coefficient = ascent.coefficient.gather(1, element)
    beta = problems.beta.gather(1, element)
    return torch.stack([beta + coefficient * (1 - slope), beta - coefficient * slope], dim=2)
