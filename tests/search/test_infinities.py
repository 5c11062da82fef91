# SPDX-License-Identifier: Apache-2.0
"""NaN and infinity, wherever they turn up, leave open what they are about; and huge boxes are searched."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from vnnverify import Query, Verdict
from vnnverify.bounds.specification import Specification
from vnnverify.numerics import middle, proves, varies
from vnnverify.search import (
    ActivationBounds,
    ActivationSplit,
    BoxBounds,
    Branches,
    InputSplit,
)
from vnnverify.search.clip import clip
from vnnverify.search.cut import cut_points
from vnnverify.testing import context, zoo

NAN, INF = float("nan"), float("inf")
STRANGE = (NAN, INF, -INF)
MOST = torch.finfo(torch.float32).max


def test_what_is_not_a_number_proves_nothing() -> None:
    assert proves(torch.tensor([NAN, INF, -INF, 0.0, -1.0, 1e-45])).tolist() == [False] * 5 + [True]


@pytest.mark.parametrize("margin", [*STRANGE, -1.0])
@pytest.mark.parametrize("slope", [*STRANGE, 0.0, 1.0, -2.0])
@pytest.mark.parametrize("lower", [-INF, -MOST, -1.0])
@pytest.mark.parametrize("upper", [INF, MOST, 1.0])
def test_clipping_loses_no_box(margin: float, slope: float, lower: float, upper: float) -> None:
    one = torch.ones(1, 1, 1, dtype=torch.bool)
    ends = torch.tensor([[lower, -1.0]]), torch.tensor([[upper, 1.0]])
    low, high = clip(*ends, torch.tensor([[margin]]), torch.tensor([[[slope, 0.0]]]), one, one[:, 0])
    assert not bool((low > high).any() | low.isnan().any() | high.isnan().any())
    sane = all(map(torch.isfinite, map(torch.tensor, (margin, slope, lower, upper))))
    if not sane:
        assert low.tolist() == ends[0].tolist() and high.tolist() == ends[1].tolist()


def test_clipping_still_cuts() -> None:
    one = torch.ones(1, 1, 1, dtype=torch.bool)
    low, high = clip(
        torch.tensor([[-MOST]]),
        torch.tensor([[MOST]]),
        torch.tensor([[-1e38]]),
        torch.tensor([[[1.0]]]),
        one,
        one[:, 0],
    )
    assert low.item() == -MOST and -2.5e38 < high.item() < -2.3e38


class Planted:
    """Bounds boxes by one strange number."""

    def __init__(self, margin: float, slope: float) -> None:
        self.margin, self.slope = margin, slope

    def bound(self, lower: Tensor, upper: Tensor, spec: Specification, memory: Tensor | None) -> BoxBounds:
        B, S, _ = spec.C.shape
        A = torch.full((B, S, lower.shape[1]), self.slope, dtype=lower.dtype)
        return BoxBounds(torch.full((B, S), self.margin, dtype=lower.dtype), A, A)


def violated_query() -> Query:
    specimens = (s for s in zoo() if s.truth is Verdict.SAT and not s.tight and s.query.varying > 1)
    return next(s.query for s in specimens if all(c.region.linear is None for c in s.query.clauses))


@pytest.mark.parametrize("margin", STRANGE)
@pytest.mark.parametrize("slope", [*STRANGE, 0.0, 1.0])
@pytest.mark.parametrize("reach", [None, 1e39, 1e300, INF])
def test_strange_bounds_leave_every_box_open(margin: float, slope: float, reach: float | None) -> None:
    query = violated_query()
    if reach is not None:
        clauses = []
        for clause in query.clauses:
            ends = (torch.full_like(clause.region.lower, sign * reach) for sign in (-1, 1))
            clauses.append(dataclasses.replace(clause, region=type(clause.region)(*ends)))
        query = query.with_clauses(clauses)
    ctx = dataclasses.replace(context(query), confirm=lambda x: False)
    found = InputSplit(query, Planted(margin, slope), ctx, max_splits=200).run()
    assert found.open_clauses == list(range(len(query.clauses)))


class Signs:
    """Bounds subproblems by one strange number; there are two elements to split."""

    def __init__(self, lower: float) -> None:
        self.lower = lower

    def bound(self, branches: Branches) -> ActivationBounds:
        N = len(branches)
        free = torch.tensor([0, 1])[None].expand(N, -1).clone()
        for column in branches.element.T:
            free[free == column[:, None]] = -1
        zero = torch.zeros(N, 2)
        return ActivationBounds(
            torch.full((N,), self.lower),
            torch.zeros_like(branches.multiplier),
            {},
            torch.zeros(N, 3),
            free.sort(dim=1, descending=True).values,
            zero,
            torch.zeros(N, 2, 2),
        )

    def violated(self, polytope: Tensor, x: Tensor) -> Tensor:
        return torch.zeros(len(polytope), dtype=torch.bool)


@pytest.mark.parametrize("lower", STRANGE)
@pytest.mark.parametrize("patience", [INF, 12.0])
def test_strange_bounds_leave_every_polytope_open(lower: float, patience: float) -> None:
    query = violated_query()
    bounder = Signs(lower)
    roots = Branches.roots(3, torch.device("cpu"), torch.float32)
    found = ActivationSplit(bounder, context(query), patience=patience).run(roots, bounder.bound(roots))
    assert found.open_polytopes == [0, 1, 2] and found.witness is None
    closed = Signs(1.0)
    assert not ActivationSplit(closed, context(query)).run(roots, closed.bound(roots)).open_polytopes


def test_the_middle_of_any_interval_is_finite_and_inside() -> None:
    for dtype in (torch.float32, torch.float64):
        most = torch.finfo(dtype).max
        ends = [-INF, -most, -most / 2, -1.0, 0.0, 1.0, most / 2, most, INF]
        pairs = [(a, b) for a in ends for b in ends if a <= b and a < INF and b > -INF]
        lower, upper = (torch.tensor(side, dtype=dtype) for side in zip(*pairs, strict=True))
        for found in (middle(lower, upper), cut_points(lower, upper)):
            assert bool(torch.isfinite(found).all())
            assert bool(((found >= lower) & (found <= upper)).all())
            wide = (lower < upper) & torch.isfinite(lower + upper)
            inside = (found > lower) & (found < upper)
            assert bool(inside[wide].all())


def test_huge_intervals_are_cut_by_their_order_of_magnitude() -> None:
    lower, upper = torch.zeros(1, dtype=torch.float64), torch.full((1,), 1e300, dtype=torch.float64)
    count = 0
    while upper.item() > 2.0:
        upper = cut_points(lower, upper)
        count += 1
    assert count < 45
    mirrored = cut_points(-torch.full((1,), 1e300, dtype=torch.float64), lower)
    assert mirrored.item() == -cut_points(lower, torch.full((1,), 1e300, dtype=torch.float64)).item()
    assert cut_points(torch.tensor([-3.0]), torch.tensor([1e30])).item() == 0.0
    assert cut_points(torch.tensor([0.0]), torch.tensor([1e8])).item() == 5e7


def test_an_infinite_interval_varies() -> None:
    lower, upper = torch.tensor([-INF, 0.0, -MOST, INF]), torch.tensor([INF, INF, MOST, INF])
    assert varies(lower, upper).tolist() == [True, True, True, False]
