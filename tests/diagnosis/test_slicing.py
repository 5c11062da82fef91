# SPDX-License-Identifier: Apache-2.0
"""The smallest part of a model that fails, whatever it is that fails."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vnnverify import OperatorInfo
from vnnverify.diagnosis.slicing import Failure, slice_of
from vnnverify.errors import ModelError
from vnnverify.importer import NodeView, Operand
from vnnverify.ops.piecewise import Relu


def model(*nodes: tuple[str, str, str]) -> bytes:
    """Nodes (operator, inputs, output), each named after its output, from x (1, 3) to y, with W constant."""
    made = [helper.make_node(op, ins.split(), [out], name=f"to_{out}") for op, ins, out in nodes]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in "xy"]
    weight = numpy_helper.from_array(np.eye(3, dtype=np.float32), "W")
    graph = helper.make_graph(made, "g", ends[:1], ends[1:], [weight])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return proto.SerializeToString()


def relu_for_anything(node: NodeView) -> Operand:
    """A reader of a plugin that is wrong wherever numbers are negative."""
    return node.add(Relu(), node.variable())


LONG = (("MatMul", "x W", "a"), ("Tanh", "a", "b"), ("Add", "b x", "c"))


def test_all_is_well() -> None:
    data = model(*LONG, ("Relu", "c", "y"))
    assert slice_of(data) is None
    assert slice_of(data, "to_b") is None


def test_what_cannot_be_read_stands_alone() -> None:
    found = slice_of(model(*LONG, ("Unique", "c", "u"), ("Relu", "u", "y")))
    assert found is not None
    assert found.failure.kind == "cannot be read"
    assert (found.nodes, found.total) == (("to_u",), 5)
    assert [node.op_type for node in onnx.load_model_from_string(found.model).graph.node] == ["Unique"]
    assert "(declare-const X_2 Real)" in found.query and "(declare-const X_3 Real)" not in found.query


def test_a_reader_that_computes_something_else() -> None:
    """Only at negative numbers does it differ, which the nodes before must make."""
    wrong = OperatorInfo(op_type="Neg", since_version=1, load=lambda: relu_for_anything)
    data = model(*LONG, ("Neg", "c", "n"), ("Sigmoid", "n", "y"))
    found = slice_of(data, operators=[wrong])
    assert found is not None
    assert found.failure.kind == "differs from onnxruntime"
    assert found.nodes == ("to_n",)
    again = slice_of(found.model, operators=[wrong])
    assert again is not None and again.failure.kind == found.failure.kind
    assert slice_of(found.model) is None


def test_a_node_that_is_not_there() -> None:
    with pytest.raises(ModelError, match="no node is called 'lost'"):
        slice_of(model(*LONG, ("Relu", "c", "y")), "lost")


def test_failures_compare_by_what_they_are() -> None:
    read, other = Failure("cannot be read", "this"), Failure("cannot be read", "that")
    far, near = (Failure("differs from onnxruntime", how) for how in ("by 2", "by 1"))
    assert read.same(read) and far.same(near)
    assert not read.same(other) and not read.same(far) and not read.same(None)


def test_sequences_are_not_cut_through() -> None:
    text = """<ir_version: 9, opset_import: ["" : 18]> g (float[3, 4] x) => (float[a] y) <int64 one = {1}> {
    s = SplitToSequence<axis = 0>(x, one)  r = Relu(x)  t = SequenceInsert(s, r)
    d = ConcatFromSequence<axis = 0>(t)  z = Unique(d)  y = Relu(z) }"""
    found = slice_of(onnx.parser.parse_model(text).SerializeToString())
    assert found is not None
    assert found.nodes == ("Unique_4",) and "operator Unique" in found.failure.reason
