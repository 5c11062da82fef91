# SPDX-License-Identifier: Apache-2.0
"""Positions of the largest of a softmax, which are those of the largest of what it is the softmax of."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest
from onnx import TensorProto, helper

from vnnverify.importer import Model

Build, Tried = Callable[..., onnx.ModelProto], Callable[..., Model]


def segmented(build: Build, op: str, softmax: int, argmax: int, channels: int) -> onnx.ModelProto:
    """Scores (1, channels, 3, 4) with the channels last, their softmax along an axis, and back again."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 2, 1]),
        helper.make_node("Softmax", ["t"], ["p"], axis=softmax),
        helper.make_node("Transpose", ["p"], ["b"], perm=[0, 3, 2, 1]),
        helper.make_node(op, ["b"], ["m"], axis=argmax, keepdims=0),
        helper.make_node("Cast", ["m"], ["y"], to=TensorProto.FLOAT),
    ]
    shape = [1, channels, 3, 4]
    return build(nodes, {"x": shape}, {"y": shape[:argmax] + shape[argmax + 1 :]})


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("channels", [2, 5])
def test_a_softmax_along_the_same_axis_is_left_out(
    build: Build, tried: Tried, op: str, channels: int
) -> None:
    found = tried(segmented(build, op, 3, 1, channels))
    assert "Softmax" not in {node.op.kind for node in found.graph.nodes}


def test_a_softmax_along_another_axis_stays(build: Build, tried: Tried) -> None:
    found = tried(segmented(build, "ArgMax", 2, 1, 5))
    assert "Softmax" in {node.op.kind for node in found.graph.nodes}
