# SPDX-License-Identifier: Apache-2.0
"""The table of one-operator models: every test of an argument `case` runs on all of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper, shape_inference

from vnnverify.importer import Model, read_model

RNG = np.random.default_rng(7)


def weights(*shape: int) -> np.ndarray:
    return RNG.uniform(-1, 1, shape).astype(np.float32)


def number(value: float) -> np.ndarray:
    return np.array(value, dtype=np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


@dataclass(frozen=True)
class Case:
    """One node. A tuple is a variable of that shape, an array a constant, None an input left out."""

    op: str
    inputs: tuple[Any, ...]
    attributes: dict[str, Any]
    opset: int
    outputs: int
    low: float
    high: float
    note: str
    whole: bool = False  # whether the node reads its variables cast to whole numbers
    kind: int = TensorProto.FLOAT  # of the outputs

    @property
    def id(self) -> str:
        shapes = "x".join("_".join(map(str, i)) or "scalar" for i in self.inputs if isinstance(i, tuple))
        given = "-".join(f"{k}={v}".replace(" ", "") for k, v in self.attributes.items())
        return "-".join(p for p in (self.op, str(self.opset), shapes, given, self.note) if p)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape of the outputs where onnx does not infer it."""
        uninferred = ("GroupNormalization", "MeanVarianceNormalization")
        return self.inputs[0] if self.op in uninferred else None

    @property
    def data(self) -> bytes:
        names = [f"in{k}" if i is not None else "" for k, i in enumerate(self.inputs)]
        outs = [f"out{k}" for k in range(self.outputs)]
        nodes, read = [], list(names)
        kinds = [self.kind] * self.outputs
        if self.op == "TopK":
            kinds = [TensorProto.INT64 if self.whole else TensorProto.FLOAT, TensorProto.INT64]
        for k, i in enumerate(self.inputs):
            if self.whole and isinstance(i, tuple):
                read[k] = f"whole{k}"
                nodes.append(helper.make_node("Cast", [names[k]], [read[k]], to=TensorProto.INT64))
        nodes.append(helper.make_node(self.op, read, outs, name="the_node", **self.attributes))
        graph = helper.make_graph(
            nodes,
            "one",
            [
                helper.make_tensor_value_info(n, TensorProto.FLOAT, i)
                for n, i in zip(names, self.inputs, strict=True)
                if isinstance(i, tuple)
            ],
            [helper.make_tensor_value_info(n, kind, self.shape) for n, kind in zip(outs, kinds, strict=True)],
            [
                numpy_helper.from_array(i, n)
                for n, i in zip(names, self.inputs, strict=True)
                if isinstance(i, np.ndarray)
            ],
        )
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        return shape_inference.infer_shapes(model, data_prop=True).SerializeToString()

    def model(self) -> Model:
        return read_model(self.data, path=self.op)

    def points(self, count: int) -> torch.Tensor:
        """Points (count, n), exact in float32."""
        n = sum(prod(i) for i in self.inputs if isinstance(i, tuple))
        generator = torch.Generator().manual_seed(11)
        x = torch.rand(count, n, generator=generator) * (self.high - self.low) + self.low
        return x.double()


def case(
    op: str,
    *inputs: Any,
    opset: int = 13,
    outputs: int = 1,
    low: float = -2.0,
    high: float = 2.0,
    note: str = "",
    whole: bool = False,
    kind: int = TensorProto.FLOAT,
    **attributes: Any,
) -> Case:
    return Case(op, inputs, attributes, opset, outputs, low, high, note, whole, kind)


