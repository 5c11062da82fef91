# SPDX-License-Identifier: Apache-2.0
"""Comparisons, truth values and positions."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from node_cases.case import Case, case, number, weights

__all__ = ["logic_cases"]


def logic_cases() -> list[Case]:
    """Comparisons, truth values, positions; of floats, and of whole numbers between −3 and 3."""
    shape, number_of = (3, 4), TensorProto.INT64
    truth: dict[str, Any] = {"kind": TensorProto.BOOL}
    ints3: dict[str, Any] = {"low": -3.5, "high": 3.5, "whole": True}
    found = []
    for op, opset in (("Less", 9), ("Greater", 13), ("LessOrEqual", 16), ("GreaterOrEqual", 12)):
        found += [
            case(op, shape, (4,), opset=opset, **truth),
            case(op, shape, number(0.25), opset=opset, **truth),
            case(op, weights(4), shape, opset=opset, **truth),
            case(op, shape, (4,), opset=opset, **truth, **ints3, note="whole"),
            case(op, shape, np.array(1), opset=opset, **truth, **ints3, note="whole"),
        ]
    found += [
        case("Equal", shape, (4,), **truth),
        case("Equal", shape, (4,), **truth, **ints3, note="whole"),
        case("Equal", np.array(2), shape, opset=7, **truth, **ints3, note="whole"),
        case("Cast", shape, to=number_of, kind=number_of, low=-3, high=3),
        case("Cast", shape, to=TensorProto.BOOL, **truth),
        case("Cast", shape, to=TensorProto.BOOL, **truth, **ints3, note="whole"),
        case("Cast", shape, to=TensorProto.FLOAT, **ints3, note="whole"),
        case("CastLike", shape, np.array(0), kind=number_of, opset=15),
        case("ArgMax", shape, axis=1, kind=number_of),
        case("ArgMax", shape, kind=number_of, keepdims=0, opset=11),
        case("ArgMin", shape, axis=-1, kind=number_of, keepdims=0),
        case("ArgMax", (3, 2), axis=1, kind=number_of),
        case("ArgMin", (3, 2), axis=1, kind=number_of, keepdims=0),
        case("ArgMax", (6, 2), axis=1, kind=number_of, **ints3, note="ties"),
        case("ArgMax", (6, 4), axis=1, kind=number_of, **ints3, note="ties", select_last_index=1),
        case("ArgMin", (6, 2), axis=1, kind=number_of, **ints3, note="ties", select_last_index=1),
        case("OneHot", shape, np.array(3), np.array([0.5, 2.0], np.float32), **ints3, axis=1),
        case("OneHot", (4,), np.array([4]), np.array([0, 1], np.float32), **ints3, note="vector"),
        case("Hardmax", shape, axis=0),
        case("Round", shape, low=-3, high=3),
        case("Ceil", shape),
    ]
    return found
