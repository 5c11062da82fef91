# SPDX-License-Identifier: Apache-2.0
"""Functions of one element."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from node_cases.case import Case, case, number

__all__ = ["activation_cases", "scalar_cases"]


def scalar_cases() -> list[Case]:
    shape = (2, 5)
    found = [
        case(op, shape, low=-3, high=3)
        for op in ("Relu", "Abs", "Sigmoid", "Tanh", "Exp", "Softplus", "Erf", "Sin", "Cos", "Sign", "Floor")
    ]
    found += [case(op, shape, low=0.1, high=4.0) for op in ("Sqrt", "Log", "Reciprocal")]
    found += [case("Pow", shape, number(p), low=0.1, note=f"to the {p}") for p in (2, 3, 0.5, 1)]
    found += [
        case("Pow", shape, number(2), note="square"),
        case("Pow", shape, number(3), note="cube"),
        case("Pow", shape, number(-1), low=0.2, note="reciprocal"),
        case("Pow", shape, np.array([0, 1, 2, -1, 0.5], np.float32), low=0.2, note="each its own"),
        case("Pow", np.array([2, 0.3, 1, 7, 1.5], np.float32), shape, note="to a variable"),
        case("Relu", shape, opset=7),
        case("LeakyRelu", shape),
        case("LeakyRelu", shape, alpha=0.3),
        case("LeakyRelu", shape, alpha=1.5),
        case("PRelu", (2, 3, 4), np.array([0.1, 0.2, 1.3], np.float32).reshape(3, 1)),
        case("PRelu", (2, 3), np.array([0.25], np.float32)),
        case("PRelu", (2, 3), np.array([[-0.5], [1.5]], np.float32), note="of odd slopes"),
        case("Clip", shape, number(-0.5), number(1.0)),
        case("Clip", shape, number(-0.5)),
        case("Clip", shape, None, number(0.5)),
        case("Clip", shape),
        case("Clip", shape, min=-1.0, max=0.25, opset=10),
        case("HardSigmoid", shape, low=-4, high=4),
        case("HardSwish", shape, low=-4, high=4, opset=14),
        case("Elu", shape),
        case("Gelu", shape, opset=20),
        case("Identity", shape),
        case("Dropout", shape, opset=7),
        case("Dropout", shape, number(0.5), opset=13),
        case("Cast", shape, to=TensorProto.FLOAT),
    ]
    return found


_AXES = [
    (op, axis, opset)
    for op in ("Softmax", "LogSoftmax", "Hardmax")
    for axis, opset in ((-1, 7), (-1, 11), (-2, 12), (-3, 12), (0, 11), (2, 11), (-2, 13))
]


def activation_cases() -> list[Case]:
    shape = (2, 5)
    wide: dict[str, Any] = {"low": -3.0, "high": 3.0}
    opsets = {"Mish": 18, "HardSwish": 14, "ThresholdedRelu": 10, "Celu": 12}
    ops = ("Atan", "Sinh", "Cosh", "Asinh", "Softsign", "Mish", "HardSwish", "ThresholdedRelu", "Celu")
    found = [case(op, shape, opset=opsets.get(op, 13), **wide) for op in ops]
    found += [case(op, shape, low=-0.9, high=0.9) for op in ("Asin", "Acos", "Atanh", "Tan")]
    found += [
        case("Acosh", shape, low=1.1, high=4.0),
        case("Gelu", shape, opset=20, approximate="tanh", **wide),
        case("Celu", shape, opset=12, alpha=2.5, **wide),
        case("Celu", shape, opset=12, alpha=-1.5, **wide),
        case("Elu", shape, alpha=-0.5, **wide),
        case("Elu", shape, alpha=0.0, **wide),
        case("Selu", shape, alpha=-0.5, gamma=-2.0, **wide),
        case("LeakyRelu", shape, alpha=-0.75, **wide),
        case("HardSigmoid", shape, alpha=-0.4, beta=0.25, **wide),
        case("HardSigmoid", shape, alpha=0.0, beta=0.25, note="flat", **wide),
        case("ThresholdedRelu", shape, opset=10, alpha=-0.75, **wide),
        case("Swish", shape, opset=24, alpha=-1.25, note="negative", **wide),
        case("Selu", shape, **wide),
        case("Shrink", shape, opset=9, bias=0.25, lambd=0.75),
        case("Shrink", shape, opset=9, bias=0.5, lambd=0.5),
        case("Shrink", shape, opset=9, bias=0.5, lambd=-0.75),
        case("Shrink", shape, opset=9, bias=-0.25, lambd=0.0),
        case("ThresholdedRelu", shape, opset=10, alpha=0.3),
        case("PRelu", (2, 3), (3,), note="computed slope"),
        case("Clip", shape, (), (), note="computed ends", low=-2.0, high=2.0),
        case("LogSoftmax", (2, 3), axis=1),
        case("LogSoftmax", (2, 3, 2), axis=1, opset=11, note="flattening"),
        *(case(op, (2, 3, 2), axis=axis, opset=opset) for op, axis, opset in _AXES),
        case("Softmax", (3, 2), axis=1, note="of two"),
        case("Pow", shape, (5,), low=0.2, note="computed exponent"),
        case("Pow", (2, 2), np.array([2.0, 0.5], np.float32), low=0.2, note="several exponents"),
        case("Mod", shape, number(0.75), fmod=1),
        case("Mod", shape, np.array(3), kind=TensorProto.INT64, whole=True, low=-9.5, high=9.5),
        case("Mod", shape, np.array(-4), kind=TensorProto.INT64, whole=True, low=-9.5, high=9.5),
        case("Mod", shape, np.array(4), kind=TensorProto.INT64, whole=True, low=-9.5, high=9.5, fmod=1),
        case("Div", shape, np.array(3), kind=TensorProto.INT64, whole=True, low=-9.5, high=9.5, note="whole"),
        case("Mean", shape, (5,)),
        case("Mean", shape),
    ]
    return found
