# SPDX-License-Identifier: Apache-2.0
"""QuantizeLinear and DequantizeLinear of every type, against onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from chains import chain, run
from onnx import TensorProto, helper

from vnnverify.domains import interval
from vnnverify.errors import ModelError
from vnnverify.importer import read_model

WHOLE = ("INT8", "UINT8", "INT16", "UINT16", "INT4", "UINT4")
BYTES = ("FLOAT8E4M3FN", "FLOAT8E5M2", "FLOAT8E4M3FNUZ", "FLOAT8E5M2FNUZ")
POINTS = np.array(
    [[-9000, -130.2, -8.4, -1.3, 0.13, 7.6], [1e9, 33.1, 4.4, 2.6, -0.2, 0], [0.3, 0.2, 0.4, -0.7, 2, 449]],
    np.float32,
)  # fmt: skip


def agreeing(model: onnx.ModelProto, points: np.ndarray = POINTS) -> None:
    graph = read_model(model.SerializeToString()).graph
    found = graph(torch.from_numpy(points).double()).numpy()
    expected = run(model, points)
    known = ~np.isnan(found)
    assert known.mean() >= 0.7
    np.testing.assert_allclose(found[known], expected[known], rtol=1e-6, atol=1e-6)


def there_and_back(
    kind: str, *, zero: float | None = None, named: bool = False, opset: int = 21, **more: Any
) -> onnx.ModelProto:
    number = getattr(TensorProto, kind)
    inputs = ["x", "s"] if zero is None else ["x", "s", "z"]
    if named:
        more["output_dtype"] = number
    nodes = [
        helper.make_node("QuantizeLinear", inputs, ["q"], **more),
        helper.make_node("DequantizeLinear", ["q", *inputs[1:]], ["y"]),
    ]
    constants: dict[str, Any] = {"s": np.array(0.25, np.float32)}
    if zero is not None:
        constants["z"] = helper.make_tensor("z", number, [], [zero])
    return chain(nodes, constants, opset=opset)


@pytest.mark.parametrize("kind", (*WHOLE, *BYTES))
def test_types_by_attribute(kind: str) -> None:
    agreeing(there_and_back(kind, named=True))


@pytest.mark.parametrize("kind", WHOLE)
def test_types_by_zero_point(kind: str) -> None:
    agreeing(there_and_back(kind, zero=3))


@pytest.mark.parametrize("kind", BYTES)
def test_floats_of_eight_bits(kind: str) -> None:
    agreeing(there_and_back(kind, zero=0.0))
    agreeing(there_and_back(kind, zero=0.0, saturate=0))


@pytest.mark.parametrize("opset", [10, 13, 19, 21])
def test_without_a_zero_point_it_is_bytes(opset: int) -> None:
    agreeing(there_and_back("UINT8", opset=opset))


@pytest.mark.parametrize("kind", ["INT8", "UINT4"])
@pytest.mark.parametrize("axis", [1, -1, 2])
def test_scales_of_blocks(kind: str, axis: int) -> None:
    shape, cut = (1, 3, 2), {1: (1, 2, 2), -1: (1, 3, 1), 2: (1, 3, 1)}[axis]
    rng = np.random.default_rng(1)
    scale = rng.uniform(0.05, 2, cut).astype(np.float32)
    number = getattr(TensorProto, kind)
    zero = helper.make_tensor("z", number, cut, rng.integers(0, 5, cut).reshape(-1).tolist())
    block = {"axis": axis, "block_size": 2}
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "s", "z"], ["q"], **block),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], **block),
        helper.make_node("Reshape", ["d", "flat"], ["y"]),
    ]
    constants = {"s": scale, "z": zero, "shape": np.array(shape), "flat": np.array([-1])}
    agreeing(chain(nodes, constants))


def test_a_block_scale_without_its_size_is_refused() -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "s"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s"], ["y"]),
    ]
    model = chain(nodes, {"s": np.ones((3, 1), np.float32), "shape": np.array([3, 2])})
    with pytest.raises(ModelError, match="without telling the size of a block"):
        read_model(model.SerializeToString())


@pytest.mark.parametrize("kind", ["INT8", "UINT8"])
def test_computed_scales_of_channels(kind: str) -> None:
    """Absolute values of other channels."""
    number = getattr(TensorProto, kind)
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["r"]),
        helper.make_node("ReduceMax", ["r"], ["m"], axes=[0], keepdims=0),
        helper.make_node("Abs", ["m"], ["a"]),
        helper.make_node("Add", ["a", "one"], ["s"]),
        helper.make_node("QuantizeLinear", ["r", "s", "z"], ["q"], axis=1),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], axis=1),
        helper.make_node("Reshape", ["d", "flat"], ["y"]),
    ]
    constants = {
        "shape": np.array([3, 2]),
        "flat": np.array([-1]),
        "one": np.array(0.5, np.float32),
        "z": helper.make_tensor("z", number, [2], [1, 2]),
    }
    agreeing(chain(nodes, constants, opset=17), np.array([[-3, 1.3, 0.2, 1.7, 7.7, 2.2]], np.float32))


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.FLOAT])
def test_back_to_another_float(kind: int) -> None:
    """In half precision the product is rounded."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s"], ["q"], output_dtype=TensorProto.INT8),
        helper.make_node("DequantizeLinear", ["q", "t"], ["h"]),
        helper.make_node("Cast", ["h"], ["y"], to=TensorProto.FLOAT),
    ]
    scale = helper.make_tensor("t", kind, [], [0.3])
    agreeing(chain(nodes, {"s": np.array(0.3, np.float32), "t": scale}))


