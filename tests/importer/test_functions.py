# SPDX-License-Identifier: Apache-2.0
"""Functions of the model, functions of onnx, and branches that a constant chooses are read inside out."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from vnnverify.errors import ModelError
from vnnverify.guard.agreement import check_against_onnxruntime
from vnnverify.importer import Model, read_model, reading

X = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])
Y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])


def model(*nodes: onnx.NodeProto, constants: dict[str, np.ndarray] | None = None, **more: Any) -> Model:
    weights = [numpy_helper.from_array(v, k) for k, v in (constants or {}).items()]
    graph = helper.make_graph(list(nodes), "g", [X], [Y], weights)
    opsets = [helper.make_opsetid("", more.pop("opset", 18)), helper.make_opsetid("own", 1)]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=10, **more)
    return read_model(proto.SerializeToString())


def agrees(found: Model) -> bool:
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return check_against_onnxruntime(found, x) < 1e-6


def test_function_of_the_model() -> None:
    """own.Stretch: leaky relu with a slope that is handed on, twice, the inner one by another function."""
    slope = helper.make_node("LeakyRelu", ["a"], ["b"])
    slope.attribute.append(
        onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    )
    version = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    once = helper.make_function("own", "Once", ["a"], ["b"], [slope], version, ["slope"])
    inner = helper.make_node("Once", ["a"], ["m"], domain="own", slope=0.5)
    twice = helper.make_function(
        "own", "Twice", ["a"], ["b"], [inner, helper.make_node("Add", ["m", "a"], ["b"])], version
    )
    found = model(helper.make_node("Twice", ["x"], ["y"], name="call", domain="own"), functions=[once, twice])
    assert found.graph.nodes[0].name == "call/Once_0/LeakyRelu_0"
    assert agrees(found)


@pytest.mark.parametrize(
    ("op", "opset", "attributes"),
    [
        ("Swish", 24, {"alpha": 0.5}),
        ("Shrink", 18, {"lambd": 0.5, "bias": 0.25}),
        ("ThresholdedRelu", 18, {}),
    ],
)
def test_function_of_onnx(op: str, opset: int, attributes: dict[str, float]) -> None:
    found = model(helper.make_node(op, ["x"], ["y"], name="f", **attributes), opset=opset)
    assert agrees(found)


@pytest.mark.parametrize("chosen", [True, False])
def test_branch_that_a_constant_chooses(chosen: bool) -> None:
    def branch(op: str) -> onnx.GraphProto:
        one = numpy_helper.from_array(np.ones(3, np.float32), "one")
        return helper.make_graph(
            [helper.make_node(op, ["h", "one"], [f"z{op}"])],
            op,
            [],
            [helper.make_tensor_value_info(f"z{op}", TensorProto.FLOAT, None)],
            [one],
        )

    found = model(
        helper.make_node("Relu", ["x"], ["h"]),
        helper.make_node("If", ["c"], ["y"], name="if", then_branch=branch("Add"), else_branch=branch("Sub")),
        constants={"c": np.array(chosen)},
    )
    assert agrees(found)
    x = torch.full((1, 6), 2.0, dtype=torch.float64)
    assert found.graph(x)[0, 0].item() == (3.0 if chosen else 1.0)


def test_functions_that_double_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_NODES", 1000)
    version = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    functions = [
        helper.make_function("own", "F0", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], version)
    ]
    for k in range(1, 20):
        calls = [
            helper.make_node(f"F{k - 1}", ["a"], ["m"], domain="own"),
            helper.make_node(f"F{k - 1}", ["m"], ["b"], domain="own"),
        ]
        functions.append(helper.make_function("own", f"F{k}", ["a"], ["b"], calls, version))
    with pytest.raises(ModelError, match="more than 1,000 nodes"):
        model(helper.make_node("F19", ["x"], ["y"], domain="own"), functions=functions)
