# SPDX-License-Identifier: Apache-2.0
"""Tests for NaN and infinity: what cannot be shown to be a number is never taken for one."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from chains import chain, run
from onnx import TensorProto, helper

from vnnverify.domains import interval
from vnnverify.importer import read_model

Ends, Constants = tuple[float, float], dict[str, np.ndarray] | None


def probing(test: str, op: str, constants: Constants = None, **attributes: Any) -> onnx.ModelProto:
    """1 where the operator of x (and constants) is not a number, or not finite, else 0."""
    nodes = [
        helper.make_node(op, ["x", *(constants or {})], ["h"]),
        helper.make_node(test, ["h"], ["b"], **attributes),
        helper.make_node("Cast", ["b"], ["y"], to=TensorProto.FLOAT),
    ]
    return chain(nodes, constants, size=2)


def number(value: float) -> dict[str, np.ndarray]:
    return {"c": np.array(value, np.float32)}


def bounds(model: onnx.ModelProto, lower: float, upper: float) -> tuple[float, float]:
    graph = read_model(model.SerializeToString()).graph
    box = (torch.full((1, 2), end, dtype=torch.float64) for end in (lower, upper))
    low, high = interval.bounds_of_values(graph, *box)[graph.outputs[0]]
    return float(low.min()), float(high.max())


# operator, constants, a box where it is finite, one where it need not be, test, a point where it is not
FOUND: list[tuple[str, Constants, Ends, Ends, str, float]] = [
    ("Pow", number(0.5), (0.5, 2), (-1, 1), "IsNaN", -0.5),
    ("Sqrt", None, (0.5, 2), (-1, 1), "IsNaN", -0.5),
    ("Log", None, (0.5, 2), (-1, 1), "IsNaN", -0.5),
    ("Asin", None, (-0.5, 0.5), (0.5, 2), "IsNaN", 1.5),
    ("Acos", None, (-0.5, 0.5), (0.5, 2), "IsNaN", 1.5),
    ("Acosh", None, (1.5, 2), (0.5, 2), "IsNaN", 0.75),
    ("Atanh", None, (-0.5, 0.5), (0.5, 2), "IsNaN", 1.5),
    ("Exp", None, (0, 20), (0, 200), "IsInf", 100),
    ("Mul", number(3e38), (-1e-30, 1e-30), (0, 5), "IsInf", 2),
    ("Pow", number(9), (-2, 2), (0, 1e5), "IsInf", 1e5),
    ("Sinh", None, (-2, 2), (0, 1e5), "IsInf", 1e3),
]  # fmt: skip


@pytest.mark.parametrize(("op", "constants", "safe", "open_box", "test", "point"), FOUND)
def test_only_bounds_tell(
    op: str,
    constants: Constants,
    safe: Ends,
    open_box: Ends,
    test: str,
    point: float,
) -> None:
    model = probing(test, op, constants)
    assert bounds(model, *safe) == (0, 0)
    assert bounds(model, *open_box) == (0, 1)
    points = np.array([[point, sum(safe) / 2]], np.float32)
    found = read_model(model.SerializeToString()).graph(torch.from_numpy(points).double()).numpy()
    np.testing.assert_array_equal(found, [[1, 0]])
    np.testing.assert_array_equal(found, run(model, points))


@pytest.mark.parametrize("op", ["Reciprocal", "Div"])
@pytest.mark.parametrize("test", ["IsNaN", "IsInf"])
def test_poles_are_open(op: str, test: str) -> None:
    if op == "Reciprocal":
        model = probing(test, op)
    else:
        nodes = [
            helper.make_node("Div", ["x", "x"], ["h"]),
            helper.make_node(test, ["h"], ["b"]),
            helper.make_node("Cast", ["b"], ["y"], to=TensorProto.FLOAT),
        ]
        model = chain(nodes, size=2)
    assert bounds(model, -1, 1) == (0, 1)
    assert bounds(model, 0, 1) == (0, 1)
    assert bounds(model, 0.5, 1) == (0, 0)


def test_what_overflows_on_the_way_is_open() -> None:
    """An infinity times a small number, or less another one, though both are moderate over the reals."""
    nodes = [
        helper.make_node("Mul", ["x", "large"], ["a"]),
        helper.make_node("Mul", ["a", "large"], ["b"]),
        helper.make_node("Mul", ["b", "small"], ["c"]),
        helper.make_node("Mul", ["c", "small"], ["d"]),
        helper.make_node("IsInf", ["d"], ["e"]),
        helper.make_node("Cast", ["e"], ["y"], to=TensorProto.FLOAT),
    ]
    model = chain(nodes, {"large": np.array(1e30, np.float32), "small": np.array(1e-30, np.float32)}, size=2)
    assert bounds(model, 0.5, 1) == (0, 1)
    assert run(model, np.array([[0.7, 1]], np.float32)).tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("op", "test"),
    [("Exp", "IsNaN"), ("Relu", "IsNaN"), ("Sigmoid", "IsInf"), ("Tanh", "IsNaN"), ("Clip", "IsNaN")],
)
def test_what_operators_alone_rule_out_is_constant(op: str, test: str) -> None:
    graph = read_model(probing(test, op).SerializeToString()).graph
    assert [node.op.kind for node in graph.nodes] == ["Constant"]


@pytest.mark.parametrize(("key", "expected"), [("detect_positive", [[0, 1]]), ("detect_negative", [[1, 0]])])
def test_signs_of_infinity(key: str, expected: list[list[float]]) -> None:
    model = probing("IsInf", "Sinh", **{key: 0})
    points = np.array([[500, -500]], np.float32)
    found = read_model(model.SerializeToString()).graph(torch.from_numpy(points).double()).numpy()
    assert found.tolist() == expected == run(model, points).tolist()


def test_half_precision_overflows_early() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], to=TensorProto.FLOAT16),
        helper.make_node("Mul", ["a", "a"], ["s"]),
        helper.make_node("IsInf", ["s"], ["b"]),
        helper.make_node("Cast", ["b"], ["y"], to=TensorProto.FLOAT),
    ]
    model = chain(nodes, size=2, opset=20)
    assert bounds(model, 200, 300) == (0, 1)
    assert bounds(model, -10, 10) == (0, 0)
    assert run(model, np.array([[300, 10]], np.float32)).tolist() == [[1, 0]]
