# SPDX-License-Identifier: Apache-2.0
"""Scores masked by minus infinity: a softmax of the others alone."""

from __future__ import annotations

from collections.abc import Callable
from math import exp

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from vnnverify.importer import Model, read_model

Build, Tried = Callable[..., onnx.ModelProto], Callable[..., Model]
CAUSAL = np.triu(np.full((3, 3), -np.inf, np.float32), 1)
X, Y = {"x": [2, 3, 3]}, {"y": [2, 3, 3]}


def added(build: Build, mask: np.ndarray, *, axis: int = -1, op: str = "Softmax") -> onnx.ModelProto:
    nodes = [helper.make_node("Add", ["x", "m"], ["s"]), helper.make_node(op, ["s"], ["y"], axis=axis)]
    return build(nodes, X, Y, {"m": mask})


def chosen(build: Build, mask: np.ndarray) -> onnx.ModelProto:
    """By Where, with another shape between the mask and the softmax."""
    nodes = [
        helper.make_node("Where", ["c", "x", "i"], ["s"]),
        helper.make_node("Reshape", ["s", "rows"], ["r"]),
        helper.make_node("Softmax", ["r"], ["p"]),
        helper.make_node("Reshape", ["p", "back"], ["y"]),
    ]
    shapes = {"rows": np.array([6, 3]), "back": np.array([2, 3, 3])}
    return build(nodes, X, Y, {"c": np.isfinite(mask), "i": np.float32(-np.inf), **shapes})


@pytest.mark.parametrize(
    "mask",
    [CAUSAL, CAUSAL[1:2], np.where(np.eye(3), np.float32(-np.inf), np.float32(0.5))],
    ids=["causal", "padding", "others"],
)
def test_masked_by_a_sum(build: Build, tried: Tried, mask: np.ndarray) -> None:
    found = tried(added(build, mask))
    assert {node.op.kind for node in found.graph.nodes} >= {"Softmax", "Select"}
    assert "Masked" not in {node.op.kind for node in found.graph.nodes}
    tried(added(build, mask.T.copy(), axis=1))


def test_masked_by_a_choice(build: Build, tried: Tried) -> None:
    found = tried(chosen(build, CAUSAL))
    assert "Masked" not in {node.op.kind for node in found.graph.nodes}


def test_by_hand(build: Build) -> None:
    """The first row sees one score, the second two, the third all."""
    graph = read_model(added(build, CAUSAL).SerializeToString()).graph
    y = graph(torch.tensor([[5.0, 7, 7, 1, 2, 7, 0, 0, 0] * 2], dtype=torch.float64)).reshape(2, 3, 3)
    expected = [[1, 0, 0], [1 / (1 + exp(1)), exp(1) / (1 + exp(1)), 0], [1 / 3] * 3]
    torch.testing.assert_close(y[1], torch.tensor(expected, dtype=torch.float64))


def test_a_row_without_scores_is_not_bounded(build: Build) -> None:
    """Its softmax is not a number, in onnxruntime too: nothing is known of it."""
    mask = CAUSAL.copy()
    mask[1] = -np.inf
    graph = read_model(added(build, mask).SerializeToString()).graph
    assert [node.op.kind for node in graph.nodes] == ["Masked", "Softmax"]
    assert bool(graph(torch.zeros(1, 18, dtype=torch.float64)).isnan().any())


def test_other_readers_of_masked_scores_see_infinity(build: Build) -> None:
    graph = read_model(added(build, CAUSAL, op="LogSoftmax").SerializeToString()).graph
    assert bool((graph(torch.zeros(1, 18, dtype=torch.float64)) == -float("inf")).any())