def _pool_cases() -> list[Case]:
    image = (1, 2, 7, 6)
    found = []
    for op in ("MaxPool", "AveragePool"):
        found += [
            case(op, image, kernel_shape=[2, 2]),
            case(op, image, kernel_shape=[3, 2], strides=[2, 2]),
            case(op, image, kernel_shape=[3, 3], strides=[2, 1], pads=[1, 1, 0, 1]),
            case(op, image, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
            case(op, image, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1),
            case(op, image, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
            case(op, image, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER"),
            case(op, image, kernel_shape=[3, 3], auto_pad="VALID"),
            case(op, (2, 3, 9), kernel_shape=[4], strides=[3]),
            case(op, (1, 2, 4, 5, 4), kernel_shape=[2, 2, 2], strides=[1, 2, 1]),
        ]
    found += [
        case("MaxPool", image, kernel_shape=[2, 3], dilations=[2, 2], opset=12),
        case("MaxPool", image, kernel_shape=[2, 2], opset=7),
        case("AveragePool", image, kernel_shape=[2, 2], opset=7),
        case("AveragePool", image, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
        case(
            "AveragePool", image, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 1, 1], count_include_pad=1
        ),
        case("AveragePool", image, kernel_shape=[2, 3], dilations=[2, 2], pads=[1, 0, 0, 1], opset=19),
        case(
            "AveragePool",
            image,
            kernel_shape=[2, 2],
            dilations=[3, 1],
            pads=[1] * 4,
            count_include_pad=1,
            opset=19,
        ),
        case("GlobalAveragePool", image),
        case("GlobalMaxPool", image),
    ]
    return found


def _conv_cases() -> list[Case]:
    image = (1, 4, 7, 6)
    return [
        case("Conv", image, weights(3, 4, 3, 2)),
        case("Conv", image, weights(3, 4, 3, 3), weights(3), pads=[1, 1, 1, 1]),
        case("Conv", image, weights(3, 4, 3, 3), weights(3), pads=[2, 0, 1, 1], strides=[2, 3]),
        case("Conv", image, weights(6, 2, 3, 3), weights(6), group=2, strides=[2, 2]),
        case("Conv", image, weights(4, 1, 2, 2), group=4, dilations=[2, 3]),
        case("Conv", image, weights(2, 4, 3, 3), auto_pad="SAME_UPPER", strides=[2, 2]),
        case("Conv", image, weights(2, 4, 2, 2), auto_pad="SAME_LOWER", strides=[2, 1]),
        case("Conv", image, weights(2, 4, 2, 2), auto_pad="VALID", opset=7),
        case("Conv", (3, 4, 7, 6), weights(2, 4, 3, 3), weights(2), note="three images"),
        case("Conv", (1, 2, 9), weights(3, 2, 4), weights(3), strides=[2], pads=[1, 2]),
        case("Conv", (1, 2, 4, 5, 4), weights(2, 2, 2, 3, 2), weights(2), pads=[1, 0, 0, 0, 1, 1]),
        case("ConvTranspose", image, weights(4, 3, 3, 2)),
        case("ConvTranspose", image, weights(4, 3, 3, 3), weights(3), strides=[2, 2], pads=[1, 1, 1, 1]),
        case("ConvTranspose", image, weights(4, 3, 3, 3), strides=[2, 3], output_padding=[1, 2]),
        case("ConvTranspose", image, weights(4, 3, 3, 3), strides=[2, 2], pads=[1, 0, 0, 1]),
        case("ConvTranspose", image, weights(4, 2, 3, 3), weights(4), group=2, dilations=[2, 1]),
        case("ConvTranspose", image, weights(4, 2, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER"),
        case("ConvTranspose", image, weights(4, 2, 3, 3), strides=[2, 2], auto_pad="SAME_LOWER"),
        case("ConvTranspose", image, weights(4, 2, 3, 3), strides=[2, 2], output_shape=[14, 12]),
        case("ConvTranspose", (1, 2, 5), weights(2, 3, 4), weights(3), strides=[3]),
    ]


def _product_cases() -> list[Case]:
    return [
        case("Gemm", (1, 4), weights(4, 3)),
        case("Gemm", (2, 4), weights(3, 4), weights(3), transB=1),
        case("Gemm", (4, 2), weights(3, 4), weights(2, 3), transA=1, transB=1, alpha=0.5, beta=2.0),
        case("Gemm", (2, 4), weights(4, 3), weights(2, 1), opset=9),
        case("Gemm", (2, 4), weights(4, 3), weights(1), opset=11),
        case("Gemm", (2, 4), weights(4, 3), weights(3), opset=7),
        case("Gemm", (2, 4), weights(4, 3), (1, 3), beta=0.5, note="variable C"),
        case("Gemm", weights(2, 4), (4, 3), weights(3), note="constant A"),
        case("Gemm", weights(4, 2), (3, 4), transA=1, transB=1, alpha=3.0, note="constant A"),
        case("Gemm", (2, 4), (4, 3), weights(2, 3), alpha=0.25, note="both variable"),
        case("MatMul", (1, 4), weights(4, 3)),
        case("MatMul", (4,), weights(4, 3), note="vector"),
        case("MatMul", (1,), weights(1, 3), note="vector of one"),
        case("MatMul", (2, 3, 4), weights(4, 3)),
        case("MatMul", (2, 4), weights(4), note="times vector"),
        case("MatMul", (4,), weights(4), note="dot"),
        case("MatMul", weights(3, 4), (4, 2)),
        case("MatMul", weights(3, 4), (4,)),
        case("MatMul", weights(4), (4, 2)),
        case("MatMul", weights(3, 4), (2, 4, 2)),
        case("MatMul", weights(2, 3, 4), (2, 4, 2), note="stack left"),
        case("MatMul", weights(2, 3, 4), (4, 2), note="stack left"),
        case("MatMul", (2, 3, 4), weights(2, 4, 2), note="stack right"),
        case("MatMul", (3, 4), weights(2, 4, 2), note="stack right"),
        case("MatMul", (1, 3, 4), weights(5, 1, 4, 2), note="stack right"),
        case("MatMul", (2, 3), (3, 4), note="both variable"),
        case("MatMul", (2, 2, 3), (3, 4), note="both variable"),
        case("MatMul", (3,), (3, 4), note="both variable"),
        case("MatMul", (2, 3), (3,), note="both variable"),
        case("MatMul", (3,), (3,), note="both variable"),
    ]


def _arithmetic_cases() -> list[Case]:
    found = []
    for op in ("Add", "Sub", "Mul", "Div"):
        low = 0.5 if op == "Div" else -2.0
        positive = RNG.uniform(0.5, 2, (1, 3, 1)).astype(np.float32)
        found += [
            case(op, (2, 3, 4), positive),
            case(op, (2, 3, 4), positive, opset=7),
            case(op, (3, 1), positive, note="enlarged"),
            case(op, (4,), positive, note="enlarged"),
            case(op, (2, 3), number(1.5), note="scalar"),
            case(op, positive, (2, 3, 4), low=low),
            case(op, positive, (4,), low=low, note="enlarged"),
            case(op, (2, 3), (2, 3), low=low),
            case(op, (2, 3), (3,), low=low, note="broadcast"),
            case(op, (2, 1), (1, 3), low=low, note="broadcast"),
        ]
    bn = [weights(3), weights(3), weights(3), weights(3) ** 2 + 0.1]
    found += [
        case("Neg", (2, 3)),
        case("Sum", (2, 3), (3,), (2, 1)),
        case("Sum", (2, 3), weights(2, 3), (2, 3), opset=8),
        case("Sum", (2, 3)),
        case("BatchNormalization", (2, 3, 4, 2), *bn),
        case("BatchNormalization", (2, 3), *bn, epsilon=0.1, opset=9),
        case("BatchNormalization", (1, 3, 5), *bn, opset=7),
        case("BatchNormalization", (1, 3, 5), *bn, opset=15),
        case("ReduceSum", (2, 3, 4), ints(1), keepdims=0),
        case("ReduceSum", (2, 3, 4), ints(-1, 0)),
        case("ReduceSum", (2, 3, 4)),
        case("ReduceSum", (2, 3), ints(), noop_with_empty_axes=1),
        case("ReduceSum", (2, 3, 4), axes=[0, 2], opset=11),
        case("ReduceMean", (2, 3, 4), axes=[-1]),
        case("ReduceMean", (2, 3, 4), axes=[1, 2], keepdims=0),
        case("ReduceMean", (2, 3, 4), ints(2), opset=18),
        case("ReduceMax", (2, 3, 4), axes=[1]),
        case("ReduceMax", (2, 3, 4), axes=[0, 2], keepdims=0),
        case("ReduceMin", (2, 3, 4), axes=[-1]),
        case("ReduceMax", (2, 3), ints(1), opset=18),
        case("Max", (2, 3), (2, 3)),
        case("Max", (2, 3), weights(3), (2, 1)),
        case("Min", (2, 3), (3,)),
        case("Max", (2, 3)),
        case("Softmax", (2, 3), axis=1),
        case("Softmax", (2, 3, 4), axis=-1),
        case("Softmax", (2, 3, 4), axis=1, opset=11, note="flattening"),
        case("Softmax", (2, 3, 4), opset=9, note="flattening"),
    ]
    return found


def _scalar_cases() -> list[Case]:
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


def _logic_cases() -> list[Case]:
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


def _activation_cases() -> list[Case]:
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
        case("Selu", shape, **wide),
        case("Shrink", shape, opset=9, bias=0.25, lambd=0.75),
        case("Shrink", shape, opset=9, bias=0.5, lambd=0.5),
        case("ThresholdedRelu", shape, opset=10, alpha=0.3),
        case("PRelu", (2, 3), (3,), note="computed slope"),
        case("Clip", shape, (), (), note="computed ends", low=-2.0, high=2.0),
        case("LogSoftmax", (2, 3), axis=1),
        case("LogSoftmax", (2, 3, 2), axis=1, opset=11, note="flattening"),
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


def _normalization_cases() -> list[Case]:
    image = (2, 4, 3, 2)
    return [
        case("LayerNormalization", (2, 3, 4), weights(4), weights(4), opset=17),
        case("LayerNormalization", (2, 3, 4), weights(3, 4), axis=1, opset=17, epsilon=0.1),
        case("RMSNormalization", (2, 3, 4), weights(4), opset=23),
        case("InstanceNormalization", image, weights(4), weights(4), epsilon=0.01),
        case("GroupNormalization", image, weights(4), weights(4), num_groups=2, opset=21),
        case("LpNormalization", (2, 3), axis=1),
        case("LpNormalization", (2, 3), axis=0, p=1),
        case("LRN", image, size=3, alpha=0.5, beta=0.75, bias=1.5),
        case("LRN", image, size=1, beta=0.5),
        case("MeanVarianceNormalization", image),
        case("ReduceL1", (2, 3, 4), axes=[1]),
        case("ReduceL2", (2, 3, 4), axes=[0, 2], keepdims=0),
        case("ReduceSumSquare", (2, 3), axes=[1]),
        case("ReduceLogSum", (2, 3), axes=[1], low=0.2),
        case("ReduceLogSumExp", (2, 3, 2), axes=[0, 1]),
        case("ReduceProd", (2, 3), axes=[1], keepdims=0),
        case("ReduceProd", (2, 3), ints(0), opset=18),
    ]


def _order_cases() -> list[Case]:
    block, ints64 = (2, 5, 3), TensorProto.INT64
    top: dict[str, Any] = {"outputs": 2}
    picked: dict[str, Any] = {"low": -2.4, "high": 2.4, "whole": True}
    return [
        case("TopK", block, ints(2), axis=1, **top),
        case("TopK", block, ints(3), largest=0, opset=11, **top),
        case("TopK", (4,), k=2, opset=9, **top),
        case("TopK", (3, 6), ints(6), sorted=1, **top, low=-3.5, high=3.5, whole=True, note="ties"),
        case("Gather", weights(5, 3), (2, 2), **picked, note="computed"),
        case("Gather", weights(2, 5), (3,), axis=1, **picked, note="computed"),
        case("GatherElements", weights(3, 4), (2, 4), **picked, note="computed"),
        case("GatherElements", (3, 4), (2, 3), **picked, note="computed", kind=ints64),
    ]


def _recurrent_cases() -> list[Case]:
    """Three steps of two sequences of two inputs, with three hidden elements."""
    x = (3, 2, 2)
    lengths = np.array([3, 1], np.int32)
    found = []
    for op, gates, outputs in (("RNN", 1, 2), ("GRU", 3, 2), ("LSTM", 4, 3)):
        sizes: dict[str, Any] = {"hidden_size": 3, "outputs": outputs}
        one = weights(1, 3 * gates, 2), weights(1, 3 * gates, 3)
        two = weights(2, 3 * gates, 2), weights(2, 3 * gates, 3), weights(2, 6 * gates)
        states = (None, weights(1, 2, 3)) if op == "RNN" else (None, (1, 2, 3))
        found += [
            case(op, x, *one, opset=7, **sizes),
            case(op, x, *one, weights(1, 6 * gates), *states, **sizes, note="initial state"),
            case(op, x, *two, lengths, opset=14, direction="bidirectional", **sizes, note="lengths"),
        ]
        if op != "GRU":
            found.append(case(op, x, *one, direction="reverse", clip=0.5, opset=14, **sizes))
    gru = weights(1, 9, 2), weights(1, 9, 3), weights(1, 18)
    lstm = weights(1, 12, 2), weights(1, 12, 3), weights(1, 24), None, None, (1, 2, 3), weights(1, 9)
    found += [
        case("GRU", x, *gru, hidden_size=3, outputs=2, linear_before_reset=1),
        case("LSTM", x, *lstm, hidden_size=3, outputs=3, note="peepholes"),
        case("RNN", x, weights(1, 3, 2), weights(1, 3, 3), hidden_size=3, outputs=2, activations=["Relu"]),
    ]
    return found


def _quantized_cases() -> list[Case]:
    """Ranges in which no number lies on the edge between two quantised ones, as float32 has it."""
    shape, scale, byte = (2, 4), np.array(0.05, np.float32), np.array(3, np.int8)
    kind: dict[str, Any] = {"kind": TensorProto.INT8}
    per_channel = np.array([0.05, 0.1, 0.02, 0.3], np.float32), np.array([1, 0, -3, 5], np.int8)
    found = [
        case("QuantizeLinear", shape, scale, byte, **kind),
        case("QuantizeLinear", shape, scale, np.array(100, np.uint8), kind=TensorProto.UINT8),
        case("QuantizeLinear", shape, *per_channel, axis=1, **kind),
    ]
    return found


def _moving_cases() -> list[Case]:
    block = (2, 3, 4)
    resized = np.array([], np.float32), np.array([1, 1, 2, 1.5], np.float32)
    found = [
        case("GatherElements", (2, 3), ints(0, 1, 1, 0, 0, 1).reshape(2, 3), axis=0),
        case("GatherND", block, ints(0, 1, 1, 2).reshape(2, 2)),
        case("GatherND", block, ints(1, 2).reshape(2, 1), batch_dims=1),
        case("ScatterElements", (2, 3), ints(0, 2, 1).reshape(1, 3), (1, 3), axis=1),
        case("ScatterElements", (2, 3), ints(0).reshape(1, 1), weights(1, 1), axis=1),
        case("ScatterND", block, ints(1, 0).reshape(2, 1), (2, 3, 4)),
        case("ScatterND", weights(2, 3), ints(1, 0).reshape(1, 2), (1,)),
        case("Trilu", (3, 4), opset=14),
        case("Trilu", (3, 4), np.array(1), upper=0, opset=14),
        case("Compress", block, np.array([True, False, True]), axis=1),
        case("ReverseSequence", (4, 2), ints(3, 2), batch_axis=1, time_axis=0),
        case("CenterCropPad", (3, 4), ints(5, 2), opset=18),
        case("CumSum", block, np.array(1)),
        case("CumSum", block, np.array(-1), exclusive=1, reverse=1),
        case("Einsum", (2, 3), (3, 4), equation="ij,jk->ik"),
        case("Einsum", (2, 3, 4), weights(2, 4, 5), equation="bij,bjk->bki"),
        case("Einsum", (2, 3, 4), weights(4, 2), equation="...d,dk->...k"),
        case("Einsum", (2, 3, 4), equation="ijk->kj"),
        case("Einsum", (2, 2, 3), (2, 2, 3), equation="bhd,bhd->bh"),
        case("Einsum", weights(3), (4,), equation="i,j->ij"),
        case("Resize", (1, 2, 4, 4), *resized, mode="linear"),
        case("Resize", (1, 2, 4, 4), *resized, mode="cubic"),
        case("Resize", (1, 1, 3, 4), None, None, ints(1, 1, 6, 8), mode="linear"),
        case("Resize", (1, 1, 3, 4), None, None, ints(1, 1, 7, 6), mode="linear", note="not a whole factor"),
        case("Resize", (1, 1, 4, 4), *resized, mode="linear", coordinate_transformation_mode="align_corners"),
        case("Resize", (1, 1, 4, 4), *resized, mode="linear", coordinate_transformation_mode="asymmetric"),
        case("Upsample", (1, 1, 3, 2), np.array([1, 1, 2, 2], np.float32), opset=9, mode="linear"),
    ]
    return found


def _arrangement_cases() -> list[Case]:
    block = (2, 3, 4)
    return [
        case("Reshape", block, ints(4, -1)),
        case("Reshape", block, ints(0, 2, -1)),
        case("Reshape", (1, 6), ints(2, 3), opset=7),
        case("Flatten", block),
        case("Flatten", block, axis=0),
        case("Flatten", block, axis=2, opset=9),
        case("Flatten", block, axis=-1),
        case("Flatten", block, axis=3),
        case("Squeeze", (1, 3, 1, 2), ints(0, 2)),
        case("Squeeze", (1, 3, 1, 2)),
        case("Squeeze", (1, 3, 1, 2), axes=[-2], opset=11),
        case("Unsqueeze", (2, 3), ints(0, -1)),
        case("Unsqueeze", (2, 3), axes=[1, 2], opset=11),
        case("Transpose", block),
        case("Transpose", block, perm=[1, 2, 0]),
        case("Concat", (2, 3), (2, 2), axis=1),
        case("Concat", (2, 3), weights(1, 3), (1, 3), axis=-2),
        case("Slice", block, ints(1, 0), ints(3, -1), ints(1, -1)),
        case("Slice", block, ints(-1), ints(-100), ints(2), ints(-2), note="backwards"),
        case("Slice", block, ints(1), ints(9223372036854775807), ints(2), ints(2)),
        case("Slice", block, starts=[0, 1], ends=[2, 100], opset=9),
        case("Split", (2, 6), ints(1, 2, 3), axis=1, outputs=3),
        case("Split", (2, 6), axis=-1, outputs=2),
        case("Split", (2, 6), axis=1, split=[4, 2], outputs=2, opset=11),
        case("Split", (7, 2), axis=0, num_outputs=3, outputs=3, opset=18),
        case("Gather", block, ints(0, 2, 2), axis=1),
        case("Gather", block, np.array(-1), axis=2),
        case("Gather", block, ints(1, 0, 0, 1).reshape(2, 2)),
        case("Pad", (2, 3), ints(1, 0, 0, 2)),
        case("Pad", (2, 3), ints(1, 0, 0, 2), number(1.5), note="filled"),
        case("Pad", (2, 3), ints(-1, 1, 0, -1), note="cropped"),
        case("Pad", (2, 3), ints(0, 1, 0, 1), mode="reflect"),
        case("Pad", (2, 3), ints(2, 1, 0, 1), mode="edge"),
        case("Pad", (2, 3), ints(1, 2), number(0), ints(1), opset=18, note="axes"),
        case("Pad", (2, 3), pads=[0, 1, 1, 1], value=-1.0, opset=10),
        case("Expand", (3, 1), ints(2, 1, 4)),
        case("Expand", (3, 4), ints(1)),
        case("Tile", (2, 3), ints(2, 3)),
        case("Upsample", (1, 2, 3, 2), np.array([1, 1, 2, 3], np.float32), opset=9),
        case("Upsample", (1, 2, 3, 2), scales=[1.0, 1.0, 2.0, 2.0], opset=7),
        case("Resize", (1, 2, 3, 2), None, np.array([1, 1, 2, 3], np.float32), note="default"),
        case(
            "Resize",
            (1, 2, 3, 2),
            np.array([], np.float32),
            np.array([1, 1, 2, 2], np.float32),
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        case("Resize", (1, 2, 4, 6), None, None, ints(1, 2, 2, 3), mode="nearest"),
        case("Resize", (1, 2, 4, 6), None, None, ints(1, 2, 8, 9), mode="nearest"),
        case("Resize", (1, 1, 3, 2), np.array([1, 1, 2, 2], np.float32), opset=10),
        case("DepthToSpace", (1, 8, 2, 3), blocksize=2),
        case("DepthToSpace", (1, 8, 2, 3), blocksize=2, mode="CRD"),
        case("SpaceToDepth", (1, 2, 4, 6), blocksize=2),
        case("Where", np.array([[True, False, True]]), (2, 3), weights(2, 3)),
        case("Where", np.array([[True, False, True]]), (2, 3), (1, 3)),
    ]


CASES: list[Case] = [
    *_pool_cases(),
    *_conv_cases(),
    *_product_cases(),
    *_arithmetic_cases(),
    *_scalar_cases(),
    *_logic_cases(),
    *_activation_cases(),
    *_normalization_cases(),
    *_order_cases(),
    *_recurrent_cases(),
    *_quantized_cases(),
    *_moving_cases(),
    *_arrangement_cases(),
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", CASES, ids=lambda c: c.id)
