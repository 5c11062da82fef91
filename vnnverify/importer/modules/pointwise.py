# SPDX-License-Identifier: Apache-2.0
"""Activations and other functions of one variable."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import inf

from vnnverify.importer.modules.arithmetic import scaled
from vnnverify.importer.modules.call import Call, Operand, reads
from vnnverify.ir import Op
from vnnverify.ops.gates import Gelu, GeluTanh, HardSwish, Mish, Silu
from vnnverify.ops.periodic import Cos, Sin
from vnnverify.ops.piecewise import Abs, Clip, LeakyRelu, Relu
from vnnverify.ops.sigmoidal import Erf, Sigmoid, Tanh
from vnnverify.ops.smooth import Elu, Exp, InverseSqrt, Log, Power, Reciprocal, Softplus, Sqrt
from vnnverify.ops.softmax import LogSoftmax, Softmax
from vnnverify.ops.sums import Sum
from vnnverify.ops.trigonometry import Atan, Softsign

__all__: list[str] = []

SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
"""Klambauer et al., Self-normalizing neural networks, NeurIPS 2017, as torch has them."""

_PLAIN: dict[str, Callable[[], Op]] = {
    "abs": Abs,
    "atan": Atan,
    "cos": Cos,
    "erf": Erf,
    "exp": Exp,
    "hardswish": HardSwish,
    "log": Log,
    "mish": Mish,
    "reciprocal": Reciprocal,
    "relu": Relu,
    "rsqrt": InverseSqrt,
    "sigmoid": Sigmoid,
    "silu": Silu,
    "sin": Sin,
    "softsign": Softsign,
    "sqrt": Sqrt,
    "tanh": Tanh,
}


@reads(*_PLAIN)
def _plain(call: Call) -> Operand:
    return call.add(_PLAIN[call.operator](), call.input())


@reads("gelu")
def _gelu(call: Call) -> Operand:
    return call.add(GeluTanh() if call["approximate"] == "tanh" else Gelu(), call.input())


@reads("leaky_relu")
def _leaky_relu(call: Call) -> Operand:
    return call.add(LeakyRelu(call.number("negative_slope", 0.01)), call.input())


@reads("prelu")
def _prelu(call: Call) -> Operand:
    """relu(x) − weight·relu(−x), with one weight, or one per channel."""
    x, weight = call.input(), call.constant("weight")
    assert weight is not None
    if weight.numel() > 1:
        weight = weight.reshape(-1, *(1,) * (len(x.shape) - 2))
    positive = call.add(Relu(), x)
    negative = call.add(Relu(), scaled(call, x, -1.0))
    return call.add(Sum((1, -1)), positive, scaled(call, negative, weight))


@reads("elu")
def _elu(call: Call) -> Operand:
    if call.number("input_scale", 1.0) != 1.0:
        raise call.unsupported("an elu whose input is scaled")
    return scaled(call, call.add(Elu(call.number("alpha", 1.0)), call.input()), call.number("scale", 1.0))


@reads("selu")
def _selu(call: Call) -> Operand:
    return scaled(call, call.add(Elu(SELU_ALPHA), call.input()), SELU_SCALE)


@reads("softplus")
def _softplus(call: Call) -> Operand:
    """Beyond the threshold torch takes x itself, which is off by less than exp(−threshold)."""
    if call.number("beta", 1.0) != 1.0 or call.number("threshold", 20.0) < 20.0:
        raise call.unsupported("a softplus with beta other than 1, or a threshold below 20,")
    return call.add(Softplus(), call.input())


@reads("clamp", "clip", "hardtanh", "relu6")
def _clamp(call: Call) -> Operand:
    low, high = {"hardtanh": (-1.0, 1.0), "relu6": (0.0, 6.0)}.get(call.operator, (-inf, inf))
    ends = [
        call.number(name if name in call.arguments else f"{name}_val", end)
        for name, end in (("min", low), ("max", high))
    ]
    return call.add(Clip(*ends), call.input())


@reads("clamp_min", "clamp_max")
def _one_end(call: Call) -> Operand:
    return call.add(Clip(call.number("min", -inf), call.number("max", inf)), call.input())


@reads("hardsigmoid")
def _hardsigmoid(call: Call) -> Operand:
    return call.add(Clip(0.0, 1.0), scaled(call, call.input(), Fraction(1, 6), Fraction(1, 2)))


@reads("pow")
def _power(call: Call) -> Operand:
    exponent = call.number("exponent", 1.0)
    x = call.input()
    if exponent == 1:
        return x
    if exponent < 0:
        x, exponent = call.add(Reciprocal(), x), -exponent
    if exponent in (0.5, 1.0):
        return x if exponent == 1 else call.add(Sqrt(), x)
    if exponent == 0:
        raise call.unsupported("a power of zero")
    return call.add(Power(exponent), x)


@reads("square")
def _square(call: Call) -> Operand:
    return call.add(Power(2.0), call.input())


@reads("softmax", "_softmax", "log_softmax", "_log_softmax")
def _softmax(call: Call) -> Operand:
    x = call.input()
    axis = int(call["dim"]) % len(x.shape)
    if x.shape[axis] < 2:
        raise call.unsupported("a softmax over a single element")
    kind = LogSoftmax if "log" in call.operator else Softmax
    return call.add(kind(axis), x)
