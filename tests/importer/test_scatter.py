# SPDX-License-Identifier: Apache-2.0
"""Elements scattered to constant places, with every reduction, and updates of the same place."""

from __future__ import annotations

import numpy as np
import pytest
from single_node import OneNode, check_bounds, check_values

from vnnverify.errors import ModelError, UnsupportedModelError

REDUCTIONS = ("none", "add", "mul", "max", "min")


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).uniform(-2, 2, shape).astype(np.float32)


def elements(reduction: str, index: np.ndarray, axis: int, updates: object, data: object = (3, 4)) -> OneNode:
    given = {"axis": axis, **({} if reduction == "none" else {"reduction": reduction})}
    return OneNode("ScatterElements", (data, index, updates), attributes=given)


def nd(reduction: str, index: np.ndarray, updates: object, data: object = (3, 4)) -> OneNode:
    return OneNode("ScatterND", (data, index, updates), attributes={"reduction": reduction})


APART = ints(0, 2, 1, 1, 0, 2, 2, 1).reshape(2, 4)
SAME = ints(0, 0, -1, 0, 0, 0).reshape(2, 3)
CASES = [
    *(elements(r, APART, 0, (2, 4)) for r in REDUCTIONS),
    *(elements(r, SAME, -1, (2, 3)) for r in REDUCTIONS),
    *(elements(r, SAME, 1, numbers(2, 3)) for r in REDUCTIONS),
    *(elements(r, SAME, 1, (2, 3), numbers(3, 4)) for r in REDUCTIONS),
    *(nd(r, ints(2, -3).reshape(2, 1), (2, 4)) for r in REDUCTIONS),
    *(nd(r, ints(0, 1, 2, -1).reshape(2, 2), numbers(2)) for r in REDUCTIONS),
    *(nd(r, ints(0, 1, 0, 1, 2, 3, 0, 1).reshape(4, 2), (4,)) for r in REDUCTIONS[1:]),
    *(nd(r, ints(1, 1).reshape(2, 1), (2, 4)) for r in REDUCTIONS[1:]),
    OneNode("Scatter", ((3, 4), APART, (2, 4)), opset=9, attributes={"axis": 0}),
]


@pytest.mark.parametrize("one", CASES, ids=str)
def test_values_and_bounds_agree_with_onnxruntime(one: OneNode) -> None:
    check_values(one)
    check_bounds(one)


@pytest.mark.parametrize(
    ("one", "kind", "text"),
    [
        (nd("none", ints(1, 1).reshape(2, 1), (2, 4)), UnsupportedModelError, "left to the runtime"),
        (nd("mul", ints(0).reshape(1, 1), (1, 3)), ModelError, r"updates of shape \(1, 3\) for places of"),
        (nd("add", ints(3).reshape(1, 1), (1, 4)), ModelError, "out of bounds"),
        (nd("add", ints(0, 0, 0).reshape(1, 3), (1,)), ModelError, "3 indices for 2 axes"),
        (elements("max", ints(0, 1), 0, (2,)), ModelError, "places of 1 axes for 2 axes"),
        (
            OneNode(
                "ScatterND", ((3,), ints(0).reshape(1, 1), (1,)), attributes={"reduction": "mul"}, cast="int8"
            ),
            UnsupportedModelError,
            "arithmetic of int8, which may overflow",
        ),
        (
            nd("mul", ints(*([0] * 257)).reshape(257, 1), (257, 4)),
            UnsupportedModelError,
            "more than 256 updates",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_refused(one: OneNode, kind: type[ModelError], text: str) -> None:
    with pytest.raises(ModelError, match=text) as caught:
        one.model  # noqa: B018
    assert type(caught.value) is kind
    assert "the_node" in str(caught.value)


def test_later_updates_win() -> None:
    one = elements("none", ints(0, 0).reshape(1, 2), 1, (1, 2), (1, 2))
    x = one.points(1)
    x[0] = x.new_tensor([1.0, 2.0, 3.0, 4.0])
    assert one.model.graph(x).tolist() == [[4.0, 2.0]]
