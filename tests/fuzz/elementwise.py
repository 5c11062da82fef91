# SPDX-License-Identifier: Apache-2.0
"""Functions of single elements, and of two values element by element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from draft import Draft
from onnx import TensorProto

__all__ = ["ELEMENTWISE"]


def _unary(kind: str, **choices: Sequence[Any]) -> Callable[[Draft], None]:
    def make(d: Draft) -> None:
        d.add(kind, d.name, **{key: d.pick(*options) for key, options in choices.items()})

    return make


def _binary(kind: str, **choices: Sequence[Any]) -> Callable[[Draft], None]:
    def make(d: Draft) -> None:
        other = d.name if d.rng.random() < 0.15 else d.const(d.broadcast())
        pair = (d.name, other) if d.rng.random() < 0.7 else (other, d.name)
        d.add(kind, *pair, **{key: d.pick(*options) for key, options in choices.items()})

    return make


def _compare(kind: str) -> Callable[[Draft], None]:
    def make(d: Draft) -> None:
        d.add(kind, d.name, d.const(np.round(d.broadcast())))
        d.add("Cast", d.name, to=TensorProto.FLOAT)

    return make


def _power(d: Draft) -> None:
    exponent = d.pick(0.5, 1.0, 2.0, 3.0, -1.0, -2.0, 0.0, 1.5, -0.5, 4.0)
    if d.opset >= 12 and d.rng.random() < 0.4 and exponent == int(exponent):
        d.add("Pow", d.name, d.const(int(exponent), d.pick(np.int32, np.int64)))
    else:
        d.add("Pow", d.name, d.const(exponent))


def _clip(d: Draft) -> None:
    low, high = d.pick((-1.0, 1.0), (0.0, 6.0), (None, 0.5), (-0.5, None), (None, None), (1.0, -1.0))
    if d.opset < 11:
        d.add("Clip", d.name, min=low, max=high)
        return
    inputs = [d.name, "" if low is None else d.const(low), "" if high is None else d.const(high)]
    while inputs[-1] == "":
        inputs.pop()
    d.add("Clip", *inputs)


def _cast(d: Draft) -> None:
    kinds = [
        TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16, TensorProto.UINT16, TensorProto.INT32,
        TensorProto.INT64, TensorProto.UINT32, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BOOL,
    ]  # fmt: skip
    if d.opset >= 13:
        kinds.append(TensorProto.BFLOAT16)
    if d.opset >= 19:
        kinds += [TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E5M2]
    kind = d.pick(*kinds)
    d.add("Cast", d.name, to=kind)
    if d.rng.random() < 0.25:
        d.add("Cast", d.name, to=d.pick(TensorProto.INT32, TensorProto.UINT8, TensorProto.INT64))
    d.add("Cast", d.name, to=TensorProto.FLOAT)


def _is(kind: str) -> Callable[[Draft], None]:
    def make(d: Draft) -> None:
        before = d.pick("", "Sqrt", "Log", "Reciprocal", "Asin", "Acosh", "Exp")
        if before:
            d.add(before, d.name)
        d.add(kind, d.name)
        d.add("Cast", d.name, to=TensorProto.FLOAT)

    return make


def _where(d: Draft) -> None:
    value = d.name
    d.add("Greater" if d.opset >= 9 else "Less", value, d.const(d.broadcast()))
    d.add("Where", d.name, value, d.const(d.broadcast()))


def _quantize(d: Draft) -> None:
    kinds = [(np.uint8, 255), (np.int8, 127)]
    if d.opset >= 21:
        kinds += [(np.uint16, 65535), (np.int16, 32767)]
    kind, most = d.pick(*kinds)
    scale: Any = d.pick(0.1, 0.25, 0.03)
    zero: Any = d.pick(0, 3, most // 2)
    axis = None
    if d.opset >= 13 and d.rng.random() < 0.4:
        axis = d.axis()
        count = d.shape[axis]
        scale = d.rng.choice([0.1, 0.25, 0.03], count)
        zero = d.rng.choice([0, 3, most // 2], count)
    inputs = [d.const(scale)] + ([d.const(zero, kind)] if d.rng.random() < 0.8 or kind != np.uint8 else [])
    d.add("QuantizeLinear", d.name, *inputs, axis=axis)
    d.add("DequantizeLinear", d.name, *inputs, axis=axis)


def _fake_dynamic(d: Draft) -> None:
    q, scale, zero = d.add("DynamicQuantizeLinear", d.name, outputs=3)
    d.add("DequantizeLinear", q, scale, zero)


ELEMENTWISE: dict[str, Callable[[Draft], None]] = {
    **{k: _unary(k) for k in (
        "Abs", "Neg", "Relu", "Selu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Erf", "Exp", "Log", "Sqrt",
        "Reciprocal", "Sign", "Floor", "Ceil", "Round", "Sin", "Cos", "Tan", "Atan", "Asin", "Acos", "Asinh",
        "Sinh", "Cosh", "HardSwish", "Mish", "Identity", "GlobalAveragePool", "GlobalMaxPool",
        "MeanVarianceNormalization",
    )},
    "LeakyRelu": _unary("LeakyRelu", alpha=(None, -0.5, 0.0, 2.0, 0.3)),
    "Elu": _unary("Elu", alpha=(None, 0.5, 2.0, -1.0)),
    "Celu": _unary("Celu", alpha=(None, 0.5, 2.0, -1.0)),
    "SeluOdd": _unary("Selu", alpha=(None, -1.0, 0.5), gamma=(None, 2.0, -1.0)),
    "ThresholdedRelu": _unary("ThresholdedRelu", alpha=(None, 0.0, -0.5, 0.5)),
    "HardSigmoid": _unary("HardSigmoid", alpha=(None, 0.5, -0.3), beta=(None, 0.1, -1.0)),
    "Gelu": _unary("Gelu", approximate=(None, "tanh")),
    "Shrink": _unary("Shrink", bias=(None, 0.5, -0.5), lambd=(None, 0.3, -0.5)),
    "GlobalLpPool": _unary("GlobalLpPool", p=(None, 1, 2, 3)),
    **{k: _binary(k) for k in ("Add", "Sub", "Mul", "Div", "Min", "Max", "Mean", "Sum")},
    "Mod": _binary("Mod", fmod=(1,)),
    **{k: _compare(k) for k in ("Greater", "Less", "Equal", "GreaterOrEqual", "LessOrEqual")},
    "Pow": _power, "Clip": _clip, "Cast": _cast, "IsNaN": _is("IsNaN"), "IsInf": _is("IsInf"),
    "Where": _where, "QuantizeLinear": _quantize, "DynamicQuantizeLinear": _fake_dynamic,
}  # fmt: skip
