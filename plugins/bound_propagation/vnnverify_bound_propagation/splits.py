# SPDX-License-Identifier: Apache-2.0
"""Which open elements of a sub-problem to split; and bounds of rows by their cases, searched side by side."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from vnnverify import Deadline
from vnnverify_bound_propagation.dual import Dual
from vnnverify_bound_propagation.problems import Ascent, Problems

__all__ = ["best_splits", "bound_by_cases", "case_bytes"]

CASE_STEPS = 4
"""Gradient steps for a case, which starts where the one it was cut from ended."""
WORST = 0.3
"""This part of a row's cases, those with the lowest bounds, is split at once."""
COPIES = 14
"""Numbers that a case takes for each open element: while cases are joined there are two of each."""
TIE = 1e-3
"""Weight of an element's own relaxation beside a given loss, which may be zero for all."""


def best_splits(
    problems: Problems, coefficient: Tensor, most: int, loss: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Elements to split (D, k), best first, -1 where none is open, and multipliers (D, k, 2) for their
    upper and lower sides. k is 1 at least and `most` at most.

    Args:
        coefficient: with which each open element came by (D, U).
        loss: what splitting each element is worth (D, U). None: what its relaxation can cost the row.
    """
    D, U = problems.alpha.shape
    device = problems.alpha.device
    if U == 0:
        return torch.full((D, 1), -1, device=device), problems.alpha.new_zeros(D, 1, 2)
    own = _loss(problems, coefficient)
    if loss is not None:
        own = torch.where(own >= 0, loss + TIE * own, -1.0)
    value, element = own.topk(min(most, U), dim=1)
    return torch.where(value >= 0, element, -1), _worth(problems, coefficient, element)


def case_bytes(dual: Dual, splits: int) -> int:
    """Memory that `bound_by_cases` takes for each row."""
    return 4 * COPIES * dual.size << splits


def bound_by_cases(
    fast: Dual, exact: Dual, problems: Problems, steps: int, splits: int, at_once: int, deadline: Deadline
) -> tuple[Tensor, Ascent]:
    """Certified bounds (D,) of sub-problems in the type of `exact`: each the best of its own bound and, where
    that is not positive, the least bound of its cases by the signs of open elements. Their parameters are
    optimised by `fast`, in place. And where the ascent without cases ended.

    A sub-problem has 2^splits cases at most. The worst are split first, so that a bound is exact where these
    suffice.

    Args:
        steps: gradient steps without cases.
        at_once: cases of one ascent.
    """
    dtype = exact.root.lower.dtype
    ascent = fast.ascend(problems, steps, deadline)
    found = exact.certify(problems.to(dtype)).lower
    open_ = (~(found > 0)).nonzero()[:, 0]
    if not splits or deadline.expired or not open_.numel():
        return found, ascent
    cases = _Cases(fast, exact, problems.take(open_), ascent.take(open_), at_once, deadline)
    while not deadline.expired and cases.split(1 << splits):
        pass
    found[open_] = torch.fmax(found[open_], cases.least())
    return found, ascent


class _Cases:
    """Cases of R rows by the signs of open elements. Those of a row leave none of its inputs out.

    Args:
        roots: each row's only case so far, and `ascent`, what is known of it.
    """

    def __init__(
        self, fast: Dual, exact: Dual, roots: Problems, ascent: Ascent, at_once: int, deadline: Deadline
    ) -> None:
        self.fast, self.exact, self.roots = fast, exact, roots
        self.at_once, self.deadline = at_once, deadline
        self.row = torch.arange(len(roots), device=roots.box.device)  # (N,) of each open case
        self.columns = {name: getattr(roots, name) for name in Problems.PARAMETERS}  # (N, …) each
        self.columns |= {"bound": ascent.bound, "coefficient": ascent.coefficient}
        self.columns["final"] = torch.zeros_like(ascent.bound, dtype=torch.bool)  # it gets no better
        dtype = exact.root.lower.dtype
        self.closed = torch.full((len(roots),), torch.inf, dtype=dtype, device=self.row.device)
        """The least certified bound of the cases of each row that are done with."""

    def split(self, most: int) -> bool:
        """Split the worst cases of each row, which is to have `most` cases at most, and bound those well that
        have nothing left to split. Returns whether there was anything to do."""
        worst = self._worst(most)
        if not bool(worst.any()):
            return False
        able = ((self.columns["lower"] < 0) & (self.columns["upper"] > 0)).any(dim=1)
        kept = [(self.row[~worst], {name: t[~worst] for name, t in self.columns.items()})]
        for index in _parts(worst & able, self.at_once // 2):
            children = self._children(index)
            ascent = self.fast.ascend(children, CASE_STEPS, self.deadline)
            kept.append(self._open(self.row[index].repeat_interleave(2), children, ascent))
        for index in _parts(worst & ~able, self.at_once):
            leaves = self._problems(index)
            kept.append(self._open(self.row[index], leaves, self.fast.settle(leaves, self.deadline), True))
        self.row = torch.cat([row for row, _ in kept])
        self.columns = {name: torch.cat([c[name] for _, c in kept]) for name in self.columns}
        return True

    def _open(
        self, row: Tensor, cases: Problems, ascent: Ascent, final: bool = False
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The rows and the columns of those cases that are not proved; the others are done with."""
        proved = ascent.bound > 0
        self._close(cases.take(proved), row[proved])
        left = cases.take(~proved)
        found = {"bound": ascent.bound[~proved], "coefficient": ascent.coefficient[~proved]}
        found["final"] = torch.full_like(found["bound"], final, dtype=torch.bool)
        return row[~proved], {name: getattr(left, name) for name in Problems.PARAMETERS} | found

    def least(self) -> Tensor:
        """The least certified bound of each row's cases: (R,)."""
        for index in _parts(torch.ones_like(self.row, dtype=torch.bool), self.at_once):
            self._close(self._problems(index), self.row[index])
        return self.closed

    def _worst(self, most: int) -> Tensor:
        """The cases to look at: (N,) bool. None of a row whose worst is final."""
        R = len(self.closed)
        final = self.columns["final"]
        order = self.columns["bound"].argsort()
        order = order[self.row[order].argsort(stable=True)]
        count = torch.bincount(self.row, minlength=R)
        first = count.cumsum(0) - count
        rank = torch.empty_like(self.row)
        rank[order] = torch.arange(len(order), device=order.device) - first[self.row[order]]
        ended = torch.zeros(R, dtype=torch.bool, device=order.device)
        ended[self.row[(rank == 0) & final]] = True
        number = torch.minimum((WORST * count).ceil(), most - count)
        return (rank < number[self.row]) & ~final & ~ended[self.row]

    def _problems(self, index: Tensor) -> Problems:
        row, roots = self.row[index], self.roots
        columns = {name: self.columns[name][index] for name in Problems.PARAMETERS}
        scale = None if roots.scale is None else roots.scale[row]
        return Problems(roots.box[row], roots.rows[row], roots.offset[row], **columns, scale=scale)

    def _children(self, index: Tensor) -> Problems:
        parents = self._problems(index)
        element, worth = best_splits(parents, self.columns["coefficient"][index], 1)
        return parents.halves(element[:, 0], worth[:, 0])

    def _close(self, cases: Problems, row: Tensor) -> None:
        if len(cases):
            low = self.exact.certify(cases.to(self.closed.dtype)).lower
            low = torch.where(torch.isfinite(low), low, -torch.inf)  # an overflow proves nothing
            self.closed.scatter_reduce_(0, row, low, "amin")


def _parts(chosen: Tensor, size: int) -> Iterator[Tensor]:
    """The indices of what is chosen (N,), so many at a time."""
    return (part for part in chosen.nonzero()[:, 0].split(max(1, size)) if part.numel())


def _loss(problems: Problems, coefficient: Tensor) -> Tensor:
    """What the relaxation of each open element can cost its row: (D, U); -1 where nothing is open."""
    lower, upper, alpha = problems.lower, problems.upper, problems.alpha
    above = (-coefficient).clamp(min=0) * -lower * upper / (upper - lower)
    corner = torch.maximum(-lower * alpha, upper * (1 - alpha))
    below = coefficient.clamp(min=0) * corner  # the slope below is optimised: it matters little
    return torch.where((lower < 0) & (upper > 0), above + 1e-3 * below, -1.0)


def _worth(problems: Problems, coefficient: Tensor, element: Tensor) -> Tensor:
    """Multipliers (D, k, 2) with which a child's bound starts where its parent's ended: they make up for
    the difference between the parent's slope and the exact slope, 1 or 0, of either side."""
    chord = problems.upper / (problems.upper - problems.lower)
    slope = torch.where(coefficient > 0, problems.alpha, chord).gather(1, element)
    own, beta = coefficient.gather(1, element), problems.beta.gather(1, element)
    return torch.stack([beta + own * (1 - slope), beta - own * slope], dim=2)
