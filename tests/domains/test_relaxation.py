# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from vnnverify.domains import relaxation
from vnnverify.importer.registry import supported_operators
from vnnverify.ir.op import Elementwise
from vnnverify.ops.piecewise import Abs, Clip, LeakyRelu, Relu

OPS: list[Elementwise] = [Relu(), LeakyRelu(0.1), Abs(), Clip(-1.0, 2.0)]


def smooth_ops() -> list[Elementwise]:
    from vnnverify.ops.sigmoidal import Sigmoid, Tanh
    from vnnverify.ops.smooth import Exp

    return [Sigmoid(), Tanh(), Exp()]


def boxes(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    centre = 6 * torch.randn(400, generator=generator, dtype=torch.float64)
    width = torch.rand(400, generator=generator, dtype=torch.float64) * 10.0 ** torch.randint(
        -6, 1, (400,), generator=generator
    )
    width[::7] = 0.0
    centre[::5] = 0.0
    return (centre - width).to(dtype), (centre + width).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("op", [*OPS, *smooth_ops()], ids=lambda op: op.kind)
def test_lines_enclose_the_function(op: Elementwise, dtype: torch.dtype) -> None:
    lower, upper = boxes(dtype)
    lines = relaxation.lines(op, lower, upper)
    low, high = relaxation.value_range(op, lower, upper)
    for t in torch.linspace(0, 1, 101, dtype=torch.float64):
        x = lower.double() + t * (upper.double() - lower.double())
        f = op(x)
        slack = 1e-15 * (1 + f.abs())  # of evaluating f itself in float64
        assert bool((lines.below_slope.double() * x + lines.below_offset.double() <= f + slack).all())
        assert bool((lines.above_slope.double() * x + lines.above_offset.double() >= f - slack).all())
        assert bool((low.double() <= f + slack).all() and (high.double() >= f - slack).all())


@pytest.mark.parametrize("op", [*OPS, *smooth_ops()], ids=lambda op: op.kind)
def test_any_slope_gives_valid_offsets(op: Elementwise) -> None:
    lower, upper = boxes(torch.float64)
    generator = torch.Generator().manual_seed(3)
    slope = torch.randn(400, generator=generator, dtype=torch.float64)
    low, high = relaxation.band(op, lower, upper, slope)
    for t in torch.linspace(0, 1, 101, dtype=torch.float64):
        x = lower + t * (upper - lower)
        g = op(x) - slope * x
        slack = 1e-14 * (1 + op(x).abs() + (slope * x).abs())
        assert bool((low <= g + slack).all() and (high >= g - slack).all())


def test_relu_chord_by_hand() -> None:
    """Over [-1, 3] the chord is 3/4 (x + 1); the lower slope is 1 since 3 > 1."""
    lines = relaxation.lines(Relu(), torch.tensor([-1.0]).double(), torch.tensor([3.0]).double())
    assert float(lines.above_slope) == 0.75 and abs(float(lines.above_offset) - 0.75) < 1e-12
    assert float(lines.below_slope) == 1.0 and float(lines.below_offset) == 0.0


def test_every_listed_operator_has_a_reader() -> None:
    assert {"Relu", "Conv", "Gemm", "MatMul", "MaxPool", "Sigmoid"} <= set(supported_operators())
