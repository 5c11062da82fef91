# SPDX-License-Identifier: Apache-2.0
"""A division by a constant is one, not a product with a rounded reciprocal, whatever it is joined with."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from vnnverify.domains import interval
from vnnverify.errors import ModelError
from vnnverify.importer import read_model
from vnnverify.simplify import simplify

Build = Callable[..., onnx.ModelProto]
THIRD = 1.0 / 3.0
MANY = 2.0**53
CONSTANTS = {
    "three": 3.0,
    "third": THIRD,
    "many": MANY,
    "fewer": MANY - 1,
    "half": 0.5,
    "zero": 0.0,
    "one": 1.0,
}
EXACT = Fraction(MANY) * (Fraction(1, 3) - Fraction(THIRD)) + Fraction(THIRD)
"""2^53·(1/3) − (2^53 − 1)·0.33…, which is near a half."""
DIFFERENCE = [("Mul", "u", "many", "p"), ("Mul", "v", "fewer", "q"), ("Sub", "p", "q", "y")]

CASES: dict[str, tuple[list[tuple[str, str, str, str]], Fraction]] = {
    "x/3·3 − x": (
        [("Div", "x", "three", "a"), ("Mul", "a", "three", "b"), ("Sub", "b", "x", "y")],
        Fraction(0),
    ),
    "multiples of x/3 and of 0.33…·x": (
        [("Div", "x", "three", "u"), ("Mul", "x", "third", "v"), *DIFFERENCE],
        EXACT,
    ),
    "multiples of two functions": (
        [
            ("Div", "x", "three", "a"),
            ("Mul", "x", "third", "b"),
            ("Add", "a", "half", "c"),
            ("Add", "b", "half", "d"),
            ("Clip", "c", "zero one", "e"),
            ("Clip", "d", "zero one", "f"),
            ("Mul", "x", "e", "u"),
            ("Mul", "x", "f", "v"),
            *DIFFERENCE,
        ],
        EXACT + Fraction(1, 2),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_bounds_hold_the_exact_value_at_one(
    case: tuple[list[tuple[str, str, str, str]], Fraction], build: Build
) -> None:
    steps, truth = case
    nodes = [helper.make_node(kind, [a, *b.split()], [c], name=c) for kind, a, b, c in steps]
    arrays = {name: np.array(value, dtype=np.float64) for name, value in CONSTANTS.items()}
    proto = build(nodes, {"x": [1]}, {"y": [1]}, arrays, kind=TensorProto.DOUBLE)
    graph = simplify(read_model(proto.SerializeToString()).graph)
    x = torch.ones(1, 1, dtype=torch.float64)
    lower, upper = interval.bounds_of_values(graph, x, x)[graph.outputs[0]]
    assert Fraction(float(lower)) <= truth <= Fraction(float(upper))


@pytest.mark.parametrize(
    ("kind", "attributes"), [("Shrink", {"bias": float("nan")}), ("ThresholdedRelu", {"alpha": float("inf")})]
)
def test_infinite_numbers_are_refused(kind: str, attributes: dict[str, float], build: Build) -> None:
    proto = build([helper.make_node(kind, ["x"], ["y"], **attributes)], {"x": [2]}, {"y": [2]})
    with pytest.raises(ModelError, match="NaN or infinity"):
        read_model(proto.SerializeToString())
