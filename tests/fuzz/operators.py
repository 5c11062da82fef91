# SPDX-License-Identifier: Apache-2.0
"""Operators with random attributes, each added to a draft of a model. What a runtime refuses is left out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

__all__ = ["CATALOGUE", "Draft"]


class Draft:
    """Nodes so far, of which the last value is called `name`."""

    def __init__(self, rng: np.random.Generator, opset: int, name: str, shape: Sequence[int]) -> None:
        self.rng, self.opset, self.name, self.shape = rng, opset, name, tuple(shape)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.earlier: list[tuple[str, tuple[int, ...]]] = []  # values before the last and their shapes
        self.kind: Any = np.float32  # of the last value

    def copy(self) -> Draft:
        other = copy.copy(self)
        other.nodes, other.constants = list(self.nodes), dict(self.constants)
        other.earlier = list(self.earlier)
        return other

    @property
    def rank(self) -> int:
        return len(self.shape)

    def const(self, value: Any, kind: Any = None) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(value, dtype=self.kind if kind is None else kind)
        return name

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> list[str]:
        """A node; attributes that are None are left out."""
        made = [f"v{len(self.nodes)}_{k}" for k in range(outputs)]
        given = {k: v for k, v in attributes.items() if v is not None}
        self.nodes.append(helper.make_node(kind, list(inputs), made, **given))
        self.name = made[0]
        return made

    def pick(self, *options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def axis(self, beyond: int = 0) -> int:
        rank = self.rank + beyond
        return int(self.rng.integers(-rank, rank))

    def axes(self) -> list[int]:
        count = int(self.rng.integers(1, self.rank + 1))
        chosen = self.rng.choice(self.rank, count, replace=False).tolist()
        return [int(a) - (self.rank if self.rng.random() < 0.3 else 0) for a in chosen]

    def normal(self, *shape: int) -> np.ndarray:
        return self.rng.standard_normal(shape).astype(np.float32)

    def broadcast(self) -> np.ndarray:
        """A constant of a shape that broadcasts with the value's, perhaps to more axes."""
        shape = [n if self.rng.random() < 0.6 else 1 for n in self.shape]
        shape = shape[int(self.rng.integers(0, len(shape) + 1)) :]
        if self.rng.random() < 0.15:
            shape = [2, *[1] * (self.rank - len(shape)), *shape]
        return self.normal(*shape) * self.pick(1.0, 1.0, 3.0)


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


def _normalise(kind: str) -> Callable[[Draft], None]:
    def make(d: Draft) -> None:
        d.add(kind, d.name, axis=d.pick(None, d.axis()))

    return make


def _lp_normalise(d: Draft) -> None:
    d.add("LpNormalization", d.name, axis=d.pick(None, d.axis()), p=d.pick(None, 1, 2))


def _layer_norm(d: Draft) -> None:
    axis = d.axis()
    shape = d.shape[axis % d.rank :]
    inputs = [d.name, d.const(d.normal(*shape))] + (
        [d.const(d.normal(*shape))] if d.rng.random() < 0.5 else []
    )
    d.add("LayerNormalization", *inputs, axis=axis, epsilon=d.pick(None, 1e-3))


def _batch_norm(d: Draft) -> None:
    c = d.shape[1]
    parts = [d.normal(c), d.normal(c), d.normal(c), np.abs(d.normal(c)) + 0.1]
    d.add("BatchNormalization", d.name, *map(d.const, parts), epsilon=d.pick(None, 1e-2))


def _instance_norm(d: Draft) -> None:
    c = d.shape[1]
    d.add(
        "InstanceNormalization", d.name, d.const(d.normal(c)), d.const(d.normal(c)), epsilon=d.pick(None, 0.1)
    )


def _lrn(d: Draft) -> None:
    d.add(
        "LRN",
        d.name,
        size=d.pick(1, 3, 5),
        alpha=d.pick(None, 0.1),
        beta=d.pick(None, 0.5),
        bias=d.pick(None, 2.0),
    )


def _reduce(kind: str) -> Callable[[Draft], None]:
    def make(d: Draft) -> None:
        axes = d.pick(None, d.axes(), d.axes())
        keep = d.pick(None, 0, 1)
        if d.opset >= 18 or (kind == "ReduceSum" and d.opset >= 13):
            noop = d.pick(None, 0, 1)
            given = [] if axes is None else [d.const(axes, np.int64)]
            d.add(kind, d.name, *given, keepdims=keep, noop_with_empty_axes=noop)
        else:
            d.add(kind, d.name, axes=axes, keepdims=keep)

    return make


