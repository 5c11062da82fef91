# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
from relu_networks import NEVER, prepared
from torch import Tensor

from vnnverify import Deadline
from vnnverify.bounds.backward import Linear
from vnnverify.bounds.intermediate.cases import bound_by_cases
from vnnverify.bounds.optimise.dual import Dual
from vnnverify.bounds.optimise.splits import best_splits
from vnnverify.bounds.optimise.subproblems import Subproblems
from vnnverify.bounds.propagation import Propagator


def least_at_samples(tool: Propagator, problems: Subproblems) -> Tensor:
    """What no bound of problems of one row each may exceed: (D,)."""
    x = torch.rand(20_000, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2 - 1
    x[:5000] = x[:5000].sign()
    rows = torch.einsum("dm,nm->dn", problems.rows[:, 0], tool.graph(x)) - problems.offset
    return rows.amin(dim=1)


@pytest.mark.parametrize("seed", range(4))
def test_more_cases_give_better_bounds_that_hold_at_samples(seed: int) -> None:
    tool, dual, two = prepared(seed, torch.float64)
    problems = dual.problems(two.box, two.rows[:, :1], two.offset[:, :1])
    least = least_at_samples(tool, problems)
    bounds = []
    for splits in (0, 1, 3, 6, 9):
        part = problems.take(torch.arange(len(problems)))
        found, _ = bound_by_cases(dual, dual, part, 10, splits, 64, NEVER)
        assert (found <= least).all()
        bounds.append(found)
    for fewer, more in itertools.pairwise(bounds):
        assert (more >= fewer).all()
    gap = least - bounds[0]
    assert (least - bounds[-1] < 0.5 * gap)[bounds[0] < 0].all()


def test_how_many_cases_are_bounded_at_once_changes_nothing() -> None:
    _, dual, problems = prepared(3, torch.float64)
    one, many = (
        bound_by_cases(dual, dual, problems.take(torch.arange(len(problems))), 10, 4, at_once, NEVER)[0]
        for at_once in (2, 1000)
    )
    assert torch.allclose(one, many, atol=1e-9)


def test_cases_past_the_deadline_leave_the_plain_bound() -> None:
    _, dual, problems = prepared(3, torch.float64)
    late = Deadline.after(0.0)
    plain, _ = bound_by_cases(dual, dual, problems.take(torch.arange(len(problems))), 10, 0, 64, late)
    found, _ = bound_by_cases(dual, dual, problems, 10, 8, 64, late)
    assert torch.equal(found, plain)


def test_an_overflow_in_a_case_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _, dual, problems = prepared(3, torch.float64)
    plain, _ = bound_by_cases(dual, dual, problems.take(torch.arange(len(problems))), 10, 0, 64, NEVER)
    certify = Dual.certify

    def overflown(self: Dual, some: Subproblems) -> Linear:
        exact = certify(self, some)
        settled = (some.lower == 0).any(dim=1) | (some.upper == 0).any(dim=1)
        return dataclasses.replace(exact, lower=torch.where(settled, torch.inf, exact.lower))

    monkeypatch.setattr(Dual, "certify", overflown)
    found, _ = bound_by_cases(dual, dual, problems, 10, 3, 64, NEVER)
    assert torch.equal(found, plain)


def test_halves_cover_the_sub_problem() -> None:
    _, dual, problems = prepared(5, torch.float64)
    ascent = dual.ascend(problems, 5, NEVER)
    element, multiplier = (t[:, 0] for t in best_splits(problems, ascent.coefficient, 1))
    element[0] = -1
    halves = problems.halves(element, multiplier)
    assert len(halves) == 2 * len(problems)
    assert torch.equal(halves.lower[0], halves.lower[1]) and torch.equal(halves.upper[0], halves.upper[1])
    for d, e in enumerate(element.tolist()[1:], 1):
        up, down = 2 * d, 2 * d + 1
        assert halves.lower[up, e] == 0 and halves.upper[up, e] == problems.upper[d, e]
        assert halves.upper[down, e] == 0 and halves.lower[down, e] == problems.lower[d, e]
        others = torch.arange(problems.lower.shape[1]) != e
        for half in (up, down):
            assert torch.equal(halves.lower[half, others], problems.lower[d, others])
            assert torch.equal(halves.upper[half, others], problems.upper[d, others])


def test_a_given_loss_says_what_to_split_and_settled_elements_are_never_split() -> None:
    _, dual, problems = prepared(5, torch.float64)
    ascent = dual.ascend(problems, 5, NEVER)
    open_ = (problems.lower < 0) & (problems.upper > 0)
    wished = open_.nonzero()[-1, 1]
    loss = torch.zeros_like(problems.lower)
    loss[:, wished] = 1e6
    element, _ = best_splits(problems, ascent.coefficient, 1, loss)
    assert element.flatten().tolist() == [int(wished)] * len(problems)
    problems.lower[:, wished] = 0.0
    assert not (best_splits(problems, ascent.coefficient, 6, loss)[0] == wished).any()
