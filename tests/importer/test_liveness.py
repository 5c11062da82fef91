# SPDX-License-Identifier: Apache-2.0
"""What no output depends on is not read, whatever it is; the inputs stay."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from vnnverify.errors import ModelError, UnsupportedModelError
from vnnverify.guard.agreement import check_against_onnxruntime
from vnnverify.importer import Model, read_model
from vnnverify.importer.parsing import parse

HEAD = """<ir_version: 9, opset_import: ["" : 17, "own" : 1, "strange" : 1]>
g (float[1, 2] x, float[3] unread) => (float[1, 2] y)
<float[2, 2] w = {1, 1, 1, -1}, float[2] one = {1, 1}, float[2] zero = {0, 0}, int64 three = {3}> {
"""
BODIES = {
    "operator without a reader": "y = MatMul(x, w)  u = Unique(y)",
    "chain": "y = MatMul(x, w)  u = Unique(y)  v, i = Unique(u)  k = Relu(v)",
    "training": "y = MatMul(x, w)  n, m, v = BatchNormalization<training_mode = 1>(y, one, zero, zero, one)",
    "unknown domain": "y = MatMul(x, w)  f = strange.Frobnicate(y)",
    "unknown operator": "y = MatMul(x, w)  f = Frobnicate(y)",
    "unknown attribute": "y = MatMul(x, w)  r = Relu<slope = 1>(y)",
    "of an input": "y = MatMul(x, w)  u = Unique(unread)",
    "no output at all": "y = MatMul(x, w)  u = Softmax<axis = 9>(y)",
    "branch": """y = MatMul(x, w)  s = ReduceSum<keepdims = 0>(y)  c = Cast<to = 9>(s)  z = If(c)
    <then_branch = a () => (float[p] b) {b = Unique(y)},
    else_branch = d () => (float[q] e) {e = Unique(x)}>""",
    "in a branch": """c = Cast<to = 9>(three)  y = If(c)<then_branch = a () => (float[1, 2] b) {
    u = Unique(x)  b = MatMul(x, w)}, else_branch = d () => (float[1, 2] e) {e = MatMul(x, w)}>""",
    "read by a dead node in a branch": """u = Unique(x)  s = ReduceSum<keepdims = 0>(x)  c = Cast<to = 9>(s)
    y = If(c)<then_branch = a () => (float[1, 2] b) {r = Relu(u)  b = MatMul(x, w)},
    else_branch = d () => (float[1, 2] e) {e = MatMul(x, w)}>""",
    "unread result of a choice": """s = ReduceSum<keepdims = 0>(x)  c = Cast<to = 9>(s)
    z, y = If(c)<then_branch = a () => (float[p] u, float[1, 2] b) {u = Unique(x)  b = MatMul(x, w)},
    else_branch = d () => (float[q] v, float[1, 2] e) {e = MatMul(x, w)  v = Unique(x)}>""",
    "in a loop": """t = Cast<to = 9>(three)  p, z = Loop(three, t, x)
    <body = l (int64 i, bool go, float[1, 2] a) => (bool more, float[1, 2] b, float[k] shown) {
    more = Identity(go)  b = MatMul(a, w)  shown = Unique(a)
    other = Unique(b)}>  y = Relu(p)""",
    "in a function": "y = own.Sum(x, w)",
    "unread result of a function": "z, y = own.Both(x, w)",
    "through two functions": "y, z = own.Outer(x, w)",
}
FUNCTIONS = """
<domain: "own", opset_import: ["" : 17]> Sum (a, b) => (c) {u = Unique(a)  c = MatMul(a, b)}
<domain: "own", opset_import: ["" : 17]> Both (a, b) => (u, c) {u = Unique(a)  c = MatMul(a, b)}
<domain: "own", opset_import: ["" : 17, "own" : 1]> Outer (a, b) => (c, d) {d, c = own.Both(a, b)}
<domain: "own", opset_import: ["" : 17]> Unused (a) => (c) {c = Unique(a)}
"""


def parsed(body: str) -> onnx.ModelProto:
    text = HEAD + body + "}" + (FUNCTIONS if "own." in body else "")
    return onnx.parser.parse_model(text)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_dead_parts_are_not_read(body: str) -> None:
    proto = parsed(body)
    model = read_model(proto.SerializeToString())
    assert [spec.name for spec in model.layout.inputs] == ["x", "unread"]
    points = torch.randn(3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert check_against_onnxruntime(model, points) < 1e-6


def test_model_stays_as_it_was_where_onnxruntime_takes_it() -> None:
    plain = parsed(BODIES["operator without a reader"]).SerializeToString()
    assert read_model(plain).data == plain
    strange = parsed(BODIES["unknown domain"]).SerializeToString()
    left = onnx.load_model_from_string(read_model(strange).data)
    assert [node.op_type for node in left.graph.node] == ["MatMul"]
    assert [value.name for value in left.graph.input] == ["x", "unread"]


def test_what_is_alive_is_still_refused() -> None:
    for body in ("u = Unique(x)  z = Relu(u)  y = Add(z, x)", "z, y = own.Both(x, w)  t = Relu(z)"):
        if "own" in body:
            body = body.replace("t = Relu(z)", "").replace("z, y", "y, z")
        with pytest.raises(UnsupportedModelError, match="Unique"):
            read_model(parsed(body).SerializeToString())


def tensors(**arrays: np.ndarray) -> list[onnx.TensorProto]:
    return [numpy_helper.from_array(array, name) for name, array in arrays.items()]


def with_dead(tensor: onnx.TensorProto, *, listed: bool = False) -> onnx.ModelProto:
    proto = parsed("y = MatMul(x, w)")
    proto.graph.initializer.append(tensor)
    if listed:  # as in the files of old versions
        proto.ir_version = 3
        for t in proto.graph.initializer:
            proto.graph.input.append(helper.make_tensor_value_info(t.name, t.data_type, t.dims))
    return proto


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_unused_constants_may_be_anything(listed: bool, value: float) -> None:
    model = read_model(
        with_dead(*tensors(odd=np.array([value], np.float32)), listed=listed).SerializeToString()
    )
    assert [spec.name for spec in model.layout.inputs] == ["x", "unread"]


def test_unused_constants_may_be_malformed() -> None:
    short = TensorProto(name="odd", dims=[5], data_type=TensorProto.FLOAT, raw_data=b"12")
    for tensor in (short, TensorProto(name="odd", dims=[5]), TensorProto(data_type=TensorProto.FLOAT)):
        data = read_model(with_dead(tensor).SerializeToString()).data
        assert onnxruntime.InferenceSession(data).get_outputs()[0].shape == [1, 2]


def test_nan_in_a_branch_is_refused_only_if_it_is_read() -> None:
    def branches(read: str) -> onnx.ModelProto:
        body = f"""s = ReduceSum<keepdims = 0>(x)  c = Cast<to = 9>(s)  y = If(c)
        <then_branch = a () => (float[1, 2] b) {{b = Add(x, {read})}},
        else_branch = d () => (float[1, 2] e) {{e = MatMul(x, w)}}>"""
        proto = parsed(body)
        then = next(a.g for n in proto.graph.node for a in n.attribute if a.name == "then_branch")
        then.initializer.extend(tensors(odd=np.array([np.nan, 1], np.float32)))
        return proto

    assert read_model(branches("one").SerializeToString()).graph.nodes
    with pytest.raises(ModelError, match="initializer 'odd' holds NaN or infinity"):
        read_model(branches("odd").SerializeToString())


def edited(change: Callable[[onnx.ModelProto], object]) -> onnx.ModelProto:
    proto = parsed("y = MatMul(x, w)")
    change(proto)
    return proto


def old(proto: onnx.ModelProto) -> None:
    proto.ir_version = 3


def unsorted(proto: onnx.ModelProto) -> None:
    body = """s = ReduceSum<keepdims = 0>(x)  c = Cast<to = 9>(s)  y = If(c)
    <then_branch = a () => (float[1, 2] b) {r = Relu(x)  b = MatMul(r, w)},
    else_branch = d () => (float[1, 2] e) {e = MatMul(x, w)}>"""
    proto.CopyFrom(parsed(body))
    graphs = [proto.graph, *(a.g for a in proto.graph.node[2].attribute)]
    for graph in graphs:
        nodes = list(reversed(graph.node))
        del graph.node[:]
        graph.node.extend(nodes)


FROWNED = {
    "output without shape": lambda p: p.graph.output[0].type.tensor_type.ClearField("shape"),
    "output without type": lambda p: p.graph.output[0].ClearField("type"),
    "graph without name": lambda p: p.graph.ClearField("name"),
    "initializer not among the inputs": old,
    "value of no type": lambda p: p.graph.value_info.add(name="y2"),
    "named domain": lambda p: p.graph.node[0].MergeFrom(onnx.NodeProto(domain="ai.onnx")),
    "no order": unsorted,
}


@pytest.mark.parametrize("change", FROWNED.values(), ids=FROWNED.keys())
def test_onnxruntime_s_word_counts(change: Callable[[onnx.ModelProto], object]) -> None:
    """The checker refuses some of these."""
    model = read_model(edited(change).SerializeToString())
    points = torch.randn(3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert check_against_onnxruntime(model, points) < 1e-6
    (output,) = model.layout.outputs
    assert (output.name, output.shape, output.dtype) == ("y", (1, 2), "float32")


REFUSED: list[tuple[Callable[[onnx.ModelProto], object], str]] = [
    (lambda p: p.graph.input[0].ClearField("type"), "not a valid ONNX model"),
    (lambda p: p.graph.input[0].type.tensor_type.ClearField("shape"), "the model states no shape of 'x'"),
    (lambda p: p.graph.output[0].type.tensor_type.ClearField("elem_type"), "not a valid ONNX model"),
    (lambda p: p.graph.initializer.append(p.graph.initializer[0]), "initializer 'w' is there twice"),
    (lambda p: p.graph.node[0].ClearField("op_type"), "not a valid ONNX model"),
    (lambda p: p.graph.output[0].MergeFrom(onnx.ValueInfoProto(name="z")), "'z'"),
    (lambda p: p.ClearField("opset_import"), "not a valid ONNX model"),
]


@pytest.mark.parametrize(("change", "text"), REFUSED, ids=[text for _, text in REFUSED])
def test_what_neither_takes_is_one_line(change: Callable[[onnx.ModelProto], object], text: str) -> None:
    with pytest.raises(ModelError, match=text) as caught:
        read_model(edited(change).SerializeToString(), path="net.onnx")
    assert str(caught.value).startswith("net.onnx: ") and "\n" not in str(caught.value)


def test_black_box_has_the_outputs_that_it_has() -> None:
    proto = parsed("m = MatMul(x, w)  y = Unique(m)")
    proto.graph.output[0].ClearField("type")
    model: Model = read_model(proto.SerializeToString(), opaque=True)
    assert model.layout.outputs[0].dtype == "float32"
    assert len(model.layout.outputs[0].shape) == 1


def test_parsing_keeps_what_needs_no_change() -> None:
    proto = parsed("m = MatMul(x, w)  y = Relu(m)")
    data = proto.SerializeToString()
    found = parse(data)
    assert found.data is data
    assert [node.op_type for node in found.proto.graph.node] == ["MatMul", "Relu"]
    assert [tensor.name for tensor in found.proto.graph.initializer] == ["w"]