def _arg(kind: str) -> Callable[[Draft], None]:
    def make(d: Draft) -> None:
        last = d.pick(None, 0, 1) if d.opset >= 12 else None
        d.add(kind, d.name, axis=d.pick(None, d.axis()), keepdims=d.pick(None, 0, 1), select_last_index=last)
        d.add("Cast", d.name, to=TensorProto.FLOAT)

    return make


def _topk(d: Draft) -> None:
    axis = d.axis()
    k = int(d.rng.integers(1, d.shape[axis] + 1))
    if d.opset < 10:
        d.add("TopK", d.name, outputs=2, axis=axis, k=k)
        return
    largest = d.pick(None, 0, 1) if d.opset >= 11 else None
    d.add("TopK", d.name, d.const([k], np.int64), outputs=2, axis=axis, largest=largest)


def _cumsum(d: Draft) -> None:
    axis = d.const(d.axis(), d.pick(np.int32, np.int64))
    d.add("CumSum", d.name, axis, exclusive=d.pick(None, 1), reverse=d.pick(None, 1))


def _reshape(d: Draft) -> None:
    size = int(np.prod(d.shape))
    wanted = d.pick([-1], [0, -1], [1, -1], [size, 1], [1, 1, -1], list(reversed(d.shape)))
    d.add("Reshape", d.name, d.const(wanted, np.int64), allowzero=d.pick(None, 0) if d.opset >= 14 else None)


def _flatten(d: Draft) -> None:
    d.add("Flatten", d.name, axis=d.pick(None, d.axis(), d.rank) if d.opset >= 11 else abs(d.axis()))


def _transpose(d: Draft) -> None:
    d.add("Transpose", d.name, perm=d.pick(None, d.rng.permutation(d.rank).tolist()))


def _squeeze(d: Draft) -> None:
    ones = [k for k, n in enumerate(d.shape) if n == 1]
    axes = d.pick(None, ones[:1] or None, [k - d.rank for k in ones][:1] or None)
    if d.opset >= 13:
        d.add("Squeeze", d.name, *([] if axes is None else [d.const(axes, np.int64)]))
    else:
        d.add("Squeeze", d.name, axes=axes)


def _unsqueeze(d: Draft) -> None:
    axes = [d.axis(1)] if d.opset >= 11 else [abs(d.axis())]
    if d.opset >= 13:
        d.add("Unsqueeze", d.name, d.const(axes, np.int64))
    else:
        d.add("Unsqueeze", d.name, axes=axes)


def _slice(d: Draft) -> None:
    axes = d.axes()
    starts, ends, steps = [], [], []
    for axis in axes:
        n = d.shape[axis]
        step = d.pick(1, 1, 2, -1, -2, 3)
        a, b = (int(v) for v in d.rng.integers(-n - 2, n + 3, 2))
        starts.append(d.pick(a, 0 if step > 0 else -1))
        ends.append(d.pick(b, 1 << 62 if step > 0 else -(1 << 62)))
        steps.append(step)
    if d.opset < 10:
        d.add("Slice", d.name, starts=starts, ends=ends, axes=[a % d.rank for a in axes])
    else:
        d.add("Slice", d.name, *(d.const(v, np.int64) for v in (starts, ends, axes, steps)))


def _pad(d: Draft) -> None:
    mode = d.pick(None, "constant", "reflect", "edge", "wrap" if d.opset >= 19 else "edge")
    pads = d.rng.integers(-1 if mode in (None, "constant") else 0, 3, 2 * d.rank)
    pads[:1] = pads[d.rank : d.rank + 1] = 0
    value = d.pick(None, 1.5)
    if d.opset < 11:
        d.add("Pad", d.name, mode=mode, pads=pads.tolist(), value=value)
    else:
        d.add("Pad", d.name, d.const(pads, np.int64), *([] if value is None else [d.const(value)]), mode=mode)


def _concat(d: Draft) -> None:
    axis = d.axis() if d.opset >= 11 else abs(d.axis()) % d.rank
    shape = list(d.shape)
    shape[axis] = int(d.rng.integers(1, 3))
    pair = [d.name, d.pick(d.const(d.normal(*shape)), d.name)]
    d.add("Concat", *(pair if d.rng.random() < 0.5 else pair[::-1]), axis=axis)


