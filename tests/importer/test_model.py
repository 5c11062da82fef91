# SPDX-License-Identifier: Apache-2.0
"""Models of many dialects load, and compute what onnxruntime computes."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from vnnverify.guard.agreement import check_against_onnxruntime
from vnnverify.importer import Model, NodeView, Operand, load_model, read_model
from vnnverify.importer.census import unsupported_operators
from vnnverify.ops.piecewise import Relu
from vnnverify.plugin.hookspecs import OperatorInfo

Build = Callable[..., onnx.ModelProto]
RNG = np.random.default_rng(3)


def weights(*shape: int) -> np.ndarray:
    return RNG.uniform(-1, 1, shape).astype(np.float32)


def difference(model: Model, seed: int = 0) -> float:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(3, model.graph.input_size, generator=generator, dtype=torch.float64)
    return check_against_onnxruntime(model, x)


def dense(build: Build, **more: Any) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["y"]),
    ]
    constants = {"w": weights(4, 3), "b": weights(4)}
    return build(nodes, {"x": ["batch", 3]}, {"y": ["batch", 4]}, constants, **more)


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 15, 17, 19, 21, 22])
def test_opsets(build: Build, opset: int) -> None:
    model = read_model(dense(build, opset=opset, ir_version=10).SerializeToString())
    assert [n.op.kind for n in model.graph.nodes] == ["Linear", "Relu"]
    assert model.layout.inputs[0].shape == (1, 3)
    assert difference(model) < 1e-6


def test_initializers_among_the_inputs(build: Build) -> None:
    model = read_model(dense(build, listed=True, ir_version=3, opset=8).SerializeToString())
    assert [spec.name for spec in model.layout.inputs] == ["x"]
    assert difference(model) < 1e-6


@pytest.mark.parametrize(
    ("kind", "dtype"), [(TensorProto.DOUBLE, np.float64), (TensorProto.FLOAT16, np.float16)]
)
def test_other_float_types_are_computed_in_float64(build: Build, kind: int, dtype: Any) -> None:
    proto = build(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        {"x": [2, 3]},
        {"y": [2, 4]},
        {"w": weights(3, 4).astype(dtype)},
        kind=kind,
    )
    model = read_model(proto.SerializeToString())
    (node,) = model.graph.nodes
    assert node.op.weight.dtype == torch.float64
    assert model.layout.inputs[0].dtype == np.dtype(dtype).name
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-8, 8, (3, 6), generator=generator).double() / 8  # exact in float16
    assert check_against_onnxruntime(model, x) < 1e-2


@pytest.mark.parametrize("shape", [(), (5,), (1,), (1, 5), (1, 1, 1, 5)])
def test_ranks_without_a_batch_axis(build: Build, shape: tuple[int, ...]) -> None:
    nodes = [helper.make_node("Add", ["x", "one"], ["h"]), helper.make_node("Abs", ["h"], ["y"])]
    proto = build(nodes, {"x": shape}, {"y": shape}, {"one": np.ones((), np.float32)})
    model = read_model(proto.SerializeToString())
    assert model.graph.outputs[0].shape == shape
    assert difference(model) < 1e-6


@pytest.mark.parametrize("axis", ["N", 0, -1])
def test_unknown_axes_count_one(build: Build, axis: Any) -> None:
    proto = dense(build)
    dim = proto.graph.input[0].type.tensor_type.shape.dim[0]
    dim.Clear()
    if isinstance(axis, str):
        dim.dim_param = axis
    else:
        dim.dim_value = axis
    assert read_model(proto.SerializeToString()).graph.inputs[0].shape == (1, 3)


def test_unsorted_nodes_are_sorted(build: Build) -> None:
    proto = dense(build)
    nodes = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend(reversed(nodes))
    assert [n.op.kind for n in read_model(proto.SerializeToString()).graph.nodes] == ["Linear", "Relu"]


def test_shape_arithmetic_vanishes(build: Build) -> None:
    """What exporters write for x.view(x.size(0), -1), and for a mask of the shape of x."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"], axis=0),
        helper.make_node("Unsqueeze", ["n", "axes"], ["n1"]),
        helper.make_node("Concat", ["n1", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["x", "shape"], ["flat"]),
        helper.make_node("Size", ["x"], ["count"]),
        helper.make_node("Range", ["zero", "count", "one"], ["places"]),
        helper.make_node("Cast", ["places"], ["ramp"], to=TensorProto.FLOAT),
        helper.make_node("ConstantOfShape", ["one_axis"], ["blank"]),
        helper.make_node("Equal", ["ramp", "blank"], ["first"]),
        helper.make_node("Where", ["first", "ramp", "blank"], ["mask"]),
        helper.make_node("Add", ["ramp", "mask"], ["shift"]),
        helper.make_node("Add", ["flat", "shift"], ["y"]),
    ]
    constants = {
        "zero": np.array(0),
        "one": np.array(1),
        "axes": np.array([0]),
        "rest": np.array([-1]),
        "one_axis": np.array([12]),
    }
    proto = build(nodes, {"x": ["N", 3, 4]}, {"y": ["N", 12]}, constants)
    model = read_model(proto.SerializeToString())
    assert [n.op.kind for n in model.graph.nodes] == ["Reshape", "Scale"]
    x = torch.zeros(1, 12, dtype=torch.float64)
    torch.testing.assert_close(model.graph(x)[0], torch.arange(12, dtype=torch.float64))


