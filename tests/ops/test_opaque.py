# SPDX-License-Identifier: Apache-2.0
"""A model with an operator that has no reader runs as one black box."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from vnnverify.errors import UnsupportedModelError
from vnnverify.importer import Model, read_model, reading
from vnnverify.importer.opaque import Opaque, unread
from vnnverify.importer.registry import find_reader
from vnnverify.ir import Affine, Composite, Elementwise, Maximum

W = np.arange(6, dtype=np.float32).reshape(2, 3) / 4


@pytest.fixture(autouse=True)
def some_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nobody had written readers for two operators."""

    def find(domain: str, op_type: str, *rest: Any) -> Any:
        return None if op_type in ("LogSoftmax", "Hardmax") else find_reader(domain, op_type, *rest)

    monkeypatch.setattr(reading, "find_reader", find)
    monkeypatch.setattr(reading, "body_of", lambda *_: None)


def model_bytes(op: str, *, kind: int = TensorProto.FLOAT, domain: str = "", **attributes: object) -> bytes:
    """x (1, 2) -> x W -> op."""
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node(op, ["h"], ["y"], name="last", domain=domain, **attributes),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", kind, [1, 2])],
        [helper.make_tensor_value_info("y", kind, [1, 3])],
        [numpy_helper.from_array(W.astype(dtype), "w")],
    )
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("strange", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def opaque(data: bytes) -> tuple[Model, Opaque]:
    with pytest.raises(UnsupportedModelError, match="node 'last'"):
        read_model(data)
    model = read_model(data, opaque=True)
    (node,) = model.graph.nodes
    assert isinstance(node.op, Opaque)
    assert unread(model.graph).startswith("node 'last'") and "--backend" not in unread(model.graph)
    assert not isinstance(node.op, Affine | Composite | Elementwise | Maximum)
    return model, node.op


def test_what_onnx2torch_converts_has_gradients() -> None:
    model, op = opaque(model_bytes("LogSoftmax", axis=-1))
    x = torch.tensor([[0.5, -1.0], [2.0, 3.0]], dtype=torch.float64, requires_grad=True)
    expected = torch.log_softmax(x @ torch.tensor(W).double(), dim=1)
    found = model.graph(x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert op.module is not None
    (gradient,) = torch.autograd.grad(found[:, 0].sum(), x)
    (wanted,) = torch.autograd.grad(expected[:, 0].sum(), x)
    torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-5)


def test_what_only_onnxruntime_runs_has_values() -> None:
    model, op = opaque(model_bytes("Hardmax", axis=-1))
    assert op.module is None
    x = torch.tensor([[0.5, -1.0], [2.0, 3.0]], dtype=torch.float64)
    assert model.graph(x).tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    assert model.graph.output_size == 3


def test_values_are_nan_where_the_model_does_not_run() -> None:
    text = """<ir_version: 8, opset_import: ["" : 16]> g (float[1, 2] x) => (float[1, 2] y) {
        k = Cast<to = 7>(x)  h = Gather<axis = 1>(x, k)  two = Constant<value_ints = [1, 2]>()
        s = Reshape(h, two)  y = Hardmax(s) }"""
    model = read_model(onnx.parser.parse_model(text).SerializeToString(), opaque=True)
    x = torch.tensor([[0.0, 1.0], [0.0, 2.0]], dtype=torch.float64)
    assert model.graph(x[:1]).tolist() == [[0.0, 1.0]]
    assert model.graph(x)[1].isnan().all()


def test_double_precision_models_run_in_double_precision() -> None:
    model, _ = opaque(model_bytes("LogSoftmax", axis=-1, kind=TensorProto.DOUBLE))
    x = torch.tensor([[0.1, 1 / 3]], dtype=torch.float64)
    expected = torch.log_softmax(x @ torch.tensor(W).double(), dim=1)
    torch.testing.assert_close(model.graph(x), expected, rtol=1e-12, atol=1e-12)


def test_what_nobody_runs_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="onnxruntime cannot run the model either") as caught:
        read_model(model_bytes("Frobnicate", domain="strange"), opaque=True, path="net.onnx")
    assert str(caught.value).startswith("net.onnx: ")
    assert "\n" not in str(caught.value)


def test_a_readable_model_is_not_opaque() -> None:
    kinds = [node.op.kind for node in read_model(model_bytes("Relu"), opaque=True).graph.nodes]
    assert kinds == ["Linear", "Relu"]
