# SPDX-License-Identifier: Apache-2.0
"""Planes below and above products: by hand, at samples, and where nothing can be known."""

from __future__ import annotations

import pytest
import torch

from vnnverify.domains.planes import mccormick, offsets


def test_by_hand() -> None:
    """Over [-1, 1]·[0, 2] the middle plane is x: the product leaves it by at most one on either side."""
    found = mccormick(
        (torch.tensor([-1.0]).double(), torch.tensor([1.0]).double()),
        (torch.tensor([0.0]).double(), torch.tensor([2.0]).double()),
    )
    assert (float(found.below_x), float(found.below_y)) == (1.0, 0.0)
    assert float(found.below_offset) == pytest.approx(-1) and float(found.below_offset) <= -1
    assert float(found.above_offset) == pytest.approx(1) and float(found.above_offset) >= 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_slopes_enclose_samples(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    centre = torch.randn(2, 300, generator=generator, dtype=torch.float64) * 10
    width = 2.0 ** torch.randint(-30, 6, (2, 300), generator=generator)
    width[:, ::4] = 0
    lower, upper = (centre - width).to(dtype), (centre + width).to(dtype)
    slope = (centre.flip(0) + torch.randn(2, 300, generator=generator)).to(dtype)
    low, high = offsets((lower[0], upper[0]), (lower[1], upper[1]), slope[0], slope[1])
    t = torch.rand(400, 2, 300, generator=generator, dtype=torch.float64)
    t[:200] = t[:200].round()
    x, y = (
        (lower.double() + t * (upper.double() - lower.double()))
        .clamp(lower.double(), upper.double())
        .unbind(1)
    )
    plane = slope[0].double() * x + slope[1].double() * y
    rounding = 1e-15 * (x * y).abs() + 1e-15 * plane.abs()
    assert bool((plane + low.double() <= x * y + rounding).all())
    assert bool((x * y <= plane + high.double() + rounding).all())


@pytest.mark.parametrize("end", [float("inf"), float("nan")])
def test_unknown_ends_bound_nothing(end: float) -> None:
    x = torch.tensor([-1.0]), torch.tensor([end])
    y = torch.tensor([0.0]), torch.tensor([2.0])
    found = mccormick(x, y)
    assert float(found.below_x) == 0 and float(found.below_offset) == -float("inf")
    assert float(found.above_offset) == float("inf")
