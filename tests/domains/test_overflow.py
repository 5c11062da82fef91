# SPDX-License-Identifier: Apache-2.0
"""Intervals with infinite ends, and numbers that overflow on the way to a small result."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vnnverify.domains import interval
from vnnverify.ir import Graph
from vnnverify.ops.linear import Linear
from vnnverify.ops.sums import Sum
from vnnverify.query import Box, Clause, Polytope
from vnnverify.testing import check_overflow
from vnnverify.testing.operator_cases import single

NAN, INF = float("nan"), float("inf")


def bounds(graph: Graph, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    found = interval.bounds_of_values(graph, lower, upper)
    low, high = (graph.join_outputs({v: found[v][end] for v in graph.outputs}) for end in (0, 1))
    return low, high


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_intervals_hold_over_huge_boxes(dtype: torch.dtype) -> None:
    records = check_overflow(bounds, dtype, name="intervals")
    assert sum(record.status == "passed" for record in records) > 50


@pytest.mark.parametrize("kind", ["matrix", "sum"])
def test_a_sum_that_overflows_on_the_way_says_nothing(kind: str) -> None:
    """3e38 + 3e38 − 3e38 − 3e38 is zero, though float32 makes infinity of it."""
    if kind == "matrix":
        graph = single(Linear(torch.tensor([[1.0, 1.0, -1.0, -1.0]], dtype=torch.float64)), (4,))
    else:
        graph = single(Sum((1, 1, -1, -1)), (1,), (1,), (1,), (1,))
    ends = torch.full((1, 4), 3e38)
    low, high = bounds(graph.to("cpu", torch.float32), ends, ends)
    assert not bool((low > 0).any()) and not bool((high < 0).any())


@pytest.mark.parametrize(
    ("lower", "upper"),
    [(NAN, NAN), (NAN, 5.0), (-INF, INF), (INF, INF), (0.0, NAN), (-INF, NAN), (NAN, INF)],
)
@pytest.mark.parametrize("row", [1.0, -1.0, 0.0])
def test_outputs_of_which_nothing_is_known_exclude_nothing(lower: float, upper: float, row: float) -> None:
    point = torch.zeros(1, dtype=torch.float64)
    unsafe = Polytope.of(torch.tensor([[row]], dtype=torch.float64), torch.tensor([0.5]))
    known = (torch.tensor([end], dtype=torch.float64) for end in (lower, upper))
    assert not Clause(Box(point, point), (unsafe,)).excluded_by(*known)


def test_samples_of_the_largest_boxes_are_finite_and_inside() -> None:
    most = torch.finfo(torch.float64).max
    lower = torch.tensor([-most, -INF, 0.0, most, -1.0], dtype=torch.float64)
    upper = torch.tensor([most, INF, most, most, 1.0], dtype=torch.float64)
    region = Box(lower, upper)
    x = region.sample(500, torch.Generator().manual_seed(0))
    assert bool(torch.isfinite(x).all()) and bool(region.contains(x).all())
    assert bool((x[:, 0] < 0).any()) and bool((x[:, 0] > most / 2).any()) and x[:, 1].unique().numel() > 400
