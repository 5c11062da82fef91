# SPDX-License-Identifier: Apache-2.0
"""Bounds of functions hold for their exact parameters, which floats round: compared with exact fractions."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
import torch

from vnnverify.domains.relaxation import band, value_range
from vnnverify.ir import Elementwise
from vnnverify.ops.gates import HardSwish
from vnnverify.ops.piecewise import Clip, LeakyRelu
from vnnverify.ops.smooth import Power

Exact = Callable[[Fraction], Fraction]


def leaky(x: Fraction) -> Fraction:
    return x if x > 0 else Fraction(0.1) * x


def clip(x: Fraction) -> Fraction:
    return min(max(x, Fraction(-0.1)), Fraction(0.7))


def hard_swish(rate: Fraction, shift: Fraction) -> Exact:
    return lambda x: x * min(max(rate * x + shift, Fraction(0)), Fraction(1))


CASES: list[tuple[Elementwise, Exact]] = [
    (LeakyRelu(0.1), leaky),
    (Clip(-0.1, 0.7), clip),
    (HardSwish(), hard_swish(Fraction(1, 6), Fraction(1, 2))),
    (HardSwish(1 / 3, 1 / 7), hard_swish(Fraction(1, 3), Fraction(1, 7))),
]


@pytest.mark.parametrize("exponent", [Fraction(1, 3), Fraction(7, 3)])
def test_bounds_of_a_power_hold_the_exact_value_of_a_rounded_exponent(exponent: Fraction) -> None:
    """By the cubes of both; a float64 holds the exponent as closely as 2^-50 cares for."""
    x = torch.tensor([2.0**k / 3 for k in range(-60, 50, 3)])
    ends = value_range(Power(float(exponent)), x, x)
    for point, least, most in zip(x.tolist(), *(end.tolist() for end in ends), strict=True):
        truth = Fraction(point) ** exponent.numerator
        assert Fraction(least) ** exponent.denominator <= truth * (1 + Fraction(1, 2**50))
        assert Fraction(most) ** exponent.denominator >= truth * (1 - Fraction(1, 2**50))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("op", "exact"), CASES, ids=lambda v: getattr(v, "kind", ""))
def test_bounds_hold_exact_values(op: Elementwise, exact: Exact, dtype: torch.dtype) -> None:
    """At points, where nothing but the error that is counted lies between the bounds."""
    generator = torch.Generator().manual_seed(2)
    x = (8 * torch.rand(400, generator=generator, dtype=torch.float64) - 4).to(dtype)
    slope = torch.rand(400, generator=generator, dtype=torch.float64).to(dtype)
    ends, offsets = value_range(op, x, x), band(op, x, x, slope)
    columns = (t.tolist() for t in (x, slope, *ends, *offsets))
    for point, s, least, most, low, high in zip(*columns, strict=True):
        truth, line = exact(Fraction(point)), Fraction(s) * Fraction(point)
        assert Fraction(least) <= truth <= Fraction(most)
        assert line + Fraction(low) <= truth <= line + Fraction(high)
