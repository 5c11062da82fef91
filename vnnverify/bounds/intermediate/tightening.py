# SPDX-License-Identifier: Apache-2.0
"""Intermediate bounds of single subproblems, tightened by their splits and by what makes their outputs
unsafe, and what every intermediate bound gains the margin.

A row ±z_j is bounded together with multiples of the unsafe rows, which are <= 0 where it matters.
Source: Kotha et al., arXiv:2302.01404.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.bounds.intermediate.cases import bound_by_cases
from vnnverify.bounds.intermediate.sensitivity import InnerRows, Sensitivity
from vnnverify.bounds.intermediate.settings import RefinementSettings
from vnnverify.bounds.optimise.dual import Dual
from vnnverify.bounds.optimise.subproblems import Subproblems
from vnnverify.bounds.threads import in_threads, worthwhile_threads
from vnnverify.deadline import Deadline
from vnnverify.ir import Node
from vnnverify.numerics import lower_as, upper_as

__all__ = ["Tightening"]


class Tightening:
    """Tightens the bounds of open neurons of single subproblems.

    Args:
        fast: optimises the parameters of each row.
        exact: bounds it with them.
        reach: widest output interval of each of the root's boxes (B,).
        at_once: rows of one ascent.
    """

    def __init__(
        self, fast: Dual, exact: Dual, reach: Tensor, at_once: int, settings: RefinementSettings | None = None
    ) -> None:
        self.fast, self.exact, self.reach, self.at_once = fast, exact, reach, at_once
        self.settings = settings or RefinementSettings()

    def run(
        self,
        problems: Subproblems,
        limits: Tensor,
        ends: tuple[Tensor, Tensor] | None,
        splits: int,
        deadline: Deadline,
    ) -> tuple[list[InnerRows], Tensor]:
        """Tighter ends of open elements, for inputs whose outputs are unsafe and that keep to the splits. In
        place, from the inputs on; past the deadline the rest stays as it was.

        Args:
            limits: what rows·z is at most (D, P), where outputs are unsafe, in the type of `fast`.
            ends: which lower and which upper ends, (D, U) each. None: all.
            splits: so many neurons are split for each row, those that cost it most.

        Returns:
            the rows, and which subproblems have no such input (D,): the ends of an element have crossed.
        """
        spread = problems.rows.abs().sum(dim=2).amax(dim=1) * self.reach[problems.box]
        found: list[InnerRows] = []
        empty = torch.zeros(len(problems), dtype=torch.bool, device=spread.device)
        for node, unit in self.fast.units.items():
            lower, upper = problems.lower[:, unit.part], problems.upper[:, unit.part]
            open_ = (lower < 0) & (upper > 0)
            asked = [open_ if ends is None else open_ & end[:, unit.part] for end in ends or (open_, open_)]
            both = [mask.nonzero(as_tuple=True) for mask in asked]
            problem = torch.cat([p for p, _ in both])
            column = unit.part.start + torch.cat([e for _, e in both])
            sign = torch.ones(problem.numel(), dtype=lower.dtype, device=lower.device)
            sign[both[0][0].numel() :] = -1
            if deadline.expired or not problem.numel():
                continue
            threads = worthwhile_threads(problem.numel(), self.fast.size, problem.device)
            size = min(self.at_once, -(-problem.numel() // threads))
            parts = list(zip(*(t.split(size) for t in (problem, column, sign)), strict=True))
            found.extend(self._bound(problems, node, parts, (limits, spread), empty, splits, deadline))
        return found, empty

    def _bound(
        self,
        problems: Subproblems,
        node: Node,
        parts: list[tuple[Tensor, Tensor, Tensor]],
        known: tuple[Tensor, Tensor],
        empty: Tensor,
        splits: int,
        deadline: Deadline,
    ) -> list[InnerRows]:
        """Bounds of the ends (problem, column, sign) of one node's argument, side by side; notes in
        `empty` where they have crossed."""
        value, unit = node.inputs[0], self.fast.units[node]
        limits, spread = known
        fast, exact = (dual.also_toward(value) for dual in (self.fast, self.exact))
        lows: dict[int, Tensor] = {}
        rows: dict[int, InnerRows] = {}

        def work(k: int) -> None:
            """Bound one part."""
            if deadline.expired:
                return
            p, column, sign = parts[k]
            element = unit.columns[column - unit.part.start]
            inner = _inner_problems(problems, p, element, sign, limits, value.size)
            inner.scale = (problems.upper[p, column] - problems.lower[p, column]) / spread[p]
            steps, settings = self.settings.tightening_steps, self.settings
            lows[k], ascent = bound_by_cases(
                fast, exact, inner, steps, splits, self.at_once, deadline, settings
            )
            rows[k] = InnerRows(p, column, sign, Sensitivity.direct(inner, ascent))

        in_threads(work, range(len(parts)), at_most=None if spread.device.type == "cpu" else 1)
        for k, low in lows.items():
            p, column, sign = parts[k]
            up = sign > 0
            low = torch.where(torch.isfinite(low), low, -torch.inf)  # an overflow proves nothing
            ends = problems.lower[p, column], problems.upper[p, column]
            lower = torch.where(up, torch.fmax(ends[0], lower_as(low, sign.dtype)), ends[0])
            upper = torch.where(up, ends[1], torch.fmin(ends[1], upper_as(-low, sign.dtype)))
            crossed = lower > upper
            empty[p[crossed]] = True
            problems.lower[p[~crossed], column[~crossed]] = lower[~crossed]
            problems.upper[p[~crossed], column[~crossed]] = upper[~crossed]
        return [rows[k] for k in sorted(rows)]


def _inner_problems(
    problems: Subproblems, which: Tensor, element: Tensor, sign: Tensor, limits: Tensor, size: int
) -> Subproblems:
    """Subproblems that bound sign·z of one element each, of a value of so many, below the unsafe rows."""
    inner = problems.take(which)
    D, P, m = inner.rows.shape
    both = inner.rows.new_zeros(D, 1 + P, size + m)
    both[torch.arange(D, device=which.device), 0, element] = sign
    both[:, 1:, size:] = inner.rows
    inner.rows = both
    inner.offset = torch.nn.functional.pad(limits[which], (1, 0))
    inner.weight = torch.zeros_like(inner.offset)
    inner.weight[:, 0] = 1
    inner.alpha = (inner.upper > -inner.lower).to(inner.alpha.dtype)
    inner.beta = torch.zeros_like(inner.beta)
    return inner
