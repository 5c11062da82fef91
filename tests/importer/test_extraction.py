# SPDX-License-Identifier: Apache-2.0
"""Models are taken apart into models of their own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from vnnverify.errors import ModelError
from vnnverify.importer.extraction import Parts

Build = Callable[..., onnx.ModelProto]


@pytest.fixture
def parts(build: Build) -> Parts:
    """x (n, 3) → a = relu(x); s = the shape of a; i = a in whole numbers, j = i; y = j in floats · W."""
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="first"),
        helper.make_node("Shape", ["a"], ["s"], name="shape"),
        helper.make_node("Reshape", ["a", "s"], ["r"], name="same"),
        helper.make_node("Cast", ["r"], ["i"], to=TensorProto.INT64),
        helper.make_node("Cast", ["i"], ["f"], to=TensorProto.FLOAT, name="back"),
        helper.make_node("MatMul", ["f", "W"], ["y"], name="last"),
    ]
    model = build(nodes, {"x": ["n", 3]}, {"y": ["n", 2]}, {"W": np.ones((3, 2), np.float32)})
    return Parts(model.SerializeToString())


def test_every_node_has_a_name_and_axes_are_one(parts: Parts) -> None:
    assert parts.names == ["first", "shape", "same", "Cast_3", "back", "last"]
    whole = onnx.load_model_from_string(parts.whole)
    assert [d.dim_value for d in whole.graph.input[0].type.tensor_type.shape.dim] == [1, 3]
    assert parts.index("back") == 4
    with pytest.raises(ModelError, match="no node is called 'lost'; there are: 'first', 'shape'"):
        parts.index("lost")


def test_what_leads_to_what(parts: Parts) -> None:
    assert parts.makers([5]) == {4}
    assert parts.makers([2]) == {0, 1}
    assert parts.before(["r"]) == {0, 1, 2}
    assert parts.before(["x"]) == frozenset()


def test_shapes_and_whole_numbers_are_not_cut_off(parts: Parts) -> None:
    """The shape of a is constant; what is cast back comes in whole numbers."""
    assert parts.closed([2]) == {1, 2}
    assert parts.closed([4]) == {3, 4}
    assert parts.closed([5]) == {5}


def test_ends_of_a_part(parts: Parts) -> None:
    assert parts.inputs_of([3, 4]) == ["r"]
    assert parts.outputs_of([3, 4]) == ["f"]
    assert parts.inputs_of([5]) == ["f"]  # the constant is none
    assert parts.inputs_of([]) == ["x"]
    assert parts.shapes(["x", "a"]) == [((1, 3), np.dtype(np.float32))] * 2


def test_a_part_is_a_model(parts: Parts) -> None:
    data = parts.model([4, 5], parts.outputs_of([4, 5]), {"i": np.zeros((1, 3), np.int64)})
    model = onnx.load_model_from_string(data)
    onnx.checker.check_model(model)
    assert [node.name for node in model.graph.node] == ["back", "last"]
    assert [v.name for v in (*model.graph.input, *model.graph.output)] == ["i", "y"]
    assert [t.name for t in model.graph.initializer] == ["W"]


def test_what_onnxruntime_sees(parts: Parts) -> None:
    x = np.array([[-1.5, 1.5, 2.5]], np.float32)
    (seen,) = parts.observed(range(6), ["x", "a", "i", "y"], [{"x": x}])
    assert seen["x"] is x
    assert seen["a"].tolist() == [[0, 1.5, 2.5]]
    assert seen["i"].tolist() == [[0, 1, 2]]
    assert seen["y"].tolist() == [[3, 3]]
    assert parts.observed(range(6), ["y"], [{"z": x}]) == []  # it lacks its input