def test_quantised_by_its_range() -> None:
    """In the middle between two bytes onnxruntime goes by its own roundings, which bounds hold for."""
    node = helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"])
    nodes = [
        node,
        helper.make_node("Cast", ["q"], ["a"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["z"], ["b"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["s", "zero"], ["c"]),
        helper.make_node("Unsqueeze", ["b", "zero"], ["d"]),
        helper.make_node("Concat", ["a", "c", "d"], ["y"], axis=0),
    ]
    model = chain(nodes, {"zero": np.array([0])})
    points = np.array(
        [[0, 2, -3, -2.5, 1.34, 0.5], [1, -1, 0.5, 0.2, 0, 0.1], [-1, -2, -5, -3, 0, -2], [3, 1, 2, 5, 7, 4]],
        np.float32,
    )  # fmt: skip
    graph = read_model(model.SerializeToString()).graph
    expected = torch.from_numpy(run(model, points))
    found = graph(torch.from_numpy(points).double())
    assert bool(((found - expected).abs() <= 2 + 1e-6).all())  # the zero point and the quotient may differ
    torch.testing.assert_close(found[2:], expected[2:], rtol=1e-6, atol=1e-6)
    box = torch.from_numpy(points).double()
    low, high = interval.bounds_of_values(graph, box - 1e-9, box + 1e-9)[graph.outputs[0]]
    assert bool(((low <= expected) & (expected <= high))[:, [0, 1, 2, 3, 4, 5, 7]].all())
    nothing = torch.zeros(1, 6, dtype=torch.float64)
    low, high = interval.bounds_of_values(graph, nothing, nothing)[graph.outputs[0]]
    assert bool((low[0, 6:7] <= 1).all() & (high[0, 6:7] >= 1).all())


@pytest.mark.parametrize("kind", ["INT8", "UINT8"])
def test_quotients_that_are_rounded_into_the_middle(kind: str) -> None:
    """0.15/0.1 in float32 is 1.5, though less over the reals: the even one of two is 2."""
    tenths = (np.arange(-6, 18) + np.float32(0.5)).astype(np.float32) * np.float32(0.1)
    points = tenths.reshape(-1, 6)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s"], ["q"], output_dtype=getattr(TensorProto, kind)),
        helper.make_node("Cast", ["q"], ["y"], to=TensorProto.FLOAT),
    ]
    model = chain(nodes, {"s": np.array(0.1, np.float32)})
    found = read_model(model.SerializeToString()).graph(torch.from_numpy(points).double()).numpy()
    np.testing.assert_array_equal(found, run(model, points))
