# SPDX-License-Identifier: Apache-2.0
"""How many points of a box a model can be given."""

from __future__ import annotations

import math

import pytest
import torch

from vnnverify import Box, Region
from vnnverify.query import Layout, TensorSpec
from vnnverify.query.model_points import Points, points_in

BELOW = math.nextafter(0.1, 0)


def layout(*types: str, columns: tuple[int, ...] | None = None) -> Layout:
    inputs = tuple(TensorSpec(f"x{k}", (1,), kind) for k, kind in enumerate(types))
    return Layout(inputs, (), columns=columns)


def region(*ends: tuple[float, float]) -> Region:
    lower, upper = zip(*ends, strict=True)
    return Box(torch.tensor(lower, dtype=torch.float64), torch.tensor(upper, dtype=torch.float64))


@pytest.mark.parametrize(
    ("types", "ends", "expected"),
    [
        (("float32",), ((0.5, 0.5),), Points.ONE),
        (("float32",), ((0.5, 0.75),), Points.SEVERAL),
        (("float32",), ((BELOW, 0.1),), Points.BESIDE),
        (("float32",), ((16777217.0, 16777217.0),), Points.BESIDE),
        (("float32",), ((16777216.5, 16777217.5),), Points.NONE),
        (("float32",), ((1e39, 1e39),), Points.NONE),
        (("float64",), ((BELOW, 0.1),), Points.SEVERAL),
        (("int64",), ((3.0, 3.0),), Points.ONE),
        (("int64",), ((0.25, 0.25),), Points.NONE),
        (("float32", "float32"), ((BELOW, 0.1), (0.0, 1.0)), Points.SEVERAL),
        (("float32", "float32"), ((BELOW, 0.1), (0.5, 0.5)), Points.BESIDE),
        (("float32", "float32"), ((16777216.5, 16777217.5), (0.0, 1.0)), Points.NONE),
        (("float16", "float64"), ((2049.0, 2049.0), (2049.0, 2049.0)), Points.BESIDE),
        (("float8_e4m3fn",), ((0.5, 0.75),), Points.SEVERAL),
    ],
)
def test_points(types: tuple[str, ...], ends: tuple[tuple[float, float], ...], expected: Points) -> None:
    assert points_in(region(*ends), layout(*types)) is expected


def test_equal_inputs_of_several_models_are_one() -> None:
    found = points_in(region((16777216.5, 16777217.5)), layout("float32", "float32", columns=(0, 0)))
    assert found is Points.NONE
