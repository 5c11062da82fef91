# SPDX-License-Identifier: Apache-2.0
"""Inputs of whole numbers and truth values, and quantised models in the ways they are exported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from vnnverify.guard.agreement import check_against_onnxruntime
from vnnverify.importer import Model, read_model

Build, Tried = Callable[..., onnx.ModelProto], Callable[..., Model]
BYTES = np.arange(-60, 60, 10, dtype=np.int8).reshape(4, 3)
RNG = np.random.default_rng(5)


def node(op: str, inputs: str, outputs: str, **more: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), outputs.split(), **more)


def cast_and_scaled(build: Build, kind: int) -> onnx.ModelProto:
    """Pixels cast to floats."""
    nodes = [
        node("Cast", "x", "f", to=TensorProto.FLOAT),
        node("Mul", "f s", "g"),
        node("MatMul", "g w", "y"),
    ]
    weight = RNG.normal(size=(4, 2)).astype(np.float32)
    model = build(nodes, {"x": [1, 4]}, {"y": [1, 2]}, {"s": np.float32(1 / 255), "w": weight})
    model.graph.input[0].type.tensor_type.elem_type = kind
    return model


def computed(build: Build) -> onnx.ModelProto:
    """(x + 2)·x of whole numbers, cast."""
    nodes = [node("Add", "x c", "a"), node("Mul", "a x", "b"), node("Cast", "b", "y", to=TensorProto.FLOAT)]
    model = build(nodes, {"x": [1, 4]}, {"y": [1, 4]}, {"c": np.array([2])})
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    return model


def embedded(build: Build) -> onnx.ModelProto:
    """Rows of a table at the input's places."""
    table = RNG.normal(size=(5, 2)).astype(np.float32)
    model = build([node("Gather", "e x", "y")], {"x": [1, 3]}, {"y": [1, 3, 2]}, {"e": table})
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    return model


@pytest.mark.parametrize("kind", [TensorProto.UINT8, TensorProto.INT32, TensorProto.BOOL])
def test_cast_inputs(build: Build, kind: int) -> None:
    model = read_model(cast_and_scaled(build, kind).SerializeToString())
    assert model.layout.inputs[0].dtype in ("uint8", "int32", "bool")
    x = torch.tensor([[0, 1, 1, 0], [1, 1, 0, 0]], dtype=torch.float64)
    assert check_against_onnxruntime(model, x) < 1e-6


def test_computed_with(build: Build) -> None:
    model = read_model(computed(build).SerializeToString())
    x = torch.tensor([[0, 1, -3, 7]], dtype=torch.float64)
    assert model.graph(x).tolist() == [[0, 3, 3, 63]]
    assert check_against_onnxruntime(model, x) == 0


def test_embedding_of_inputs(build: Build) -> None:
    model = read_model(embedded(build).SerializeToString())
    x = torch.tensor([[0, 4, -1]], dtype=torch.float64)
    assert check_against_onnxruntime(model, x) < 1e-7


def test_quantised_and_back(build: Build) -> None:
    """Weights and activations by pairs of QuantizeLinear and DequantizeLinear, of opset 13."""
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("DequantizeLinear", "w ws wz", "v", axis=1),
        node("MatMul", "d v", "y"),
    ]
    constants = {
        "s": np.float32(0.02),
        "z": np.uint8(128),
        "w": BYTES,
        "ws": np.array([0.01, 0.02, 0.03], np.float32),
        "wz": np.zeros(3, np.int8),
    }
    model = read_model(build(nodes, {"x": [1, 4]}, {"y": [1, 3]}, constants).SerializeToString())
    x = torch.tensor([[0.31, -0.52, 0.1, 0.9]], dtype=torch.float64)
    assert check_against_onnxruntime(model, x) < 1e-6


def test_quantised_as_it_goes(build: Build, tried: Tried) -> None:
    """By a scale that the input itself tells, as onnxruntime's dynamic quantisation does it."""
    nodes = [
        node("DynamicQuantizeLinear", "x", "q s z"),
        node("MatMulInteger", "q w z", "i"),
        node("Cast", "i", "f", to=TensorProto.FLOAT),
        node("Mul", "s ws", "m"),
        node("Mul", "f m", "y"),
    ]
    model = build(nodes, {"x": [1, 4]}, {"y": [1, 3]}, {"w": BYTES, "ws": np.float32(0.01)})
    found = tried(model, 0.001, low=0.2)
    assert any(node.op.kind == "NearestWhole" for node in found.graph.nodes)
