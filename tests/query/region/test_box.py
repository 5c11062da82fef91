# SPDX-License-Identifier: Apache-2.0
"""Boxes, and boxes cut by linear rows."""

from __future__ import annotations

import pytest
import torch
from scipy.optimize import linprog
from torch import Tensor

from vnnverify.query import Box, Polytope

F64 = torch.float64


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=F64)


def test_a_box_is_least_at_its_ends() -> None:
    box = Box(numbers(-1, 0, 2), numbers(3, 5, 2))
    found = box.least(numbers(2, -1, 4)[None])
    assert found.value.item() == pytest.approx(1.0) and found.value.item() <= 1.0
    assert found.minimiser is not None and found.minimiser.tolist() == [[-1.0, 5.0, 2.0]]


def test_lists_and_infinite_ends() -> None:
    box = Box([0.0, 0.0], [1.0, float("inf")])
    value = box.least(torch.tensor([[-1.0, 1.0], [1.0, 0.0], [0.0, -1.0], [float("nan"), 0.0]])).value
    assert value[:2].tolist() == pytest.approx([-1.0, 0.0], abs=1e-5)
    assert value[2:].tolist() == [-float("inf")] * 2


def cut_box(seed: int, rows: int, n: int = 5) -> Box:
    source = torch.Generator().manual_seed(seed)
    lower = torch.randn(n, generator=source, dtype=F64)
    upper = lower + 2 * torch.rand(n, generator=source, dtype=F64)
    G = torch.randn(rows, n, generator=source, dtype=F64)
    inside = lower + (upper - lower) * torch.rand(n, generator=source, dtype=F64)
    return Box(lower, upper, Polytope.of(G, G @ inside + 0.1 * torch.rand(rows, generator=source, dtype=F64)))


def exact(box: Box, row: Tensor) -> float:
    assert box.linear is not None
    ends = list(zip(box.lower.tolist(), box.upper.tolist(), strict=True))
    return float(linprog(row.numpy(), A_ub=box.linear.A.numpy(), b_ub=box.linear.b.numpy(), bounds=ends).fun)


@pytest.mark.parametrize("seed", range(10))
def test_one_row_costs_nothing(seed: int) -> None:
    box = cut_box(seed, 1)
    rows = torch.randn(6, 5, generator=torch.Generator().manual_seed(seed), dtype=F64)
    for row, value in zip(rows, box.least(rows).value.tolist(), strict=True):
        assert value == pytest.approx(exact(box, row), abs=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_several_rows_are_between_the_box_and_the_linear_program(seed: int) -> None:
    box = cut_box(seed, 4)
    rows = torch.randn(6, 5, generator=torch.Generator().manual_seed(seed), dtype=F64)
    plain = Box(box.lower, box.upper).least(rows).value
    value = box.least(rows).value
    for row, low, high in zip(rows, plain.tolist(), value.tolist(), strict=True):
        assert low - 1e-9 <= high <= exact(box, row) + 1e-12
    assert bool((value > plain + 0.01).any())
    x = box.sample(10_000, torch.Generator().manual_seed(0))
    x = x[box.contains(x)]
    assert bool((rows @ x.T >= value[:, None]).all())


def test_derivatives_with_a_row_that_binds() -> None:
    box = cut_box(3, 1)
    assert box.linear is not None
    rows = torch.randn(4, 5, generator=torch.Generator().manual_seed(0), dtype=F64)
    multiplier = box.least(rows).multiplier
    assert multiplier is not None and bool((multiplier > 0).any())
    given = [t.clone().requires_grad_() for t in (rows, box.lower, box.upper)]
    assert torch.autograd.gradcheck(lambda a, low, high: Box(low, high, box.linear).least(a).value, given)


def test_a_contradiction_still_gives_a_bound() -> None:
    box = Box(numbers(0, 0), numbers(1, 1), Polytope.of(numbers(1, 1)[None], numbers(-1)))
    assert torch.isfinite(box.least(numbers(1, -2)[None]).value).all()


def test_batches_of_boxes() -> None:
    box = Box(numbers(0, 1, 2)[:, None], numbers(1, 3, 5)[:, None])
    rows = numbers(1, -1)[None, :, None].expand(3, 2, 1)
    assert torch.allclose(box.least(rows).value, torch.stack([numbers(0, 1, 2), -numbers(1, 3, 5)], dim=1))
    assert box.take(torch.tensor([2, 2])).lower.tolist() == [[2.0], [2.0]]
    assert box.contains(rows).tolist() == [[True, False], [True, False], [False, False]]
    assert box.sample(7, torch.Generator()).shape == (3, 7, 1)
    single = Box(numbers(0.1), numbers(0.3)).to(torch.device("cpu"), torch.float32)
    assert single.lower.item() <= 0.1 and single.upper.item() >= 0.3


def test_within_keeps_the_rows() -> None:
    box = cut_box(0, 2)
    part = box.within(box.lower + 0.1, box.upper + 1)
    assert part.linear is box.linear
    assert torch.equal(part.lower, box.lower + 0.1) and torch.equal(part.upper, box.upper)
