# SPDX-License-Identifier: Apache-2.0
"""Rows over networks of ReLUs with the slopes of all lines below ReLUs optimised for each: α-CROWN without
automatic differentiation (see `dual`).

Source: Xu et al., arXiv:2011.13824.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.bounds.backward.rows import Linear
from vnnverify.bounds.intermediate.pruning import without_dead
from vnnverify.bounds.optimise.dual import Dual
from vnnverify.bounds.optimise.settings import DualSettings
from vnnverify.bounds.optimise.subproblems import Subproblems
from vnnverify.bounds.state import State, in_type
from vnnverify.bounds.threads import in_threads, worthwhile_threads
from vnnverify.deadline import Deadline
from vnnverify.ir import Graph, Value

__all__ = ["optimise_ends_of_relus", "optimise_rows_of_relus"]

SLOPES_ALONE = DualSettings(dual_rate=0.25, dual_decay=0.98, dual_open_rate=0.0)
"""Of rates from 0.1 to 1 and decays from 0.85 to 0.98 those that had come furthest after 20 steps on mnist_fc
256x6; multipliers of known bounds, which are no part of α-CROWN, gained nothing there."""


def optimise_rows_of_relus(
    graph: Graph, state: State, C: Tensor, d: Tensor, box: Tensor, steps: int, deadline: Deadline
) -> tuple[Linear, State]:
    """Lower bounds of C y − d, for rows C (R, m) with offsets d (R,) over the outputs y, on the box (R,) of
    each row; and the lines that they rest on, one box a row. Slopes are sought in float32; the bounds are
    those of the state's type."""
    exact, fast = Dual(graph, state), Dual(*in_type(torch.float32, graph, state), SLOPES_ALONE)
    best = _ascended(fast, C, d, box, steps, deadline)
    return exact.certify(best), exact.proof(best)


def optimise_ends_of_relus(
    graph: Graph,
    value: Value,
    state: State,
    ends: tuple[Tensor, Tensor],
    open_: Tensor,
    at_once: int,
    steps: int,
    deadline: Deadline,
) -> None:
    """Bounds of some elements of a value, with slopes of their own for each end.

    Args:
        graph: ends at the value.
        state: what is known of everything below it.
        ends: lower and upper bounds (B, size), changed in place.
        open_: (B, size) which elements to bound.
        at_once: most rows of one ascent.
        steps: gradient steps of it. Past the deadline they are left out.
    """
    exact = Dual(*without_dead(graph, state))
    fast = Dual(*in_type(torch.float32, exact.graph, exact.root), SLOPES_ALONE)
    lower, upper = ends
    box, element = (index.repeat(2) for index in open_.nonzero(as_tuple=True))
    sign = torch.ones(box.numel(), dtype=lower.dtype, device=box.device)
    sign[box.numel() // 2 :] = -1.0
    if not box.numel():
        return
    threads = worthwhile_threads(box.numel(), exact.size, box.device)
    size = max(1, min(at_once, -(-box.numel() // threads)))

    def work(part: Tensor) -> None:
        """Bound these ends."""
        deadline.check()
        b, e, s = box[part], element[part], sign[part]
        unit = lower.new_zeros(b.numel(), value.size)
        unit[torch.arange(b.numel(), device=b.device), e] = s
        found = exact.certify(_ascended(fast, unit, torch.zeros_like(s), b, steps, deadline)).lower
        up = s > 0
        at = b[up], e[up]
        lower[at] = torch.fmax(lower[at], found[up])
        at = b[~up], e[~up]
        upper[at] = torch.fmin(upper[at], -found[~up])

    parts = torch.split(torch.arange(box.numel(), device=box.device), size)
    in_threads(work, parts, at_most=None if box.device.type == "cpu" else 1)


def _ascended(fast: Dual, C: Tensor, d: Tensor, box: Tensor, steps: int, deadline: Deadline) -> Subproblems:
    """One subproblem for each row, with the best slopes found; rows and offsets as they were given."""
    problems = fast.problems(box, C[:, None].float(), d[:, None].float())
    problems.scale = torch.ones_like(problems.weight[:, 0])  # a positive bound is bettered, too
    problems.alpha = problems.alpha.clamp(0, 1)
    fast.ascend(problems, steps, deadline)
    problems = problems.to(C.dtype)
    problems.rows, problems.offset = C[:, None], d[:, None]
    return problems
