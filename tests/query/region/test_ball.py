# SPDX-License-Identifier: Apache-2.0
"""Balls, cut with boxes: closed forms, other solvers, and points inside."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, minimize
from torch import Tensor

from vnnverify.query import Ball

F64 = torch.float64
NORMS = (1.0, 2.0, inf)


def cut_ball(norm: float, seed: int, dtype: torch.dtype = F64, n: int = 4) -> Ball:
    """A ball and a box whose middles differ, so that the centre may lie outside the box."""
    source = torch.Generator().manual_seed(seed)
    a, b, c, d = torch.rand(4, n, generator=source, dtype=F64).to(dtype)
    lower = a - b + 0.3 * d
    return Ball(norm, a, 0.2 + 0.5 * float(d[0]), lower, lower + 0.3 + b * c)


def rows_of(seed: int, count: int, n: int, dtype: torch.dtype = F64) -> Tensor:
    source = torch.Generator().manual_seed(1000 + seed)
    rows = torch.randn(count, n, generator=source, dtype=F64).to(dtype)
    rows[0] = 0
    rows[1, 1:] = 0
    return rows


@pytest.mark.parametrize("norm", NORMS)
def test_whole_balls_give_the_dual_norm(norm: float) -> None:
    centre, rows = torch.tensor([0.5, -1.0, 2.0], dtype=F64), torch.tensor([[3.0, -4.0, 0.0]], dtype=F64)
    dual = {1.0: 4.0, 2.0: 5.0, inf: 7.0}[norm]
    found = Ball(norm, centre, 0.25).least(rows)
    assert found.value.item() == pytest.approx(5.5 - 0.25 * dual, abs=1e-12)
    assert found.value.item() <= 5.5 - 0.25 * dual


@pytest.mark.parametrize("seed", range(12))
def test_least_in_a_cut_l1_ball_is_that_of_a_linear_program(seed: int) -> None:
    ball, rows = cut_ball(1.0, seed), rows_of(seed, 4, 4)
    c = ball.centre.numpy()
    # x = c + p − m with p, m >= 0, Σ p + m <= radius, within the box
    limits = np.concatenate([np.eye(4), -np.eye(4)], axis=1)
    A = np.concatenate([np.ones((1, 8)), limits, -limits])
    b = np.concatenate(
        [[ball.radius.item()], (ball.upper - ball.centre).numpy(), (ball.centre - ball.lower).numpy()]
    )
    for row, value in zip(rows.numpy(), ball.least(rows).value.tolist(), strict=True):
        solved = linprog(np.concatenate([row, -row]), A_ub=A, b_ub=b)
        assert solved.status == (2 if ball.empty else 0)
        if solved.status == 0:
            assert value == pytest.approx(row @ c + solved.fun, abs=1e-8)


@pytest.mark.parametrize("seed", range(12))
def test_least_in_a_cut_l2_ball_is_that_of_a_convex_program(seed: int) -> None:
    ball, rows = cut_ball(2.0, seed), rows_of(seed, 4, 4)
    if ball.empty:
        pytest.skip("nothing inside")
    c, r = ball.centre.numpy(), ball.radius.item()
    inside = {"type": "ineq", "fun": lambda x: r * r - ((x - c) ** 2).sum(), "jac": lambda x: 2 * (c - x)}
    ends = list(zip(ball.lower.tolist(), ball.upper.tolist(), strict=True))
    start = ball.project(ball.centre[None])[0].numpy()
    for row, value in zip(rows.numpy(), ball.least(rows).value.tolist(), strict=True):
        solved = minimize(
            lambda x, row=row: row @ x, start, jac=lambda x, row=row: row, bounds=ends, constraints=[inside]
        )
        assert value == pytest.approx(solved.fun, abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("norm", NORMS)
def test_no_point_is_below_the_bound_and_the_minimiser_attains_it(norm: float, dtype: torch.dtype) -> None:
    for seed in range(20):
        ball, rows = cut_ball(norm, seed, dtype, n=6), rows_of(seed, 5, 6, dtype)
        if ball.empty:
            continue
        found = ball.least(rows)
        assert found.minimiser is not None
        x = torch.cat(
            [ball.sample(10_000 // 20, torch.Generator().manual_seed(seed)).to(dtype), found.minimiser]
        )
        x = x[ball.contains(x)]
        assert len(x) > 400
        values = rows.double() @ x.double().T
        assert bool((values >= found.value[:, None]).all())
        attained = (rows * found.minimiser).sum(dim=1)
        assert bool(ball.contains(found.minimiser).all())
        assert torch.allclose(attained, found.value, atol=2e-4 if dtype == torch.float32 else 1e-10)


@pytest.mark.parametrize("norm", NORMS)
def test_a_batch_is_each_of_its_balls(norm: float) -> None:
    balls = [cut_ball(norm, seed) for seed in range(3)]
    parts = (
        torch.stack([getattr(ball, name) for ball in balls])
        for name in ("centre", "radius", "lower", "upper")
    )
    batch = Ball(norm, *parts)
    rows = torch.stack([rows_of(seed, 5, 4) for seed in range(3)])
    value = batch.least(rows).value
    x = batch.project(3 * rows)
    for k, ball in enumerate(balls):
        assert torch.equal(value[k], ball.least(rows[k]).value)
        assert torch.equal(x[k], ball.project(3 * rows[k]))
        assert torch.equal(batch.take(torch.tensor([k])).least(rows[k : k + 1]).value[0], value[k])
        assert torch.equal(ball.take(None).least(rows[k][None]).value[0], value[k])


@pytest.mark.parametrize("norm", NORMS)
def test_another_float_type_holds_the_ball(norm: float) -> None:
    ball = Ball(norm, torch.full((50,), 1 / 3, dtype=F64), 0.1)
    single = ball.to(torch.device("cpu"), torch.float32)
    rows = rows_of(0, 30, 50)
    assert bool((single.least(rows.float()).value <= ball.least(rows.float().double()).value).all())
    x = ball.sample(1000, torch.Generator().manual_seed(0))
    assert bool(single.contains(x).all())
    assert bool(single.contains(ball.least(rows).minimiser).all())


@pytest.mark.parametrize("norm", NORMS)
def test_derivatives_are_those_of_the_minimiser(norm: float) -> None:
    checked = 0
    for seed in range(6):
        ball, rows = cut_ball(norm, seed), rows_of(seed, 5, 4)[2:]
        low, high = ball.lower, ball.upper
        if ball.empty:
            continue

        def least(
            rows: Tensor, centre: Tensor, radius: Tensor, low: Tensor = low, high: Tensor = high
        ) -> Tensor:
            return Ball(norm, centre, radius, low, high).least(rows).value

        given = [t.clone().requires_grad_() for t in (rows, ball.centre, ball.radius)]
        assert torch.autograd.gradcheck(least, given, eps=1e-7, atol=1e-5)
        checked += 1
    assert checked >= 3


@pytest.mark.parametrize("norm", NORMS)
def test_degenerate_balls_and_rows(norm: float) -> None:
    point = Ball(norm, torch.tensor([2.0, -3.0], dtype=F64), 0.0)
    rows = torch.tensor([[1.0, 1.0], [0.0, 0.0], [1e-200, 1e-200], [1e200, 0.0]], dtype=F64)
    found = point.least(rows)
    assert found.value.tolist() == pytest.approx([-1.0, 0.0, -1e-200, 2e200], rel=1e-11, abs=1e-300)
    assert found.minimiser is not None and torch.equal(found.minimiser, point.centre.expand(4, 2))
    thin = Ball(norm, torch.zeros(2, dtype=F64), 1.0, torch.tensor([0.5, -9.0]), torch.tensor([0.5, 9.0]))
    assert thin.least(torch.tensor([[4.0, 0.0]], dtype=F64)).value.item() == pytest.approx(2.0)
    huge = Ball(norm, torch.full((2,), 1e300, dtype=F64), 1e300)
    assert bool((huge.least(-rows[3:]).value == -inf).all())
    nan = torch.tensor([[float("nan"), 1.0], [inf, 0.0]], dtype=F64)
    assert point.least(nan).value.tolist() == [-inf, -inf]


def test_norms_of_tiny_rows_do_not_vanish() -> None:
    ball = Ball(2.0, torch.zeros(2), 1.0)
    assert ball.least(torch.full((1, 2), 1e-30)).value.item() <= -(2**0.5) * 1e-30


@pytest.mark.parametrize("norm", NORMS)
def test_points_moved_inside_stay_there_in_float32(norm: float) -> None:
    ball = Ball(norm, torch.linspace(0, 1, 200, dtype=F64), 0.05, 0.0, 1.0)
    x = ball.project(torch.randn(500, 200, generator=torch.Generator().manual_seed(1), dtype=F64))
    assert bool(ball.contains(x).all()) and bool(ball.contains(x.float()).all())


def test_projections_are_the_nearest_points() -> None:
    ball = Ball(2.0, torch.zeros(2, dtype=F64), 1.0, torch.tensor([-2.0, -0.6]), torch.tensor([2.0, 0.6]))
    x = ball.project(torch.tensor([[2.0, 3.0], [0.1, 0.2], [-5.0, 0.0]], dtype=F64))
    expected = torch.tensor([[0.8, 0.6], [0.1, 0.2], [-1.0, 0.0]], dtype=F64)
    assert torch.allclose(x, expected, atol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_what_lies_beyond_the_radius_is_empty(norm: float) -> None:
    zero = torch.zeros(3, dtype=F64)
    assert not Ball(norm, zero, 1.0, 0.3, 0.4).empty
    beyond = {1.0: 0.34, 2.0: 0.58, inf: 1.01}[norm]
    assert Ball(norm, zero, 1.0, beyond, 2.0).empty
    assert Ball(norm, zero, 1.0).within(zero + beyond, zero + 2).empty


def test_other_norms_and_negative_radii_are_refused() -> None:
    with pytest.raises(ValueError, match="norm 3"):
        Ball(3, torch.zeros(1), 1.0)
    with pytest.raises(ValueError, match="zero or more"):
        Ball(2, torch.zeros(1), -1.0)
