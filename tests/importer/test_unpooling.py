# SPDX-License-Identifier: Apache-2.0
"""MaxUnpool with constant places and with those of a MaxPool; positions of maxima; products along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from single_node import OneNode, check_bounds, check_values, run_onnxruntime

from vnnverify.domains.interval import bounds
from vnnverify.errors import ModelError, UnsupportedModelError
from vnnverify.importer import read_model
from vnnverify.query import Box

PLACES = np.array([5, 7, 13, 5], np.int64).reshape(1, 1, 2, 2)
SQUARE = {"kernel_shape": [2, 2], "strides": [2, 2]}


def pooled(shape: tuple[int, ...], pool: dict[str, Any], unpool: dict[str, Any], *, indices: bool) -> bytes:
    """MaxPool and then MaxUnpool of twice its maxima, or with `indices` the positions themselves."""
    nodes = [helper.make_node("MaxPool", ["x"], ["m", "i"], "pool", **pool)]
    if indices:
        nodes.append(helper.make_node("Cast", ["i"], ["y"], to=TensorProto.FLOAT))
    else:
        nodes.append(helper.make_node("Add", ["m", "m"], ["d"]))
        nodes.append(helper.make_node("MaxUnpool", ["d", "i"], ["y"], "unpool", **unpool))
    graph = helper.make_graph(
        nodes,
        "pooled",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * len(shape))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return bytes(model.SerializeToString())


WINDOWS = [
    ((1, 2, 4, 6), SQUARE, SQUARE),
    ((1, 1, 5, 5), {**SQUARE, "pads": [1, 1, 0, 0]}, {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ((2, 1, 6), {"kernel_shape": [2], "strides": [3]}, {"kernel_shape": [3], "strides": [3]}),
    ((2, 2, 4, 6), {**SQUARE, "storage_order": 1}, SQUARE),
    ((1, 1, 3, 3), {"kernel_shape": [1, 1]}, {"kernel_shape": [1, 1]}),
]


@pytest.mark.parametrize("indices", [False, True])
@pytest.mark.parametrize(("shape", "pool", "unpool"), WINDOWS)
def test_maxima_are_put_back(
    shape: tuple[int, ...], pool: dict[str, Any], unpool: dict[str, Any], indices: bool
) -> None:
    data = pooled(shape, pool, unpool, indices=indices)
    graph = read_model(data).graph
    n = int(np.prod(shape))
    x = torch.randint(-3, 4, (40, n), generator=torch.Generator().manual_seed(1)).double() / 2  # many ties
    np.testing.assert_array_equal(graph(x).numpy(), run_onnxruntime(data, x))
    low, high = bounds(graph, Box(x[0] - 0.7, x[0] + 0.7))
    near = x[0] + 1.4 * torch.rand(200, n, generator=torch.Generator().manual_seed(2)) - 0.7
    y = run_onnxruntime(data, near)
    assert (y >= low.numpy() - 1e-5).all()
    assert (y <= high.numpy() + 1e-5).all()


def test_places_of_surely_largest_elements_are_known() -> None:
    data = pooled((1, 1, 2, 2), SQUARE, SQUARE, indices=False)
    lower = torch.tensor([0.0, 0.0, 3.0, 0.0], dtype=torch.float64)
    low, high = bounds(read_model(data).graph, Box(lower, lower + 1))
    torch.testing.assert_close(low, lower.new_tensor([0, 0, 6, 0]), rtol=0, atol=1e-9)
    torch.testing.assert_close(high, lower.new_tensor([0, 0, 8, 0]), rtol=0, atol=1e-9)


CONSTANT = [
    OneNode("MaxUnpool", ((1, 1, 2, 2), PLACES), attributes=SQUARE),
    OneNode("MaxUnpool", ((1, 1, 2, 2), PLACES, np.array([1, 1, 4, 4])), attributes=SQUARE),
    OneNode(
        "MaxUnpool", ((1, 1, 2, 2), PLACES + 4), attributes={"kernel_shape": [3, 3], "pads": [0, 0, -1, -1]}
    ),
]


@pytest.mark.parametrize("one", CONSTANT, ids=str)
def test_constant_places(one: OneNode) -> None:
    check_values(one, exact=True)
    check_bounds(one)


@pytest.mark.parametrize(
    ("one", "kind", "text"),
    [
        (OneNode("MaxUnpool", ((1, 1, 2, 2), PLACES + 9), attributes=SQUARE), ModelError, "places outside"),
        (OneNode("MaxUnpool", ((1, 1, 2, 3), PLACES), attributes=SQUARE), ModelError, "places of shape"),
        (
            OneNode("MaxUnpool", ((1, 1, 2, 2), (1, 1, 2, 2)), attributes=SQUARE, cast="int64"),
            UnsupportedModelError,
            "places that no MaxPool of the model tells",
        ),
        (
            OneNode(
                "MaxPool",
                ((1, 1, 2, 2, 2),),
                attributes={"kernel_shape": [2, 2, 2], "storage_order": 1},
                outputs=2,
            ),
            UnsupportedModelError,
            "column-major",
        ),
        (
            OneNode("MaxUnpool", ((1, 1, 2, 2), PLACES, np.array([1, 1, 5, 5])), attributes=SQUARE),
            UnsupportedModelError,
            "read in two ways",
        ),
        (
            OneNode("CumProd", ((1, 300), np.array(1)), opset=26),
            UnsupportedModelError,
            "more than 256 elements",
        ),
        (
            OneNode("CumProd", ((2, 3), np.array(1)), opset=26, cast="int64"),
            UnsupportedModelError,
            "may overflow",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_refused(one: OneNode, kind: type[ModelError], text: str) -> None:
    with pytest.raises(ModelError, match=text) as caught:
        one.model  # noqa: B018
    assert type(caught.value) is kind


def test_windows_that_overlap_are_refused() -> None:
    data = pooled((1, 1, 4, 4), {"kernel_shape": [3, 3]}, {"kernel_shape": [3, 3]}, indices=False)
    with pytest.raises(
        UnsupportedModelError, match=r"node 'unpool' .MaxUnpool.: places from windows that overlap"
    ):
        read_model(data)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
def test_cumulative_products(axis: int, exclusive: int, reverse: int) -> None:
    one = OneNode(
        "CumProd", ((2, 3), np.array(axis)), opset=26, attributes={"exclusive": exclusive, "reverse": reverse}
    )
    check_values(one)
    check_bounds(one)
