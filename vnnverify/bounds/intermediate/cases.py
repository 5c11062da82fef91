# SPDX-License-Identifier: Apache-2.0
"""Bounds of rows by their cases: the signs of open neurons, the worst cases split first, side by side."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from vnnverify.bounds.intermediate.settings import RefinementSettings
from vnnverify.bounds.optimise.dual import Dual
from vnnverify.bounds.optimise.splits import best_splits
from vnnverify.bounds.optimise.subproblems import DualSolution, Subproblems
from vnnverify.deadline import Deadline

__all__ = ["bound_by_cases", "case_bytes"]

COPIES = 14
"""Numbers that a case takes for each open element: while cases are joined there are two of each."""


def case_bytes(dual: Dual, splits: int) -> int:
    """Memory that `bound_by_cases` takes for each row."""
    return 4 * COPIES * dual.size << splits


def bound_by_cases(
    fast: Dual,
    exact: Dual,
    problems: Subproblems,
    steps: int,
    splits: int,
    at_once: int,
    deadline: Deadline,
    settings: RefinementSettings | None = None,
) -> tuple[Tensor, DualSolution]:
    """Certified bounds (D,) of subproblems in the type of `exact`: each the best of its own bound and, where
    that is not positive, the least bound of its cases by the signs of open elements. Their parameters are
    optimised by `fast`, in place. And where the ascent without cases ended.

    A subproblem has 2^splits cases at most. The worst are split first, so that a bound is exact where these
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
    cases = _Cases(
        fast,
        exact,
        problems.take(open_),
        ascent.take(open_),
        at_once,
        deadline,
        settings or RefinementSettings(),
    )
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
        self,
        fast: Dual,
        exact: Dual,
        roots: Subproblems,
        ascent: DualSolution,
        at_once: int,
        deadline: Deadline,
        settings: RefinementSettings,
    ) -> None:
        self.fast, self.exact, self.roots = fast, exact, roots
        self.at_once, self.deadline, self.settings = at_once, deadline, settings
        self.row = torch.arange(len(roots), device=roots.box.device)  # (N,) of each open case
        self.columns = {name: getattr(roots, name) for name in Subproblems.PARAMETERS}  # (N, …) each
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
            ascent = self.fast.ascend(children, self.settings.case_steps, self.deadline)
            kept.append(self._open(self.row[index].repeat_interleave(2), children, ascent))
        for index in _parts(worst & ~able, self.at_once):
            leaves = self._problems(index)
            kept.append(self._open(self.row[index], leaves, self.fast.settle(leaves, self.deadline), True))
        self.row = torch.cat([row for row, _ in kept])
        self.columns = {name: torch.cat([c[name] for _, c in kept]) for name in self.columns}
        return True

    def _open(
        self, row: Tensor, cases: Subproblems, ascent: DualSolution, final: bool = False
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The rows and the columns of those cases that are not proved; the others are done with."""
        proved = ascent.bound > 0
        self._close(cases.take(proved), row[proved])
        left = cases.take(~proved)
        found = {"bound": ascent.bound[~proved], "coefficient": ascent.coefficient[~proved]}
        found["final"] = torch.full_like(found["bound"], final, dtype=torch.bool)
        return row[~proved], {name: getattr(left, name) for name in Subproblems.PARAMETERS} | found

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
        number = torch.minimum((self.settings.case_worst * count).ceil(), most - count)
        chosen: Tensor = (rank < number[self.row]) & ~final & ~ended[self.row]
        return chosen

    def _problems(self, index: Tensor) -> Subproblems:
        row, roots = self.row[index], self.roots
        columns = {name: self.columns[name][index] for name in Subproblems.PARAMETERS}
        scale = None if roots.scale is None else roots.scale[row]
        return Subproblems(roots.box[row], roots.rows[row], roots.offset[row], **columns, scale=scale)

    def _children(self, index: Tensor) -> Subproblems:
        parents = self._problems(index)
        element, multiplier = best_splits(parents, self.columns["coefficient"][index], 1, None, self.settings)
        return parents.halves(element[:, 0], multiplier[:, 0])

    def _close(self, cases: Subproblems, row: Tensor) -> None:
        if len(cases):
            low = self.exact.certify(cases.to(self.closed.dtype)).lower
            low = torch.where(torch.isfinite(low), low, -torch.inf)  # an overflow proves nothing
            self.closed.scatter_reduce_(0, row, low, "amin")


def _parts(chosen: Tensor, size: int) -> Iterator[Tensor]:
    """The indices of what is chosen (N,), so many at a time."""
    return (part for part in torch.split(chosen.nonzero()[:, 0], max(1, size)) if part.numel())
