# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch
from vnnverify_bound_propagation.splits import best_splits, bound_by_cases

from .conftest import NEVER, prepared


def test_bounds_by_cases_are_better_and_hold_at_samples() -> None:
    tool, dual, problems = prepared(3, torch.float64)
    problems = problems.take(torch.arange(4))
    plain, _ = bound_by_cases(dual, dual, problems.take(torch.arange(4)), 10, 0, NEVER)
    found, _ = bound_by_cases(dual, dual, problems, 10, 3, NEVER)
    assert (found >= plain).all() and (found > plain + 1e-3).any()
    x = torch.rand(5000, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2 - 1
    rows = torch.einsum("dpm,nm->dpn", problems.rows, tool.graph(x)) - problems.offset[:, :, None]
    least = rows.amax(dim=1).amin(dim=1)  # the weights make up a convex combination of the rows
    assert (found <= least).all()


def test_cases_cover_the_sub_problem() -> None:
    _, dual, problems = prepared(5, torch.float64)
    element, worth = best_splits(problems, dual.ascend(problems, 5, NEVER), 2)
    element[0, 1] = -1
    cases = problems.cases(element, worth)
    assert len(cases) == 4 * len(problems)
    for d in range(len(problems)):
        own = slice(4 * d, 4 * d + 4)
        for k, e in enumerate(element[d].tolist()):
            if e < 0:
                continue
            sides = [
                (k_low, k_up) for k_low, k_up in zip(cases.lower[own, e], cases.upper[own, e], strict=True)
            ]
            assert sum(bool(low == 0) for low, _ in sides) == 2, k
            assert sum(bool(up == 0) for _, up in sides) == 2
    assert torch.equal(cases.lower[0], cases.lower[2]) and torch.equal(cases.upper[1], cases.upper[3])


def test_a_given_loss_says_what_to_split_and_settled_elements_are_never_split() -> None:
    _, dual, problems = prepared(5, torch.float64)
    ascent = dual.ascend(problems, 5, NEVER)
    open_ = (problems.lower < 0) & (problems.upper > 0)
    wished = open_.nonzero()[-1, 1]
    loss = torch.zeros_like(problems.lower)
    loss[:, wished] = 1e6
    assert best_splits(problems, ascent, 1, loss)[0].flatten().tolist() == [int(wished)] * len(problems)
    problems.lower[:, wished] = 0.0
    assert not (best_splits(problems, ascent, 6, loss)[0] == wished).any()
