# SPDX-License-Identifier: Apache-2.0
"""Functions that leave their domain before a step that makes a number of NaN."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper

from vnnverify.guard.undefined import undefined_before_a_step
from vnnverify.importer import read_model
from vnnverify.loading.loader import build_query
from vnnverify.query import Query
from vnnverify.vnnlib import parse_property


def query(operators: list[str], lower: float, upper: float) -> Query:
    """One input of three numbers, through these operators in turn."""
    names = ["X", *(f"v{k}" for k in range(len(operators) - 1)), "Y"]
    nodes = [
        helper.make_node(op, [a], [b], name=op)
        for op, a, b in zip(operators, names[:-1], names[1:], strict=True)
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in ("X", "Y")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    text = "".join(f"(declare-const X_{k} Real)(declare-const Y_{k} Real)" for k in range(3))
    text += "".join(f"(assert (and (>= X_{k} {lower}) (<= X_{k} {upper})))" for k in range(3))
    return build_query(read_model(model.SerializeToString()), parse_property(text + "(assert (>= Y_0 0.5))"))


@pytest.mark.parametrize("function", ["Acos", "Log", "Sqrt", "Asin", "Acosh", "Atanh", "Reciprocal"])
@pytest.mark.parametrize("step", ["Hardmax", "Sign", "Relu"])
def test_a_function_out_of_its_domain_before_a_step_is_named(function: str, step: str) -> None:
    assert undefined_before_a_step(query([function, "Tanh", step], -2.0, 3.0)) == function


@pytest.mark.parametrize(
    ("operators", "lower", "upper"),
    [
        (["Acos", "Tanh", "Hardmax"], -0.5, 0.5),  # within the domain
        (["Log", "Sign"], 0.5, 2.0),
        (["Acos", "Tanh"], -2.0, 3.0),  # NaN stays NaN
        (["Hardmax", "Sqrt"], -2.0, 3.0),  # defined where it is asked
        (["Tanh", "Relu", "Sqrt", "Relu"], -2.0, 3.0),
        (["Relu", "Sign"], -2.0, 3.0),  # defined everywhere
        (["Reciprocal", "Sign"], 0.5, 3.0),  # off the pole
    ],
)
def test_what_is_defined_or_stays_undefined_is_not(operators: list[str], lower: float, upper: float) -> None:
    assert undefined_before_a_step(query(operators, lower, upper)) == ""
