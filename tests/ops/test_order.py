# SPDX-License-Identifier: Apache-2.0
"""Ranks and computed positions: bounds by hand, and over samples with ties, points and huge boxes."""

from __future__ import annotations

import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from vnnverify.errors import ModelError
from vnnverify.importer import read_model
from vnnverify.ops.order import Pick, TopPlaces, TopValues

INF = float("inf")


def row(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float64)


def test_ranks_by_hand() -> None:
    """The first element is surely largest; the other two overlap."""
    box = row(5, 0, 1), row(6, 2, 3)
    assert [end.tolist() for end in TopValues(0, 2).enclosure(box)] == [[[5, 1]], [[6, 3]]]
    assert [end.tolist() for end in TopPlaces(0, 2).enclosure(box)] == [[[0, 1]], [[0, 2]]]


def test_the_hull_of_what_may_be_picked() -> None:
    x = row(3, -1, 7).reshape(1, 1, 3, 1)
    for first, last, low, high in (
        (0, 1, -1, 3),
        (-1, -1, 7, 7),
        (-1, 0, 3, 7),
        (0.9, 2.1, -1, 7),
        (0.2, 0.8, -1, 3),
    ):
        ends = (torch.full((1, 1, 1, 1), end, dtype=torch.float64) for end in (first, last))
        found = Pick().enclosure((x, x), tuple(ends))  # type: ignore[arg-type]
        assert [end.item() for end in found] == [low, high]


@pytest.mark.parametrize(("first", "last"), [(1, 3), (-4, 0), (-INF, INF)])
def test_nothing_is_known_of_positions_outside(first: float, last: float) -> None:
    x = torch.zeros(1, 1, 3, 1, dtype=torch.float64)
    ends = (torch.full((1, 1, 1, 1), end, dtype=torch.float64) for end in (first, last))
    found = Pick().enclosure((x, x), tuple(ends))  # type: ignore[arg-type]
    assert [end.item() for end in found] == [-INF, INF]


@pytest.mark.parametrize("radius", [0.0, 0.4, 3.0, 1e6])
def test_ranks_over_samples(radius: float) -> None:
    generator = torch.Generator().manual_seed(2)
    centre = torch.randint(-2, 3, (1, 6), generator=generator).double()
    x = centre + radius * (2 * torch.rand(500, 6, generator=generator, dtype=torch.float64) - 1)
    x[::2] = x[::2].round().clamp(centre - radius, centre + radius)  # ties
    for op in (TopValues(0, 6), TopPlaces(0, 6)):
        low, high = op.enclosure((centre - radius, centre + radius))
        assert bool(((low <= op(x)) & (op(x) <= high)).all())


def test_an_unknown_end_hides_no_rank() -> None:
    assert [end.tolist() for end in TopValues(0, 1).enclosure((row(-INF, -INF), row(INF, 0)))] == [
        [[-INF]],
        [[INF]],
    ]
    low, high = TopValues(0, 2).enclosure((row(float("nan"), 0), row(1, float("nan"))))
    assert low.tolist() == [[0, -INF]]
    assert high.tolist() == [[INF, 1]]


@pytest.mark.parametrize(
    ("attributes", "count", "why"),
    [({"sorted": 0}, 2, "left to the runtime .sorted=0. is not supported"), ({}, 5, "asks for 5 of 4")],
)
def test_refusals(attributes: dict[str, int], count: int, why: str) -> None:
    node = helper.make_node("TopK", ["x", "k"], ["y", "i"], name="top", **attributes)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (4,))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None])],
        [numpy_helper.from_array(torch.tensor([count]).numpy(), "k")],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    with pytest.raises(ModelError, match=f"node 'top' .TopK.: .*{why}"):
        read_model(proto.SerializeToString())
