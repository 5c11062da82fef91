# SPDX-License-Identifier: Apache-2.0
"""The built-in operators with shapes and ranges to try them on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from vnnverify.ir import Graph, Node, Op, Shape, Value
from vnnverify.ops.argmax import ArgMax
from vnnverify.ops.arrangement import Concat, Expand, Pad, Reshape, Select, Transpose
from vnnverify.ops.bilinear import MatMul, Mul
from vnnverify.ops.choice import Choice
from vnnverify.ops.conv import Conv, ConvTranspose
from vnnverify.ops.finite import NotFinite
from vnnverify.ops.gates import Gelu, GeluTanh, HardSwish, Mish, Silu
from vnnverify.ops.linear import LeftLinear, Linear, SparseLinear, entries
from vnnverify.ops.masked import Masked
from vnnverify.ops.maximum import Max, MaxPool, ReduceMax
from vnnverify.ops.order import Pick, TopPlaces, TopValues
from vnnverify.ops.periodic import Cos, Sin
from vnnverify.ops.piecewise import Abs, Clip, LeakyRelu, Relu, Tent
from vnnverify.ops.requantized import Lookup, NearestWhole
from vnnverify.ops.rounding import Rounded, Within
from vnnverify.ops.scale import Scale
from vnnverify.ops.sigmoidal import Erf, Sigmoid, Tanh
from vnnverify.ops.smooth import Elu, Exp, InverseSqrt, Log, Power, Reciprocal, Softplus, Sqrt
from vnnverify.ops.softmax import LogSoftmax, Softmax
from vnnverify.ops.steps import Ceil, Floor, Round, Sign, Spike, Step, Trunc
from vnnverify.ops.sums import AveragePool, ReduceSum, Sum
from vnnverify.ops.trigonometry import Acos, Acosh, Asin, Asinh, Atan, Atanh, Cosh, Sinh, Softsign

__all__ = ["OperatorCase", "operator_cases", "single"]


@dataclass(frozen=True, slots=True, eq=False)
class OperatorCase:
    """An operator, the ONNX shapes of its inputs, and the range in which each input number lies."""

    name: str
    op: Op
    shapes: tuple[Shape, ...]
    low: float = -4.0
    high: float = 4.0

    @property
    def graph(self) -> Graph:
        """The operator alone."""
        return single(self.op, *self.shapes)


def single(op: Op, *shapes: Shape) -> Graph:
    """A graph of one node."""
    inputs = tuple(Value(f"x{k}", shape) for k, shape in enumerate(shapes))
    output = Value("y", op.output_shape(*shapes))
    return Graph(inputs, (output,), (Node(op, inputs, output, op.kind),))


def _numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _table() -> Lookup:
    return Lookup(-3, torch.round(8 * _numbers(7)))


def _sparse() -> SparseLinear:
    i, j = torch.tensor([0, 0, 2, 2, 2]), torch.tensor([1, 3, 0, 1, 3])
    weight = entries(i, j, _numbers(5), (3, 4))
    return SparseLinear(weight, weight.T.coalesce(), _numbers(3, seed=1))


def _affine() -> Iterator[OperatorCase]:
    vector, image = ((4,),), ((1, 2, 5, 4),)
    yield OperatorCase("Linear", Linear(_numbers(3, 4), _numbers(3)), vector)
    yield OperatorCase("Linear/rows", Linear(_numbers(3, 4)), ((2, 4),))
    yield OperatorCase("SparseLinear", _sparse(), vector)
    yield OperatorCase("SparseLinear/rows", _sparse(), ((2, 4),))
    yield OperatorCase("LeftLinear", LeftLinear(_numbers(3, 2)), ((2, 4),))
    yield OperatorCase("Scale", Scale(_numbers(4), _numbers(4, seed=1)), vector)
    yield OperatorCase("Scale/shift", Scale(None, _numbers(1)), vector)
    conv = Conv(_numbers(3, 2, 3, 2), _numbers(3), (2, 1), (1, 0), (0, 1), (1, 1))
    yield OperatorCase("Conv", conv, image)
    yield OperatorCase(
        "Conv/groups", Conv(_numbers(4, 1, 2, 2), None, (1, 1), (0, 0), (0, 0), (2, 1), 2), image
    )
    back = ConvTranspose(_numbers(2, 3, 2, 2), _numbers(3), (2, 2), (0, 1), (0, 1), (1, 1))
    yield OperatorCase("ConvTranspose", back, image)
    weight = torch.full((2, 3), 1 / 4, dtype=torch.float64)
    yield OperatorCase("AveragePool", AveragePool((2, 2), (2, 1), (0, 0), (0, 0), weight), image)
    yield OperatorCase("ReduceSum", ReduceSum((1, 3), False, 0.125, 8), image)
    yield OperatorCase("Sum", Sum((1, -1, 1)), vector * 3)
    yield OperatorCase("Reshape", Reshape((2, 2)), vector)
    yield OperatorCase("Transpose", Transpose((0, 2, 3, 1)), image)
    yield OperatorCase("Select", Select.of(torch.tensor([[3, 0], [0, 1]]), (2, 2)), vector)
    yield OperatorCase("Concat", Concat(0), (*vector, (2,)))
    yield OperatorCase("Pad", Pad((0, 0, 1, 0), (0, 0, 0, 2)), image)
    yield OperatorCase("Expand", Expand.of((2, 1), (3, 2, 4)), ((2, 1),))


def _elementwise() -> Iterator[OperatorCase]:
    vector = ((4,),)
    functions: tuple[Op, ...] = (Relu(), LeakyRelu(0.25), Abs(), Clip(-1.0, 2.0), Sigmoid(), Tanh(), Erf())
    functions += (Exp(), Elu(1.5), Softplus(), Sign(), Floor(), Sin(), Cos(), Tent(), Spike())
    functions += (Ceil(), Round(), Trunc(), Step(), NearestWhole(), _table())
    functions += (Rounded(2, -2, 64.0), Within(-99.0, 99.0))
    for op in functions:
        yield OperatorCase(op.kind, op, vector)
    functions = (Gelu(), GeluTanh(), Silu(), Mish(), HardSwish(), Atan(), Softsign(), Sinh(), Cosh(), Asinh())
    for op in functions:
        yield OperatorCase(op.kind, op, vector)
    for op in (Asin(), Acos(), Atanh()):
        yield OperatorCase(op.kind, op, vector, -0.95, 0.95)
    yield OperatorCase("Acosh", Acosh(), vector, 1.125, 9.0)
    yield OperatorCase("Power/2", Power(2.0), vector)
    yield OperatorCase("Power/3", Power(3.0), vector)
    yield OperatorCase("Log", Log(), vector, 0.125, 9.0)
    yield OperatorCase("Sqrt", Sqrt(), vector, 0.125, 9.0)
    yield OperatorCase("InverseSqrt", InverseSqrt(), vector, 0.125, 9.0)
    yield OperatorCase("Reciprocal", Reciprocal(), vector, 0.125, 9.0)
    yield OperatorCase("Reciprocal/negative", Reciprocal(), vector, -9.0, -0.125)
    yield OperatorCase("Power/1.5", Power(1.5), vector, 0.125, 9.0)


def _others() -> Iterator[OperatorCase]:
    pool = MaxPool((2, 2), (2, 1), (1, 0), (0, 0), (1, 1))
    yield OperatorCase("MaxPool", pool, ((1, 2, 4, 4),))
    yield OperatorCase("ReduceMax", ReduceMax((1,), False), ((3, 4),))
    yield OperatorCase("Max", Max(), ((4,), (4,)))
    yield OperatorCase("Mul", Mul(), ((4,), (4,)))
    yield OperatorCase("MatMul", MatMul(), ((2, 3), (3, 2)))
    yield OperatorCase("ArgMax", ArgMax(1, False), ((3, 4),))
    yield OperatorCase("ArgMax/last", ArgMax(0, True, last=True), ((3, 2),))
    yield OperatorCase("TopValues", TopValues(1, 2), ((3, 4),))
    yield OperatorCase("TopPlaces", TopPlaces(0, 2), ((3, 4),))
    test = NotFinite(nan=False, positive=True, negative=True, largest=2.0, limit=1.0)
    yield OperatorCase("NotFinite", test, ((4,), (2,)))
    yield OperatorCase("Masked", Masked(torch.tensor([False, True, False, True])), ((4,),))
    yield OperatorCase("Pick", Pick(), ((2, 3, 2), (2, 4, 2)), -1.0, 2.0)
    yield OperatorCase("Choice", Choice(), ((4,), (4,), (4,)), -1.0, 2.0)
    yield OperatorCase("Softmax", Softmax(0), ((4,),))
    yield OperatorCase("LogSoftmax", LogSoftmax(0), ((4,),))
    yield OperatorCase("Softmax/pairs", Softmax(1), ((3, 2),))
    yield OperatorCase("Softmax/columns", Softmax(0), ((2, 3),))


@cache
def operator_cases() -> tuple[OperatorCase, ...]:
    """All cases, each name once."""
    return (*_affine(), *_elementwise(), *_others())
