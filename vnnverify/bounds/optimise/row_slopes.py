# SPDX-License-Identifier: Apache-2.0
"""Backward rows that each choose the slopes of the lines below ReLUs, and split some ReLUs, for themselves.

    max over slopes and multipliers of  min over x in the box of  A x + c

α z <= max(z, 0) for every α in [0, 1], and where z >= 0 is asked for, max(z, 0) = z >= z − β z / Λ for every
β >= 0: so any choice gives a valid bound. The ascent computes in plain floating point, and what it ends with
is evaluated once more with every rounding error counted. Slopes are kept for each element that a row reaches,
in the shape the row has there; where rows are patches (`patches`) that is a small part of the network, unlike
the lines of `lines.optimise`.

Source: Xu et al., arXiv:2011.13824; Wang et al., arXiv:2103.06624 (multipliers of splits).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vnnverify.bounds.backward import Linear
from vnnverify.bounds.optimise.ascent import Differentiated, ascend
from vnnverify.bounds.optimise.settings import RowSlopeSettings
from vnnverify.deadline import Deadline
from vnnverify.ir import Value, flat
from vnnverify.numerics import subnormals_flushed

__all__ = ["RowSlopes", "best_cases", "best_slopes"]

Seen = tuple[Tensor, Tensor]


@dataclass(slots=True)
class Split:
    """Splits of the ReLUs that rows reach at one node, in the shape the rows have there."""

    side: Tensor  # 1 where the argument is to be >= 0, −1 where it is to be <= 0, else 0
    unit: Tensor  # of the multiplier
    relative: Tensor  # the multiplier, in this unit

    @property
    def multiplier(self) -> Tensor:
        """What is taken from the coefficients of the argument."""
        return self.side * self.unit * self.relative


@dataclass(slots=True)
class RowSlopes:
    """The choice of R rows, by the output of each ReLU."""

    slopes: dict[Value, Tensor] = field(default_factory=dict)
    splits: dict[Value, Split] = field(default_factory=dict)
    fixed: bool = True  # else slopes are made as rows come by, from those that a state has for all rows
    seen: dict[Value, Seen] | None = None  # if wanted: coefficients that came by, and offsets above

    def of(
        self, value: Value, rows: Tensor, below: Tensor, above: Tensor, offset: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Slopes below and above and the offset above, all in the shape of `rows`, with what was chosen.

        Only where the line above is inclined is there anything to choose.
        """
        own = self.slopes.get(value)
        if own is None and not self.fixed:
            own = self.slopes[value] = below.detach().clone().requires_grad_()
        if self.seen is not None:
            self.seen[value] = rows, offset
        if own is not None and own.shape == rows.shape:
            below = torch.where((above > 0) & (above < 1), own.to(below.dtype), below)
        split = self.splits.get(value)
        if split is not None and split.side.shape == rows.shape:
            whole = (split.side > 0).to(below.dtype)
            below, above = (torch.where(split.side != 0, whole, slope) for slope in (below, above))
            offset = torch.where(split.side != 0, 0.0, offset)
        return below, above, offset

    def multiplier(self, value: Value, rows: Tensor) -> Tensor | None:
        """What is taken from the coefficients of a ReLU's argument, if any of them is split."""
        split = self.splits.get(value)
        if split is None or split.side.shape != rows.shape:
            return None
        return split.multiplier.to(rows.dtype)

    @property
    def parameters(self) -> list[Tensor]:
        """What an ascent may change."""
        return [*self.slopes.values(), *(split.relative for split in self.splits.values())]

    def project(self, most: float) -> None:
        """Back to what is allowed: multipliers up to `most` units."""
        for slope in self.slopes.values():
            slope.clamp_(0.0, 1.0)
        for split in self.splits.values():
            split.relative.clamp_(0.0, most)


@subnormals_flushed()
def best_slopes(
    bound: Callable[[RowSlopes], Linear],
    steps: int,
    deadline: Deadline,
    settings: RowSlopeSettings | None = None,
    start: RowSlopes | None = None,
) -> tuple[RowSlopes, Linear]:
    """The choice with which each row's bound was best, and the last bounds.

    Args:
        bound: the bounds of R rows with a choice, differentiable in it.
        steps: most gradient steps. There are fewer once every row's bound is positive.
        start: where to start, with parameters that ask for gradients. None: as the state has it.
    """
    choice, steering = start or RowSlopes(fixed=False), settings or RowSlopeSettings()
    found: list[Linear] = []

    def lower() -> Tensor:
        """The bounds with the current choice."""
        found[:] = [bound(choice)]
        return found[0].lower

    rows = Differentiated(lower, lambda: choice.parameters, lambda: choice.project(steering.row_most))
    best = ascend(rows, steps, deadline, rate=steering.row_rate, decay=steering.row_decay)
    slopes = dict(zip(choice.slopes, best.columns, strict=False))
    relative = best.columns[len(slopes) :]
    splits = {v: Split(s.side, s.unit, w) for (v, s), w in zip(choice.splits.items(), relative, strict=True)}
    return RowSlopes(slopes, splits), found[0]


def best_cases(
    bound: Callable[[RowSlopes], Linear],
    bound_cases: Callable[[RowSlopes], Linear],
    choice: RowSlopes,
    count: int,
    steps: int,
    deadline: Deadline,
    settings: RowSlopeSettings | None = None,
) -> RowSlopes | None:
    """The choices of the 2^count cases of each row, R·2^count rows one after the other; None if there is
    nothing to split. Each row splits the ReLUs whose relaxation costs it most.

    Args:
        bound: the bounds of R rows.
        bound_cases: the bounds of all cases.
        choice: of the R rows.
        steps: gradient steps for the cases.
    """
    looking = RowSlopes(choice.slopes, choice.splits, seen={})
    with torch.no_grad():
        bound(looking)
    assert looking.seen is not None
    own = choice.slopes
    seen = {v: s for v, s in looking.seen.items() if v in own and own[v].shape == s[0].shape}
    if sum(rows[0].numel() for rows, _ in seen.values()) < count:
        return None
    cost = torch.cat([flat(-rows.clamp(max=0) * offset) for rows, offset in seen.values()], dim=1)
    element = cost.topk(count, dim=1).indices.repeat_interleave(1 << count, dim=0)  # (R·2^count, count)
    R = cost.shape[0]
    sides = torch.tensor(list(itertools.product((1.0, -1.0), repeat=count)), device=cost.device).repeat(R, 1)
    side = cost.new_zeros(len(element), cost.shape[1]).scatter_(1, element, sides.to(cost.dtype))
    sizes = [rows[0].numel() for rows, _ in seen.values()]
    slopes, splits = {}, {}
    for (value, (rows, _)), mine in zip(seen.items(), torch.split(side, sizes, dim=1), strict=True):
        each = rows.repeat_interleave(1 << count, dim=0)
        mine = mine.reshape(each.shape)
        relative = torch.zeros_like(each).requires_grad_()
        splits[value] = Split(mine, each.abs(), relative)
        slopes[value] = own[value].repeat_interleave(1 << count, dim=0).requires_grad_()
    return best_slopes(bound_cases, steps, deadline, settings, RowSlopes(slopes, splits))[0]
