# SPDX-License-Identifier: Apache-2.0
"""More operators: by index, of several values, of whole numbers, of other float types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from draft import Draft
from onnx import TensorProto, helper
from operators import CATALOGUE

__all__ = ["FURTHER"]


def _two_values(kind: str) -> Callable[[Draft], None]:
    def make(d: Draft) -> None:
        other, _ = d.earlier[int(d.rng.integers(len(d.earlier)))] if d.earlier else (d.name, ())
        pair = [d.name, other] if d.rng.random() < 0.5 else [other, d.name]
        d.add(kind, *pair, **({"axis": d.axis()} if kind == "Concat" else {}))

    return make


def _matmul_of_two(d: Draft) -> None:
    turn = d.rng.permutation(d.rank).tolist()
    value = d.name
    d.add("Transpose", value, perm=turn)
    d.add("MatMul", value, d.name)


def _where_of_two(d: Draft) -> None:
    value = d.name
    other, _ = d.earlier[-1] if d.earlier else (d.name, ())
    d.add("Greater", value, d.const(d.broadcast()))
    d.add("Where", d.name, value, other)


def _logic(d: Draft) -> None:
    value = d.name
    d.add("Greater", value, d.const(np.round(d.broadcast())))
    first = d.name
    d.add(d.pick("Less", "Equal"), value, d.const(np.round(d.broadcast())))
    kind = d.pick("And", "Or", "Xor", "Equal")
    d.add(kind, first, d.name)
    if d.rng.random() < 0.5:
        d.add("Not", d.name)
    d.add("Cast", d.name, to=TensorProto.FLOAT)


WHOLE = (np.int32, np.int64, np.int8, np.uint8, np.int16, np.uint32)
BINARY = ("Add", "Sub", "Mul", "Div", "Mod", "Min", "Max", "BitShift", "BitwiseAnd", "BitwiseOr", "Less")
UNARY = (
    "Abs",
    "Neg",
    "Sign",
    "Relu",
    "Clip",
    "BitwiseNot",
    "ReduceSum",
    "ReduceMax",
    "ArgMax",
    "Pow",
    "TopK",
)


def _whole(d: Draft) -> None:
    """A chain in whole numbers."""
    kind = np.dtype(d.pick(*WHOLE))
    d.add("Cast", d.name, to=helper.np_dtype_to_tensor_dtype(kind))
    for _ in range(int(d.rng.integers(1, 4))):
        op = d.pick(*BINARY, *UNARY)
        low = 0 if kind.kind == "u" else -5
        most = 3 if op == "BitShift" else 9
        shape = d.shape[-1:] if d.rng.random() < 0.5 else ()
        other = d.rng.integers(low, most, shape)
        if op in ("Div", "Mod"):
            other = np.where(other == 0, 2, other)
        if op == "BitShift":
            d.add(op, d.name, d.const(np.abs(other), kind), direction=d.pick("LEFT", "RIGHT"))
        elif op == "Mod":
            d.add(op, d.name, d.const(other, kind), fmod=d.pick(None, 0, 1))
        elif op in BINARY:
            pair = [d.name, d.const(other, kind)]
            d.add(op, *(pair if d.rng.random() < 0.7 or op in ("Div", "Mod") else pair[::-1]))
        elif op == "Clip":
            d.add(op, d.name, d.const(low, kind), d.const(most, kind))
        elif op == "Pow":
            d.add(op, d.name, d.const(d.pick(0, 1, 2, 3), kind))
        elif op == "TopK":
            d.add(op, d.name, d.const([1], np.int64), outputs=2, axis=-1)
        elif op == "ReduceSum":
            d.add(op, d.name)
        else:
            d.add(op, d.name)
        if op in ("Less", "ArgMax"):
            break
    d.add("Cast", d.name, to=TensorProto.FLOAT)


INNER = (
    *("Relu", "Sigmoid", "Tanh", "Exp", "Sqrt", "Floor", "Round", "Abs", "Add", "Mul", "Sub", "Div", "Min"),
    *("Max", "Clip", "Pow", "Softmax", "ReduceSum", "ReduceMean", "ReduceMax", "MatMul", "Gemm", "MaxPool"),
    *("Transpose", "AveragePool", "Conv", "LayerNormalization", "InstanceNormalization", "CumSum", "Concat"),
    *("BatchNormalization", "Erf", "LeakyRelu", "PRelu", "Pad", "Resize", "HardSigmoid", "Sign", "Log"),
    *("Neg", "Reciprocal"),
)  # fmt: skip


def _in_type(kind: Any) -> Callable[[Draft], None]:
    """One operator in another float type."""

    def make(d: Draft) -> None:
        d.add("Cast", d.name, to=helper.np_dtype_to_tensor_dtype(np.dtype(kind)))
        d.kind = kind
        CATALOGUE[d.pick(*INNER)](d)
        d.kind = np.float32
        d.add("Cast", d.name, to=TensorProto.FLOAT)

    return make


def _reduction(d: Draft) -> str | None:
    if d.opset < 16:
        return None
    return str(d.pick("none", "add", "mul", *(("max", "min") if d.opset >= 18 else ())))


def _scatter_elements(d: Draft) -> None:
    axis = d.axis()
    shape = [int(d.rng.integers(1, n + 1)) for n in d.shape]
    n = d.shape[axis]
    reduction = _reduction(d)
    if reduction in (None, "none"):  # no place twice
        rows = np.argsort(d.rng.random([*shape[: axis % d.rank], n, *shape[axis % d.rank + 1 :]]), axis=axis)
        index = np.take(rows, np.arange(shape[axis]), axis=axis)
    else:
        index = d.rng.integers(-n, n, shape)
    updates = d.const(d.normal(*shape))
    data = d.name
    if d.rng.random() < 0.3:
        updates, data = d.name, d.const(d.normal(*d.shape))
        index = d.rng.integers(0, n, d.shape) if reduction not in (None, "none") else None
        index = np.argsort(d.rng.random(d.shape), axis=axis) if index is None else index
    kind = "ScatterElements" if d.opset >= 11 else "Scatter"
    d.add(kind, data, d.const(index, np.int64), updates, axis=axis, reduction=reduction)


def _scatter_nd(d: Draft) -> None:
    depth = int(d.rng.integers(1, d.rank + 1))
    reduction = _reduction(d)
    places = list(np.ndindex(*d.shape[:depth]))
    count = int(d.rng.integers(1, min(4, len(places)) + 1))
    chosen = d.rng.choice(len(places), count, replace=reduction not in (None, "none"))
    index = np.array([places[int(k)] for k in chosen])
    d.add(
        "ScatterND", d.name, d.const(index, np.int64), d.const(d.normal(count, *d.shape[depth:])),
        reduction=reduction,
    )  # fmt: skip


def _gather_nd(d: Draft) -> None:
    batch = int(d.rng.integers(0, 2)) if d.opset >= 12 and d.rank > 1 else 0
    depth = int(d.rng.integers(1, d.rank - batch + 1))
    lead = d.shape[:batch]
    index = np.stack([d.rng.integers(-n, n, (*lead, 2)) for n in d.shape[batch : batch + depth]], axis=-1)
    d.add("GatherND", d.name, d.const(index, np.int64), batch_dims=batch or None)


def _one_hot(d: Draft) -> None:
    axis = d.axis(1)
    d.add("Clip", d.name, d.const(-3.0), d.const(5.0))
    d.add("Floor", d.name)
    depth = d.const(4, np.int64)
    d.add("Cast", d.name, to=TensorProto.INT64)
    d.add("OneHot", d.name, depth, d.const([-0.5, 2.0]), axis=axis)


def _reverse_sequence(d: Draft) -> None:
    batch = d.pick(0, 1)
    n, m = d.shape[1 - batch], d.shape[batch]
    lengths = d.rng.integers(1, n + 1, m)
    d.add("ReverseSequence", d.name, d.const(lengths, np.int64), batch_axis=batch, time_axis=1 - batch)


def _grid_sample(d: Draft) -> None:
    n = d.shape[0]
    spatial = d.rank - 2
    grid = d.normal(n, *[int(d.rng.integers(1, 4)) for _ in range(spatial)], spatial)
    new = d.opset >= 20
    modes = ("linear", "nearest", "cubic") if new else ("bilinear", "nearest", "bicubic")
    d.add(
        "GridSample", d.name, d.const(grid), mode=d.pick(None, *modes),
        padding_mode=d.pick(None, "zeros", "border", "reflection"), align_corners=d.pick(None, 0, 1),
    )  # fmt: skip


def _einsum(d: Draft) -> None:
    letters = "abcde"[: d.rank]
    last = letters[-1]
    n = d.shape[-1]
    options = [
        (f"{letters}->{letters[::-1]}", []),
        (f"{letters}->{letters[:-1]}", []),
        (f"{letters},{last}z->{letters[:-1]}z", [(n, 2)]),
        (f"...{last},{last}->...", [(n,)]),
        (f"{letters},{letters}->{last}", [d.shape]),
        (f"{letters}, z{last} -> z", [(2, n)]),
        (f"{letters},{letters}", [d.shape]),
    ]
    equation, shapes = options[int(d.rng.integers(len(options)))]
    d.add("Einsum", d.name, *(d.const(d.normal(*shape)) for shape in shapes), equation=equation)


def _rms_norm(d: Draft) -> None:
    axis = d.axis()
    shape = d.shape[axis % d.rank :]
    if d.opset < 23:
        d.add("LpNormalization", d.name, axis=axis)
        return
    d.add("RMSNormalization", d.name, d.const(d.normal(*shape)), axis=axis, epsilon=d.pick(None, 1e-2))


def _group_norm(d: Draft) -> None:
    c = d.shape[1]
    groups = d.pick(1, c, 2)
    size = c if d.opset >= 21 else groups
    d.add(
        "GroupNormalization", d.name, d.const(d.normal(size)), d.const(d.normal(size)),
        num_groups=groups, epsilon=d.pick(None, 1e-2),
    )  # fmt: skip


def _swish(d: Draft) -> None:
    if d.opset >= 24:
        d.add("Swish", d.name, alpha=d.pick(None, 0.5))
    else:
        value = d.name
        d.add("Sigmoid", value)
        d.add("Mul", value, d.name)


def _ones_like(d: Draft) -> None:
    """Shapes that become constants."""
    value = d.name
    d.add("Shape", value)
    if d.rng.random() < 0.5:
        d.add("ConstantOfShape", d.name)
    else:
        d.add("ReduceProd", d.name, keepdims=0)
        d.add("Range", d.const(0, np.int64), d.name, d.const(1, np.int64))
        d.add("Cast", d.name, to=TensorProto.FLOAT)
        ramp = d.name
        d.add("Shape", value)
        d.add("Reshape", ramp, d.name)
    d.add(d.pick("Add", "Mul", "Sub", "Div"), value, d.name)


def _quantized(d: Draft) -> tuple[str, str, str]:
    scale, zero = d.const(d.pick(0.1, 0.25)), d.const(d.pick(0, 10, 128), np.uint8)
    d.add("QuantizeLinear", d.name, scale, zero)
    return d.name, scale, zero


def _out(d: Draft) -> tuple[str, str]:
    return d.const(d.pick(0.2, 0.5)), d.const(d.pick(0, 100, 128), np.uint8)


def _qlinear_matmul(d: Draft) -> None:
    k = d.shape[-1]
    given = _quantized(d)
    kind = d.pick(np.int8, np.uint8)
    weight = d.const(d.rng.integers(0 if kind is np.uint8 else -20, 30, (k, 3)), kind)
    each = d.rng.random() < 0.4
    scales = d.const([0.05, 0.1, 0.02] if each else 0.05)
    zeros = d.const([0, 0, 0] if each else 0, kind)
    out = _out(d)
    d.add("QLinearMatMul", *given, weight, scales, zeros, *out)
    d.add("DequantizeLinear", d.name, *out)


def _qlinear_conv(d: Draft) -> None:
    given = _quantized(d)
    spatial = d.rank - 2
    weight = d.const(d.rng.integers(-20, 30, (2, d.shape[1], *[2] * spatial)), np.int8)
    out = _out(d)
    bias = [d.const(d.rng.integers(-50, 50, 2), np.int32)] if d.rng.random() < 0.5 else []
    d.add(
        "QLinearConv", *given, weight, d.const([0.05, 0.1]), d.const([0, 0], np.int8), *out, *bias,
        auto_pad=d.pick(None, "SAME_UPPER", "SAME_LOWER", "VALID"),
    )  # fmt: skip
    d.add("DequantizeLinear", d.name, *out)


def _integer_product(d: Draft) -> None:
    value, _, zero = _quantized(d)
    weight = d.const(d.rng.integers(-20, 30, (d.shape[-1], 2)), np.int8)
    d.add("MatMulInteger", value, weight, *([zero] if d.rng.random() < 0.6 else []))
    d.add("Cast", d.name, to=TensorProto.FLOAT)


def _cast_chain(d: Draft) -> None:
    kinds = ("DOUBLE", "FLOAT16", "INT32", "INT64", "UINT8", "INT8", "BOOL", "INT16", "BFLOAT16")
    for _ in range(int(d.rng.integers(2, 4))):
        d.add("Cast", d.name, to=getattr(TensorProto, d.pick(*kinds)))
    d.add("Cast", d.name, to=TensorProto.FLOAT)


FURTHER: dict[str, Callable[[Draft], None]] = {
    **{f"{k}OfTwo": _two_values(k) for k in ("Add", "Sub", "Mul", "Div", "Max", "Concat", "Mean")},
    "MatMulOfTwo": _matmul_of_two, "WhereOfTwo": _where_of_two, "Logic": _logic, "Whole": _whole,
    "InDouble": _in_type(np.float64), "InHalf": _in_type(np.float16),
    "ScatterElements": _scatter_elements, "ScatterND": _scatter_nd, "GatherND": _gather_nd,
    "OneHot": _one_hot, "ReverseSequence": _reverse_sequence, "GridSample": _grid_sample, "Einsum": _einsum,
    "RMSNormalization": _rms_norm, "GroupNormalization": _group_norm, "Swish": _swish,
    "ShapeArithmetic": _ones_like, "QLinearMatMul": _qlinear_matmul, "QLinearConv": _qlinear_conv,
    "MatMulInteger": _integer_product, "CastChain": _cast_chain,
}  # fmt: skip
