# SPDX-License-Identifier: Apache-2.0
"""If with a computed condition, Loop and Scan of constant length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from vnnverify.errors import UnsupportedModelError
from vnnverify.importer import Model, read_model

Build, Tried = Callable[..., onnx.ModelProto], Callable[..., Model]
X, Y = {"x": [1, 3]}, {"y": [1, 3]}
KINDS = {"i": (TensorProto.INT64, []), "go": (TensorProto.BOOL, []), "more": (TensorProto.BOOL, [])}


def node(op: str, inputs: str, outputs: str, **more: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), outputs.split(), **more)


def graph(nodes: list[onnx.NodeProto], inputs: str, outputs: str, **constants: Any) -> onnx.GraphProto:
    """Its tensors are floats of any shape but for those in KINDS."""
    infos = [
        [helper.make_tensor_value_info(k, *KINDS.get(k, (TensorProto.FLOAT, None))) for k in keys.split()]
        for keys in (inputs, outputs)
    ]
    weights = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    return helper.make_graph(nodes, "inner", *infos, weights)


def chosen(build: Build, other: str = "Neg") -> onnx.ModelProto:
    """y = relu(x) where x_0 + x_1 + x_2 > 0, else −x."""
    nodes = [
        node("ReduceSum", "x", "s", keepdims=0),
        node("Greater", "s zero", "c"),
        node(
            "If",
            "c",
            "y",
            name="choice",
            then_branch=graph([node("Relu", "x", "r")], "", "r"),
            else_branch=graph([node(other, "x", "n")], "", "n"),
        ),
    ]
    return build(nodes, X, Y, {"zero": np.float32(0)})


def looped(build: Build, steps: int | None = 3, **more: Any) -> onnx.ModelProto:
    """x ← relu(x·w − i) three times; shown each time, as t (3, 1, 3)."""
    body = [
        node("MatMul", "v w", "p"),
        node("Cast", "i", "j", to=TensorProto.FLOAT),
        node("Sub", "p j", "q"),
        node("Relu", "q", "v2"),
        node("Identity", "v2", "shown"),
        *more.pop("end", [node("Identity", "go", "more")]),
    ]
    inner = graph(body, "i go v", "more v2 shown", **more)
    count = "" if steps is None else "count"
    loop = helper.make_node("Loop", [count, "", "x"], ["last", "t"], name="loop", body=inner)
    weight = np.linspace(-0.6, 0.9, 9, dtype=np.float32).reshape(3, 3)
    constants = {"w": weight, "count": np.array(steps or 0)}
    total = node("ReduceSum", "t", "a", axes=[0], keepdims=0)
    return build([loop, total, node("Add", "a last", "y")], X, Y, constants, opset=11)


def scanned(build: Build, **more: Any) -> onnx.ModelProto:
    """Running sums of relu over the rows of x (4, 3), backwards."""
    body = [node("Relu", "row", "r"), node("Add", "sum r", "sum2"), node("Identity", "sum2", "shown")]
    inner = graph(body, "sum row", "sum2 shown")
    scan = node("Scan", "start x", "last y", name="scan", body=inner, num_scan_inputs=1, **more)
    return build([scan], {"x": [4, 3]}, {"y": ["a", "b"], "last": [3]}, {"start": np.ones(3, np.float32)})


def test_computed_condition(build: Build, tried: Tried) -> None:
    """Away from the edge one branch is left, around it the hull of both."""
    found = tried(chosen(build))
    assert "Choice" in {n.op.kind for n in found.graph.nodes}
    tried(chosen(build), 0.5)
    points = torch.tensor([[1.0, -2, 3], [1, -2, 0]], dtype=torch.float64)
    assert found.graph(points).tolist() == [[1, 0, 3], [-1, 2, 0]]


@pytest.mark.parametrize("steps", [1, 3])
def test_loop_of_constant_length(build: Build, tried: Tried, steps: int) -> None:
    found = tried(looped(build, steps))
    assert sum(n.op.kind == "Relu" for n in found.graph.nodes) == steps


def test_loop_that_ends_itself(build: Build, tried: Tried) -> None:
    """i < 1 is known in each step, so that the loop ends after the second."""
    found = tried(looped(build, None, end=[node("Less", "i one", "more")], one=np.array(1)))
    assert sum(n.op.kind == "Relu" for n in found.graph.nodes) == 2


@pytest.mark.parametrize(
    "more",
    [{}, {"scan_input_directions": [1]}, {"scan_output_axes": [1]}],
    ids=["forwards", "backwards", "columns"],
)
def test_scan(build: Build, tried: Tried, more: dict[str, Any]) -> None:
    found = tried(scanned(build, **more))
    if not more:
        y = found.graph(torch.tensor([[1.0, 0, 0, 1, -1, 0, 1, 0, 2, 0, 0, 0]], dtype=torch.float64))
        assert y.tolist() == [[2, 1, 1, 3, 1, 1, 4, 1, 3, 4, 1, 3, 4, 1, 3]]


COMPUTED_END = [
    node("ReduceMax", "v", "m", keepdims=0),
    node("Cast", "m", "more", to=TensorProto.BOOL),
]
REFUSED: list[tuple[Callable[[Build], onnx.ModelProto], str]] = [
    (lambda b: looped(b, None), r"node 'loop' \(Loop\): a loop of more than 4,096 steps"),
    (lambda b: looped(b, 0), "outputs of a loop that is never entered"),
    (lambda b: looped(b, end=COMPUTED_END), "an end of the loop computed from the network's input"),
    (lambda b: scanned(b, scan_output_directions=[1]), "outputs put together backwards"),
    (
        lambda b: looped(
            b, end=[node("Unique", "v", "u"), node("ReduceMax", "u", "m", keepdims=0), COMPUTED_END[1]]
        ),
        "node 'loop/0/Unique_5'.*Unique",
    ),
]


@pytest.mark.parametrize(("made", "text"), REFUSED, ids=lambda v: v if isinstance(v, str) else "")
def test_refused_by_name(build: Build, made: Callable[[Build], onnx.ModelProto], text: str) -> None:
    with pytest.raises(
        UnsupportedModelError, match=f"{text}.* is not supported; a backend that takes black boxes"
    ):
        read_model(made(build).SerializeToString())