def _split(d: Draft) -> None:
    axis = d.axis() if d.opset >= 11 else abs(d.axis()) % d.rank
    n = d.shape[axis]
    cut = int(d.rng.integers(1, n))
    sizes = [cut, n - cut]
    if d.opset >= 13:
        made = d.add("Split", d.name, d.const(sizes, np.int64), outputs=2, axis=axis)
    else:
        made = d.add("Split", d.name, outputs=2, axis=axis, split=sizes)
    d.name = d.pick(*made)


def _tile(d: Draft) -> None:
    d.add("Tile", d.name, d.const(d.rng.integers(1, 3, d.rank), np.int64))


def _expand(d: Draft) -> None:
    shape = [n if n > 1 else d.pick(1, 2) for n in d.shape]
    d.add("Expand", d.name, d.const(d.pick(shape, [2, *shape], shape[-1:]), np.int64))


def _gather(d: Draft) -> None:
    axis = d.axis()
    n = d.shape[axis]
    index = d.rng.integers(0 if d.opset < 11 else -n, n, d.pick((), (2,), (1, 2)))
    d.add("Gather", d.name, d.const(index, np.int64), axis=axis)


def _gather_elements(d: Draft) -> None:
    axis = d.axis()
    n = d.shape[axis]
    d.add("GatherElements", d.name, d.const(d.rng.integers(-n, n, d.shape), np.int64), axis=axis)


def _depth(kind: str) -> Callable[[Draft], None]:
    def make(d: Draft) -> None:
        mode = d.pick(None, "DCR", "CRD") if kind == "DepthToSpace" and d.opset >= 11 else None
        d.add(kind, d.name, blocksize=d.pick(1, 2), mode=mode)

    return make


def _trilu(d: Draft) -> None:
    k = d.pick(None, 0, 1, -1, 5)
    d.add("Trilu", d.name, *([] if k is None else [d.const(k, np.int64)]), upper=d.pick(None, 0, 1))


def _window(d: Draft, *, dilations: bool, ceil: bool) -> dict[str, Any]:
    spatial = d.rank - 2
    kernel = [int(d.rng.integers(1, 4)) for _ in range(spatial)]
    made: dict[str, Any] = {"kernel_shape": kernel}
    made["strides"] = d.pick(None, [int(d.rng.integers(1, 4)) for _ in range(spatial)])
    if dilations:
        made["dilations"] = d.pick(None, [int(d.rng.integers(1, 3)) for _ in range(spatial)])
    if d.rng.random() < 0.5:
        made["auto_pad"] = d.pick("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET")
    else:
        made["pads"] = d.pick(None, [int(d.rng.integers(0, 2)) for _ in range(2 * spatial)])
    if ceil:
        made["ceil_mode"] = d.pick(None, 0, 1)
    return made


def _max_pool(d: Draft) -> None:
    d.add("MaxPool", d.name, **_window(d, dilations=d.opset >= 10, ceil=d.opset >= 10))


def _average_pool(d: Draft) -> None:
    count = d.pick(None, 0, 1)
    d.add(
        "AveragePool",
        d.name,
        count_include_pad=count,
        **_window(d, dilations=d.opset >= 19, ceil=d.opset >= 10),
    )


def _lp_pool(d: Draft) -> None:
    d.add(
        "LpPool", d.name, p=d.pick(None, 1, 2, 3), **_window(d, dilations=d.opset >= 18, ceil=d.opset >= 18)
    )


