# SPDX-License-Identifier: Apache-2.0
"""Ranges of products: by hand, by sampling, and where nothing can be known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vnnverify.domains import interval, products
from vnnverify.ir import Graph, Node, Value
from vnnverify.ops.bilinear import Mul
from vnnverify.query import Box

INF = float("inf")
Pair = tuple[Tensor, Tensor]


def pair(*ends: tuple[float, float], dtype: torch.dtype = torch.float64) -> Pair:
    lower, upper = zip(*ends, strict=True)
    return torch.tensor([lower], dtype=dtype), torch.tensor([upper], dtype=dtype)


def random(shape: tuple[int, ...], seed: int, dtype: torch.dtype) -> Pair:
    generator = torch.Generator().manual_seed(seed)
    centre = torch.randn(shape, generator=generator, dtype=torch.float64)
    width = 2.0 ** torch.randint(-30, 2, shape, generator=generator)
    width[::3] = 0
    return (centre - width).to(dtype), (centre + width).to(dtype)


def inside(x: Pair, seed: int, count: int = 200) -> Tensor:
    """Points (count, *shape) of an interval, many of them corners, in float64."""
    generator = torch.Generator().manual_seed(seed)
    t = torch.rand(count, *x[0].shape, generator=generator, dtype=torch.float64)
    t[: count // 2] = t[: count // 2].round()
    lower, upper = (end.double() for end in x)
    return (lower + t * (upper - lower)).clamp(lower, upper)


def test_four_corners_by_hand() -> None:
    """[-1, 2]·[3, 4] is [-4, 8]; [-1, 2]·[-3, 1] is [-6, 3]; factors of one sign keep it exactly."""
    low, high = products.product(pair((-1, 2), (-1, 2), (0, 1)), pair((3, 4), (-3, 1), (0, 5)))
    assert low.tolist()[0][:2] == pytest.approx([-4, -6]) and low[0, 2] == 0
    assert high.tolist()[0] == pytest.approx([8, 3, 5])


def test_square_by_hand() -> None:
    low, high = products.square(pair((-1, 2), (-3, -2), (0, 0)))
    assert low.tolist()[0] == pytest.approx([0, 4, 0]) and low[0, 0] == 0 and low[0, 2] == 0
    assert high.tolist()[0] == pytest.approx([4, 9, 0])


def test_a_value_times_itself_is_a_square() -> None:
    x, z = Value("x", (1,)), Value("z", (1,))
    graph = Graph((x,), (z,), (Node(Mul(), (x, x), z, "z"),))
    box = Box(torch.tensor([-1.0]).double(), torch.tensor([2.0]).double())
    assert float(interval.bounds(graph, box)[0]) == 0


def test_matrix_product_by_hand() -> None:
    """[0, 1]·[0, 1] + [1, 2]·[-1, 1] is [-2, 3]; midpoints would give no more than [-2.5, 3.5]."""
    x = torch.tensor([[[0.0, 1.0]]]).double(), torch.tensor([[[1.0, 2.0]]]).double()
    y = torch.tensor([[[0.0], [-1.0]]]).double(), torch.tensor([[[1.0], [1.0]]]).double()
    low, high = products.matrix_product(x, y)
    assert float(low) == pytest.approx(-2) and float(high) == pytest.approx(3)


def test_positive_factors_have_a_positive_product() -> None:
    x = torch.zeros(1, 2, 3), torch.ones(1, 2, 3)
    low, high = products.matrix_product(x, (x[0].mT, x[1].mT))
    assert bool((low == 0).all() and (high >= 3).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("few", [True, False])
def test_matrix_products_of_points_lie_inside(dtype: torch.dtype, few: bool, monkeypatch) -> None:
    monkeypatch.setattr(products, "TERMS", 1 << 22 if few else 0)
    monkeypatch.setattr(products, "CHUNK", 200)
    x, y = random((3, 2, 4, 5), 1, dtype), random((3, 2, 5, 3), 2, dtype)
    low, high = products.matrix_product(x, y)
    z = inside(x, 3) @ inside(y, 4)
    slack = 1e-14
    assert bool((z >= low.double() - slack).all() and (z <= high.double() + slack).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_of_points_lie_inside(dtype: torch.dtype) -> None:
    x, y = random((300,), 5, dtype), random((300,), 6, dtype)
    low, high = products.product(x, y)
    z = inside(x, 7) * inside(y, 8)
    slack = 1e-16 * z.abs()
    assert bool((z >= low.double() - slack).all() and (z <= high.double() + slack).all())


def test_products_are_exact_rationals_apart_at_most_one_rounding() -> None:
    """The ends themselves, multiplied exactly, lie inside."""
    from fractions import Fraction

    x, y = random((50,), 9, torch.float32), random((50,), 10, torch.float32)
    low, high = products.product(x, y)
    for k in range(50):
        exact = [Fraction(float(a[k])) * Fraction(float(b[k])) for a in x for b in y]
        assert Fraction(float(low[k])) <= min(exact) and max(exact) <= Fraction(float(high[k]))


def test_zero_times_infinity_is_unknown() -> None:
    low, high = products.product(pair((0, 0), (0, 1)), pair((-INF, INF), (1, INF)))
    assert low.tolist() == [[-INF, -INF]] and high.tolist() == [[INF, INF]]
    x = torch.zeros(1, 1, 1), torch.zeros(1, 1, 1)
    low, high = products.matrix_product(x, (x[0] - INF, x[1] + INF))
    assert float(low) == -INF and float(high) == INF


@pytest.mark.parametrize("few", [True, False])
def test_nan_and_overflow_are_unknown(few: bool, monkeypatch) -> None:
    monkeypatch.setattr(products, "TERMS", 1 << 22 if few else 0)
    for bad in (float("nan"), 1e200):
        x = torch.full((1, 2, 2), -bad, dtype=torch.float64), torch.full((1, 2, 2), bad, dtype=torch.float64)
        low, high = products.matrix_product(x, x)
        assert bool((low == -INF).all() and (high == INF).all())