def test_several_inputs_and_outputs_keep_their_order(build: Build) -> None:
    nodes = [helper.make_node("Sub", ["b", "a"], ["d"]), helper.make_node("Neg", ["a"], ["m"])]
    proto = build(nodes, {"a": [1, 2], "b": [1, 2]}, {"d": [1, 2], "m": [1, 2]})
    model = read_model(proto.SerializeToString())
    x = torch.tensor([[1.0, 2.0, 10.0, 20.0]], dtype=torch.float64)
    assert model.graph(x).tolist() == [[9.0, 18.0, -1.0, -2.0]]


def test_an_input_or_a_constant_may_be_an_output(build: Build) -> None:
    nodes = [helper.make_node("Identity", ["x"], ["same"]), helper.make_node("Identity", ["c"], ["k"])]
    proto = build(nodes, {"x": [1, 2]}, {"same": [1, 2], "k": [2]}, {"c": np.array([5, 6], np.float32)})
    model = read_model(proto.SerializeToString())
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    assert model.graph(x).tolist() == [[1.0, 2.0, 5.0, 6.0], [3.0, 4.0, 5.0, 6.0]]


def test_normalisation_is_fused_into_the_convolution(build: Build) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["h", "g", "b", "m", "v"], ["n"]),
        helper.make_node("Relu", ["n"], ["y"]),
    ]
    constants = {
        "w": weights(4, 2, 3, 3),
        "g": weights(4),
        "b": weights(4),
        "m": weights(4),
        "v": np.abs(weights(4)) + 0.1,
    }
    proto = build(nodes, {"x": [1, 2, 5, 5]}, {"y": [1, 4, 5, 5]}, constants)
    model = read_model(proto.SerializeToString())
    assert [n.op.kind for n in model.graph.nodes] == ["Conv", "Relu"]
    assert difference(model) < 1e-5


def test_gzip_is_read_as_it_is(build: Build, tmp_path: Path) -> None:
    data = dense(build).SerializeToString()
    (tmp_path / "net.onnx.gz").write_bytes(gzip.compress(data))
    model = load_model(str(tmp_path / "net.onnx.gz"))
    assert model.data == data
    assert model.path.endswith("net.onnx.gz")


def read_halved(node: NodeView) -> Operand:
    return node.add(Relu(), node.variable())


def test_plugins_bring_operators(build: Build) -> None:
    proto = build(
        [helper.make_node("Ramp", ["x"], ["y"], domain="strange")],
        {"x": [1, 2]},
        {"y": [1, 2]},
        opsets=[helper.make_opsetid("strange", 2)],
    )
    data = proto.SerializeToString()
    late = OperatorInfo("Ramp", 3, lambda: read_halved, domain="strange")
    fits = OperatorInfo("Ramp", 2, lambda: read_halved, domain="strange")
    assert unsupported_operators(data) == {"strange.Ramp": 1}
    assert unsupported_operators(data, [late]) == {"strange.Ramp": 1}
    assert unsupported_operators(data, [late, fits]) == {}
    model = read_model(data, operators=[late, fits])
    assert [n.op.kind for n in model.graph.nodes] == ["Relu"]


def test_constants_in_every_form(build: Build) -> None:
    tensor = numpy_helper.from_array(np.array([1, 2], np.float32))
    nodes = [
        helper.make_node("Constant", [], ["a"], value=tensor),
        helper.make_node("Constant", [], ["b"], value_floats=[10.0, 20.0]),
        helper.make_node("Constant", [], ["c"], value_float=100.0),
        helper.make_node("Sum", ["x", "a", "b", "c"], ["y"]),
    ]
    model = read_model(build(nodes, {"x": [1, 2]}, {"y": [1, 2]}).SerializeToString())
    assert model.graph(torch.zeros(1, 2, dtype=torch.float64)).tolist() == [[111.0, 122.0]]


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.DOUBLE])
def test_what_is_constant_of_any_input_keeps_its_type(build: Build, dtype: int) -> None:
    """x^0 is one, and what follows takes numbers of x's type only."""
    kind = helper.tensor_dtype_to_np_dtype(dtype)
    nodes = [
        helper.make_node("Pow", ["x", "zero"], ["one"]),
        helper.make_node("Greater", ["one", "half"], ["more"]),
        helper.make_node("Cast", ["more"], ["m"], to=dtype),
        helper.make_node("Add", ["x", "m"], ["y"]),
    ]
    constants = {"zero": np.array(0, kind), "half": np.array([0.5], kind)}
    data = build(nodes, {"x": [1, 2]}, {"y": [1, 2]}, constants, kind=dtype).SerializeToString()
    assert read_model(data).graph(torch.zeros(1, 2, dtype=torch.float64)).tolist() == [[1.0, 1.0]]
