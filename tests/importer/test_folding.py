# SPDX-License-Identifier: Apache-2.0
"""Constants are what onnxruntime makes of them, without optimisation."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from chains import chain, run
from onnx import TensorProto, helper, numpy_helper

from vnnverify.errors import ModelError, UnsupportedModelError
from vnnverify.importer import read_model
from vnnverify.importer.folding import evaluate, fold

RNG = np.random.default_rng(2)
TABLE = RNG.normal(size=(2, 3, 4)).astype(np.float32)
IMAGE = RNG.normal(size=(1, 1, 5, 5)).astype(np.float32)
EDGES = np.array([-300.4, -128.5, -3.5, 0.5, 1.001, 260, 1e6], np.float32)


def made(op: str, *inputs: np.ndarray | None, opset: int = 13, **attributes: Any) -> list[np.ndarray]:
    names = [f"i{k}" if x is not None else "" for k, x in enumerate(inputs)]
    return evaluate(helper.make_node(op, names, ["o"], **attributes), list(inputs), opset, "here")


SOFT = ("Softmax", "LogSoftmax", "Hardmax")
CASES: list[tuple[str, int, dict[str, Any], list[np.ndarray]]] = [
    *((op, version, {"axis": axis}, [TABLE]) for op in SOFT for version in (7, 11, 13) for axis in (0, 1)),
    ("BatchNormalization", 9, {}, [IMAGE, *(np.array([v], np.float32) for v in (1, 0.5, 0.2, 2))]),
    ("LpNormalization", 13, {"axis": 1, "p": 1}, [np.zeros((2, 3), np.float32)]),
    ("MaxPool", 11, {"kernel_shape": [2, 2], "auto_pad": "SAME_LOWER", "strides": [2, 2]}, [IMAGE]),
    ("LpPool", 18, {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}, [IMAGE]),
    *(("Cast", 19, {"to": getattr(TensorProto, kind)}, [EDGES]) for kind in ("UINT8", "INT8", "INT32")),
    ("Sqrt", 13, {}, [np.abs(TABLE)]),
    ("Pow", 13, {}, [TABLE, np.array(3, np.int64)]),
]  # fmt: skip


@pytest.mark.parametrize(("op", "opset", "attributes", "inputs"), CASES)
def test_a_folded_node_is_what_the_model_computes(
    op: str, opset: int, attributes: dict[str, Any], inputs: list[np.ndarray]
) -> None:
    names = [f"c{k}" for k in range(len(inputs))]
    nodes = [
        helper.make_node(op, names, ["h"], name="folded", **attributes),
        helper.make_node("Cast", ["h"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "f"], ["y"]),
    ]
    model = chain(nodes, dict(zip(names, inputs, strict=True)), size=1, opset=opset)
    graph = read_model(model.SerializeToString()).graph
    assert all(node.name != "folded" for node in graph.nodes)
    points = np.array([[0.0], [0.5]], np.float32)
    found = graph(torch.from_numpy(points).double()).numpy()
    np.testing.assert_allclose(found, run(model, points), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "int32", "uint32", "int64"])
@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
def test_arithmetic_of_whole_numbers_is_onnxruntimes(op: str, kind: str) -> None:
    """That of numpy, which stands in for it, wraps alike."""
    ends = np.iinfo(kind)
    a = np.array([ends.min, ends.max, ends.max, 7, 100, 1 << 5], kind)
    b = np.array([ends.min, ends.max, 1, 5, 100, 1 << 4], kind)
    number = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    nodes = [helper.make_node(op, ["x", "b"], ["y"])]
    expected = run(chain(nodes, {"b": b}, kind=number, to=number, opset=14), a[None])
    np.testing.assert_array_equal(made(op, a, b, opset=14)[0].astype(np.float64), expected[0])


def test_types_that_numpy_lacks() -> None:
    (brain,) = made("Cast", EDGES, opset=21, to=TensorProto.BFLOAT16)
    assert brain.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(
        brain.astype(np.float32), EDGES.astype(ml_dtypes.bfloat16).astype(np.float32)
    )
    (back,) = made("Cast", brain, opset=21, to=TensorProto.FLOAT)
    assert back.dtype == np.float32
    four = np.array([-8, 7, 3], np.int8).astype(ml_dtypes.int4)
    (real,) = made("DequantizeLinear", four, np.array(0.5, np.float32), opset=21)
    assert real.tolist() == [-4.0, 3.5, 1.5]


def test_weights_of_four_bits_in_a_model() -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["f"]),
        helper.make_node("Mul", ["x", "f"], ["y"]),
    ]
    weight = helper.make_tensor("w", TensorProto.INT4, [6], [-8, 7, 3, -1, 0, 5])
    model = chain(nodes, {"w": weight, "s": np.array(0.25, np.float32)})
    graph = read_model(model.SerializeToString()).graph
    points = np.array([[1, 2, -3, 4, 5, 0.5]], np.float32)
    np.testing.assert_array_equal(graph(torch.from_numpy(points).double()).numpy(), run(model, points))


def test_wide_and_narrow_numbers_that_are_no_numbers_are_refused() -> None:
    bad = numpy_helper.from_array(np.array([np.nan], np.float32).astype(ml_dtypes.bfloat16), "c")
    nodes = [
        helper.make_node("Cast", ["c"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "f"], ["y"]),
    ]
    with pytest.raises(ModelError, match="'c' holds NaN or infinity"):
        read_model(chain(nodes, {"c": bad}).SerializeToString())


def test_what_onnxruntime_does_not_run_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="here: cannot be evaluated on its constants"):
        made("Resize", np.eye(4), None, np.array([1, 2], np.float32), mode="linear")


def test_a_huge_constant_is_not_made() -> None:
    node = helper.make_node("Expand", ["a", "b"], ["c"])
    with pytest.raises(ModelError, match="asks for a constant"):
        fold(node, [np.ones(1, np.float32), np.array([1 << 20, 1 << 20])], 13, "n")
