# SPDX-License-Identifier: Apache-2.0
"""Boxes of whole numbers are cut between two of them, until each holds one."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vnnverify import Clause, Query
from vnnverify.bounds.specification import Specification
from vnnverify.domains import interval
from vnnverify.search import BoxBounds, InputSplit
from vnnverify.search.whole import WholeInputs
from vnnverify.testing import Network, box, context, halfspaces, query_of

MIXED = WholeInputs(torch.tensor([True, False]), True)


def of(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


@given(st.integers(-(2**40), 2**40), st.integers(0, 2**40), st.sampled_from([torch.float32, torch.float64]))
def test_the_parts_of_a_box_hold_all_of_its_whole_numbers(low: int, width: int, dtype: torch.dtype) -> None:
    lower, upper = (of(float(end), float(end)).to(dtype) for end in (low, low + width))
    below, above = MIXED.cut(lower, upper)
    if bool(MIXED.divisible(lower, upper)[0, 0]):
        first, last = float(below[0, 0]), float(above[0, 0])
        assert float(lower[0, 0]) <= first < float(upper[0, 0])
        assert float(lower[0, 0]) < last <= float(upper[0, 0])
        assert last - first <= 1  # nothing whole lies between the parts
        assert first == int(first) and last == int(last)
    elif abs(low) + width < 2**22:
        assert width == 0
    assert float(below[0, 1]) == float(above[0, 1])


def test_boxes_shrink_to_whole_ends() -> None:
    lower, upper = MIXED.shrunk(of(0.5, 0.5), of(2.5, 2.5))
    assert lower.tolist() == [[1.0, 0.5]] and upper.tolist() == [[2.0, 2.5]]
    lower, upper = MIXED.shrunk(of(0.25, 0.25), of(0.75, 0.75))
    assert lower[0, 0] > upper[0, 0] and lower[0, 1] < upper[0, 1]


class Intervals:
    """Interval margins; notes the boxes it is asked about."""

    def __init__(self, query: Query) -> None:
        self.graph = query.graph.to("cpu", torch.float32)
        self.asked: list[Tensor] = []

    def bound(self, lower: Tensor, upper: Tensor, spec: Specification, memory: Tensor | None) -> BoxBounds:
        self.asked.append(torch.stack([lower, upper], dim=1))
        found = interval.bounds_of_values(self.graph, lower, upper)
        low, high = (self.graph.join_outputs({v: found[v][k] for v in self.graph.outputs}) for k in (0, 1))
        spec = spec.as_type(lower.dtype)
        least = spec.C.clamp(min=0) @ low[:, :, None] + spec.C.clamp(max=0) @ high[:, :, None]
        return BoxBounds(least[:, :, 0] - spec.d)


@pytest.mark.parametrize(("limit", "open_"), [(0.45, False), (0.55, True)])
def test_whole_numbers_are_told_apart_beside_a_real_input(limit: float, open_: bool) -> None:
    """y = |x_0 − 1/2| + |x_1|/1024 for whole x_0 is 1/2 at least, and 0 over the reals."""
    hinges = ([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0009765625], [0.0, -0.0009765625]], [-0.5, 0.5, 0.0, 0.0])
    network = Network.of(hinges, ([[1.0, 1.0, 1.0, 1.0]], [0.0]))
    query = query_of(network.to_onnx(), [Clause(box([-40, -1], [41, 1]), (halfspaces(((1.0,), limit)),))])
    first, second = (
        dataclasses.replace(query.layout.inputs[0], shape=(1, 1), dtype=k) for k in ("int64", "float32")
    )
    query = dataclasses.replace(query, layout=dataclasses.replace(query.layout, inputs=(first, second)))
    bounder = Intervals(query)
    ctx = dataclasses.replace(context(query), confirm=lambda x: False)
    found = InputSplit(query, bounder, ctx, max_splits=2000).run()
    assert bool(found.open_clauses) is open_
    ends = torch.cat(bounder.asked)[:, :, 0]
    assert bool((ends == ends.round()).all())