def _conv(d: Draft) -> None:
    window = _window(d, dilations=True, ceil=False)
    c = d.shape[1]
    group = d.pick(1, 1, c)
    out = group * int(d.rng.integers(1, 3))
    weight = d.const(d.normal(out, c // group, *window["kernel_shape"]))
    bias = [d.const(d.normal(out))] if d.rng.random() < 0.5 else []
    d.add("Conv", d.name, weight, *bias, group=group, **window)


def _conv_transpose(d: Draft) -> None:
    window = _window(d, dilations=True, ceil=False)
    c = d.shape[1]
    group = d.pick(1, 1, c)
    out = int(d.rng.integers(1, 3))
    weight = d.const(d.normal(c, out, *window["kernel_shape"]))
    bias = [d.const(d.normal(out * group))] if d.rng.random() < 0.5 else []
    extra = d.pick(None, None, [int(d.rng.integers(0, 2)) for _ in range(d.rank - 2)])
    d.add("ConvTranspose", d.name, weight, *bias, group=group, output_padding=extra, **window)


def _gemm(d: Draft) -> None:
    rows, columns = d.shape
    turn, other = d.pick(None, 1), d.pick(None, 1)
    m, k = (columns, rows) if turn else (rows, columns)
    n = int(d.rng.integers(1, 4))
    weight = d.const(d.normal(*((n, k) if other else (k, n))))
    shape = d.pick(None, (n,), (1, n), (m, n), (m, 1), (1, 1), (1,), ())
    bias = [] if shape is None else [d.const(d.normal(*shape))]
    if not bias and d.opset < 11:
        bias = [d.const(d.normal(n))]
    d.add(
        "Gemm",
        d.name,
        weight,
        *bias,
        transA=turn,
        transB=other,
        alpha=d.pick(None, 0.5),
        beta=d.pick(None, 2.0),
    )


def _matmul(d: Draft) -> None:
    k = d.shape[-1]
    shape = d.pick((k, 2), (k,), (2, k, 3)) if d.rank > 1 else d.pick((k, 2), (k,))
    d.add("MatMul", d.name, d.const(d.normal(*shape)))


def _resize(d: Draft) -> None:
    spatial = d.rank - 2
    factors = [1.0, 1.0] + [float(d.pick(0.5, 2.0, 1.5, 0.6, 1.3, 3.0, 0.77)) for _ in range(spatial)]
    mode = d.pick("nearest", "linear", "cubic")
    if d.opset < 9:
        d.add("Upsample", d.name, mode=d.pick("nearest", "linear"), scales=[max(1.0, f) for f in factors])
    elif d.opset == 9:
        d.add("Upsample", d.name, d.const([max(1.0, f) for f in factors]), mode=d.pick("nearest", "linear"))
    elif d.opset == 10:
        d.add("Resize", d.name, d.const(factors), mode=d.pick("nearest", "linear"))
    else:
        where = d.pick(None, "half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
        nearest = d.pick(None, "round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
        antialias = d.pick(None, 0, 1) if d.opset >= 18 and mode != "nearest" else None
        empty = d.const([], np.float32)
        if d.rng.random() < 0.5:
            sizes = [n if k < 2 else max(1, int(n * factors[k])) for k, n in enumerate(d.shape)]
            inputs = [d.name, empty, empty, d.const(sizes, np.int64)]
        else:
            inputs = [d.name, empty, d.const(factors, np.float32)]
        d.add(
            "Resize", *inputs, mode=mode, coordinate_transformation_mode=where,
            nearest_mode=nearest if mode == "nearest" else None, antialias=antialias,
            exclude_outside=d.pick(None, 1) if mode == "cubic" else None,
        )  # fmt: skip


def _prelu(d: Draft) -> None:
    shape = d.pick(d.shape, d.shape[1:], (d.shape[-1],), (1,), (d.shape[1], *[1] * (d.rank - 2)))
    d.add("PRelu", d.name, d.const(d.normal(*shape)))


def _dropout(d: Draft) -> None:
    d.add("Dropout", d.name)


CATALOGUE: dict[str, Callable[[Draft], None]] = {
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
    **{k: _normalise(k) for k in ("Softmax", "LogSoftmax", "Hardmax")},
    "LpNormalization": _lp_normalise, "LayerNormalization": _layer_norm, "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm, "LRN": _lrn,
    **{k: _reduce(k) for k in (
        "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
        "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp",
    )},
    "ArgMax": _arg("ArgMax"), "ArgMin": _arg("ArgMin"), "TopK": _topk, "CumSum": _cumsum,
    "Reshape": _reshape, "Flatten": _flatten, "Transpose": _transpose, "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze, "Slice": _slice, "Pad": _pad, "Concat": _concat, "Split": _split, "Tile": _tile,
    "Expand": _expand, "Gather": _gather, "GatherElements": _gather_elements,
    "DepthToSpace": _depth("DepthToSpace"), "SpaceToDepth": _depth("SpaceToDepth"), "Trilu": _trilu,
    "MaxPool": _max_pool, "AveragePool": _average_pool, "LpPool": _lp_pool, "Conv": _conv,
    "ConvTranspose": _conv_transpose, "Gemm": _gemm, "MatMul": _matmul, "Resize": _resize, "PRelu": _prelu,
    "Dropout": _dropout,
}  # fmt: skip
