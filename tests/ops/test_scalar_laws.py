# SPDX-License-Identifier: Apache-2.0
"""What every scalar function states about itself: derivative, turning points, kinks."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from vnnverify.domains.relaxation import lines, value_range
from vnnverify.ir import Elementwise
from vnnverify.ops.gates import Gelu, GeluTanh, HardSwish, Mish, Silu
from vnnverify.ops.periodic import Cos, Sin
from vnnverify.ops.piecewise import Abs, Clip, LeakyRelu, Relu, Tent
from vnnverify.ops.requantized import Lookup, NearestWhole
from vnnverify.ops.rounding import Rounded, Within
from vnnverify.ops.sigmoidal import Erf, Sigmoid, Tanh
from vnnverify.ops.smooth import Elu, Exp, InverseSqrt, Log, Power, Reciprocal, Softplus, Sqrt
from vnnverify.ops.steps import Ceil, Floor, Round, Sign, Spike, Step, Trunc
from vnnverify.ops.trigonometry import Acos, Acosh, Asin, Asinh, Atan, Atanh, Cosh, Sinh, Softsign

WIDE = (-12.0, 12.0)
FUNCTIONS: list[tuple[Elementwise, tuple[float, float]]] = [
    (Relu(), WIDE),
    (LeakyRelu(0.1), WIDE),
    (LeakyRelu(1.5), WIDE),
    (LeakyRelu(-0.5), WIDE),
    (Abs(), WIDE),
    (Clip(-1.0, 2.0), WIDE),
    (Clip(0.5, float("inf")), WIDE),
    (Clip(-float("inf"), 0.5), WIDE),
    (Sigmoid(), WIDE),
    (Tanh(), WIDE),
    (Erf(), (-4.0, 4.0)),
    (Exp(), (-10.0, 5.0)),
    (Elu(1.0), WIDE),
    (Elu(0.3), WIDE),
    (Softplus(), WIDE),
    (Log(), (0.05, 9.0)),
    (Sqrt(), (0.0, 9.0)),
    (InverseSqrt(), (0.05, 9.0)),
    (Reciprocal(), (0.1, 9.0)),
    (Reciprocal(), (-9.0, -0.1)),
    (Power(2.0), WIDE),
    (Power(3.0), WIDE),
    (Power(4.0), (-3.0, 3.0)),
    (Power(1.5), (0.0, 9.0)),
    (Power(0.3), (0.0, 9.0)),
    (Sin(), (-20.0, 20.0)),
    (Lookup(-3, torch.tensor([5.0, 1.0, -2.0, -2.0, 7.0, 8.0, 9.0], dtype=torch.float64)), (-5.0, 5.0)),
    (Cos(), (-20.0, 20.0)),
    (Tent(), WIDE),
    *((op, WIDE) for op in (Gelu(), GeluTanh(), Silu(), Mish(), HardSwish(), Atan(), Softsign(), Asinh())),
    *((op, (-5.0, 5.0)) for op in (Sinh(), Cosh())),
    *((op, (-0.99, 0.99)) for op in (Asin(), Acos(), Atanh())),
    (Acosh(), (1.01, 9.0)),
    *((op, WIDE) for op in (Gelu(0.70710677), Gelu(3.0), Silu(1.702), Silu(0.25), HardSwish(0.2, 0.6))),
    *((op, WIDE) for op in (GeluTanh(0.797884583, 0.0447149985), GeluTanh(0.9, 0.035))),
    *(
        (op, WIDE)
        for op in (
            NearestWhole(),
            NearestWhole(1e-3),
            Sign(),
            Step(),
            Step(inclusive=True),
            Spike(),
            Floor(),
            Ceil(),
            Trunc(),
            Round(),
        )
    ),
    (Within(-20.0, 20.0), WIDE),
    (Rounded(3, -4, 1e9), WIDE),
    (Rounded(3, -4, 1e9), (0.0, 0.6)),
    (Rounded(2, 0, 1e9), (-300.0, 40.0)),
    (Rounded(1, -3, 1e9), (0.3, 900.0)),
    (Rounded(8, -133, 1e9), (0.9, 4.3)),
]
IDS = [f"{op.kind}{index}" for index, (op, _) in enumerate(FUNCTIONS)]
each_function = pytest.mark.parametrize(("op", "ends"), FUNCTIONS, ids=IDS)


def intervals(ends: tuple[float, float], count: int) -> tuple[Tensor, Tensor]:
    """Random intervals of many widths, some touching the ends, some a point."""
    generator = torch.Generator().manual_seed(1)
    low, high = ends
    u = torch.rand(count, 2, generator=generator, dtype=torch.float64).sort(dim=1).values
    lower, upper = low + u[:, 0] * (high - low), low + u[:, 1] * (high - low)
    narrow = torch.rand(count, generator=generator, dtype=torch.float64) ** 8
    upper = torch.where(torch.arange(count) % 3 == 0, lower + (upper - lower) * narrow, upper)
    lower[0], upper[0] = low, high
    upper[1] = lower[1]
    return lower, upper


@each_function
def test_turning_points_reach_the_extremes(op: Elementwise, ends: tuple[float, float]) -> None:
    """On a dense grid, f(x) − s·x is nowhere above or below its values at the ends and candidates."""
    lower, upper = intervals(ends, 60)
    grid = lower + torch.linspace(0, 1, 4001, dtype=torch.float64)[:, None] * (upper - lower)
    grid = torch.minimum(grid, upper)
    tilted = op(grid)
    for slope in (0.0, 1e-9, 0.01, 0.2, 0.7, 1.0, 1.3, 5.0, -0.01, -0.6, -2.0):
        s = torch.full_like(lower, slope)
        low = torch.full_like(lower, float("inf"))
        high = -low
        for point in (lower, upper, *op.turning_points(s, lower, upper)):
            inside = (point >= lower) & (point <= upper)
            g = op(torch.where(inside, point, lower)) - slope * torch.where(inside, point, lower)
            low, high = torch.minimum(low, g), torch.maximum(high, g)
        g = tilted - slope * grid
        assert bool((g.amin(dim=0) >= low - 1e-9).all())
        assert bool((g.amax(dim=0) <= high + 1e-9).all())


@each_function
def test_derivative_is_the_limit_of_differences(op: Elementwise, ends: tuple[float, float]) -> None:
    generator = torch.Generator().manual_seed(2)
    x = (
        ends[0]
        + 0.01
        + torch.rand(400, generator=generator, dtype=torch.float64) * (ends[1] - ends[0] - 0.02)
    )
    h = 1e-6
    left, right = (op(x) - op(x - h)) / h, (op(x + h) - op(x)) / h
    smooth = (left - right).abs() < 1e-3 * (1 + left.abs())
    assert smooth.sum() > 300
    torch.testing.assert_close(op.derivative(x)[smooth], ((left + right) / 2)[smooth], rtol=1e-4, atol=1e-4)


@each_function
def test_autograd_agrees_with_derivative(op: Elementwise, ends: tuple[float, float]) -> None:
    x = torch.linspace(ends[0] + 0.013, ends[1] - 0.017, 101, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(op(x).sum(), x, allow_unused=True)
    torch.testing.assert_close(gradient, op.derivative(x.detach()), rtol=1e-9, atol=1e-12)


@each_function
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lines_and_ranges_enclose_samples(
    op: Elementwise, ends: tuple[float, float], dtype: torch.dtype
) -> None:
    lower, upper = (t.to(dtype) for t in intervals(ends, 60))
    steps = torch.linspace(0, 1, 301, dtype=dtype)[:, None]
    x = torch.minimum(torch.maximum(lower + steps * (upper - lower), lower), upper).double()
    y = op(x)
    found = lines(op, lower, upper)
    below = found.below_slope.double() * x + found.below_offset.double()
    above = found.above_slope.double() * x + found.above_offset.double()
    assert bool((below <= y).all())
    assert bool((above >= y).all())
    low, high = value_range(op, lower, upper)
    assert bool((low.double() <= y).all())
    assert bool((high.double() >= y).all())


@pytest.mark.parametrize("op", [op for op, _ in FUNCTIONS if op.kinks is not None], ids=lambda op: op.kind)
def test_linear_between_kinks(op: Elementwise) -> None:
    knots = sorted({-12.0, 12.0, *(op.kinks or ())})
    for a, b in itertools.pairwise(knots):
        x = torch.linspace(a, b, 11, dtype=torch.float64)
        bend = op(x)[2:] - 2 * op(x)[1:-1] + op(x)[:-2]
        assert float(bend.abs().max()) < 1e-12


@pytest.mark.parametrize(
    ("op", "lower", "upper"),
    [
        (Reciprocal(), -1.0, 2.0),
        (Reciprocal(), 0.0, 2.0),
        (InverseSqrt(), 0.0, 2.0),
        (Log(), -1.0, 2.0),
        (Sqrt(), -1.0, 2.0),
        (Power(0.5), -1.0, 2.0),
        (Power(2.5), -1.0, 2.0),
        (Within(-3.0, 3.0), -1.0, 3.0),
        (Rounded(11, -24, 65520.0), 1.0, 65520.0),
    ],
    ids=lambda v: v.kind if isinstance(v, Elementwise) else str(v),
)
def test_no_finite_bounds_outside_the_domain(op: Elementwise, lower: float, upper: float) -> None:
    low, high = value_range(op, torch.tensor([lower]), torch.tensor([upper]))
    assert float(low) == -float("inf")
    assert float(high) == float("inf")


@pytest.mark.parametrize("op", [Sigmoid(), Tanh(), Erf()], ids=lambda op: op.kind)
@pytest.mark.parametrize("slope", [1e-12, 1e-9, 1e-7, 1e-4])
def test_tiny_slopes_still_turn(op: Elementwise, slope: float) -> None:
    """In float32, 1 − slope rounds to 1; the turning point must not vanish with it."""
    lower, upper = torch.tensor([-1e6]), torch.tensor([1e6])
    points = torch.cat(list(op.turning_points(torch.tensor([slope]), lower, upper))).double()
    assert bool(torch.isfinite(points).all())
    torch.testing.assert_close(op.derivative(points), torch.full_like(points, slope), rtol=1e-3, atol=0)


@pytest.mark.parametrize("op", [Sin(), Cos()], ids=lambda op: op.kind)
@pytest.mark.parametrize("centre", [1e3, 1e5, -1e6])
def test_periodic_ranges_far_from_zero(op: Elementwise, centre: float) -> None:
    lower, upper = torch.tensor([centre]), torch.tensor([centre + 8.0])
    low, high = value_range(op, lower, upper)
    assert float(low) <= -1.0
    assert float(high) >= 1.0


@each_function
def test_steepness_bounds_every_difference_quotient(op: Elementwise, ends: tuple[float, float]) -> None:
    lower, upper = intervals(ends, 3000)
    apart = upper > lower + 1e-6 * (1 + lower.abs())
    x, y = lower[apart], upper[apart]
    rise, (least, most) = (op(y) - op(x)), op.steepness
    rounding = 1e-12 * (1 + op(x).abs() + op(y).abs())
    assert bool((rise + rounding >= torch.nan_to_num(least * (y - x), nan=0.0)).all())
    assert bool((rise - rounding <= torch.nan_to_num(most * (y - x), nan=0.0)).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@each_function
def test_zero_stays_zero(op: Elementwise, ends: tuple[float, float], dtype: torch.dtype) -> None:
    """A function that is zero at zero, and no smaller to the right of it, has bounds that start there."""
    zero, end = torch.zeros(1, dtype=dtype), torch.full((1,), ends[1], dtype=dtype)
    if ends[0] > 0 or float(op(zero)) != 0 or op.steepness[0] < 0:
        return
    low, high = value_range(op, zero, end)
    assert float(low) == 0 <= float(high)
