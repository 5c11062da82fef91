# SPDX-License-Identifier: Apache-2.0
"""Activation functions that are one function of the graph, or few."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial

import numpy as np

from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.readers.arithmetic import divided, fraction, negated, scaled, scaled_by
from vnnverify.importer.readers.order import first_maximum, flattened
from vnnverify.importer.registry import reads
from vnnverify.ir import Op, Value
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.gates import Gelu, GeluTanh, HardSwish, Mish, Silu
from vnnverify.ops.periodic import Cos, Sin
from vnnverify.ops.piecewise import Clip, LeakyRelu, Relu
from vnnverify.ops.smooth import Elu, Exp, Reciprocal
from vnnverify.ops.softmax import LogSoftmax, Softmax
from vnnverify.ops.steps import Step
from vnnverify.ops.sums import Sum
from vnnverify.ops.trigonometry import (
    Acos,
    Acosh,
    Asin,
    Asinh,
    Atan,
    Atanh,
    Cosh,
    Sinh,
    Softsign,
)

__all__: list[str] = []

_PLAIN: dict[str, Callable[[], Op]] = {
    "Acos": Acos,
    "Acosh": Acosh,
    "Asin": Asin,
    "Asinh": Asinh,
    "Atan": Atan,
    "Atanh": Atanh,
    "Cosh": Cosh,
    "HardSwish": partial(HardSwish, source=(Fraction(1, 6), Fraction(1, 2))),
    "Mish": Mish,
    "Sinh": Sinh,
    "Softsign": Softsign,
}


@reads(*_PLAIN)
def _plain(node: NodeView) -> Operand:
    return node.add(_PLAIN[node.op_type](), node.variable())


@reads("LeakyRelu")
def _leaky_relu(node: NodeView) -> Operand:
    return node.add(LeakyRelu(float(node.attribute("alpha", 0.01))), node.variable())


@reads("PRelu")
def _prelu(node: NodeView) -> Operand:
    """LeakyRelu, or with slopes that differ a·x + (1 − a)·relu(x), or computed relu(x) − a·relu(−x)."""
    x, slope = node.variable(), node.operand(1)
    if isinstance(slope, Value):
        bent = node.add(Mul(), *node.aligned(slope, node.add(Relu(), negated(node, x))))
        return node.add(Sum((1, -1)), *node.aligned(node.add(Relu(), x), bent))
    alpha = np.asarray(slope, dtype=np.float64)
    x = node.expanded(x, node.broadcast(x.shape, alpha.shape))
    if alpha.size and (alpha == alpha.flat[0]).all():
        return node.add(LeakyRelu(float(alpha.flat[0])), x)
    bent = scaled(node, node.add(Relu(), x), 1 - alpha, None)
    return node.add(Sum((1, 1)), *node.aligned(scaled(node, x, alpha, None), bent))


@reads("Elu")
def _elu(node: NodeView) -> Operand:
    return node.add(Elu(float(node.attribute("alpha", 1.0))), node.variable())


@reads("Selu")
def _selu(node: NodeView) -> Operand:
    alpha = float(node.attribute("alpha", 1.67326319217681884765625))
    gamma = float(node.attribute("gamma", 1.05070102214813232421875))
    return scaled(node, node.add(Elu(alpha), node.variable()), np.array(gamma), None)


@reads("Celu")
def _celu(node: NodeView) -> Operand:
    """max(0, x) + min(0, alpha·(exp(x/alpha) − 1)): for a negative alpha x, or below zero −c·(exp(−x/c) − 1)
    with c = −alpha."""
    alpha, x = float(node.attribute("alpha", 1.0)), node.variable()
    if alpha == 0.0:
        raise node.error("divides by an alpha of zero; the model computes NaN")
    c = np.array(abs(alpha))
    if alpha > 0:
        return scaled(node, node.add(Elu(1.0), divided(node, x, c)), c, None)
    below = divided(node, node.add(Relu(), negated(node, x)), c)
    fall = scaled(node, scaled(node, node.add(Exp(), below), None, np.array(-1.0)), c, None)
    return node.add(Sum((1, -1)), node.add(Relu(), x), fall)


@reads("HardSigmoid")
def _hard_sigmoid(node: NodeView) -> Operand:
    alpha, beta = float(node.attribute("alpha", 0.2)), float(node.attribute("beta", 0.5))
    return node.add(Clip(0.0, 1.0), scaled(node, node.variable(), np.array(alpha), np.array(beta)))


@reads("Gelu")
def _gelu(node: NodeView) -> Operand:
    exact = node.attribute("approximate", "none") == "none"
    return node.add(Gelu(source="Gelu") if exact else GeluTanh(source="Gelu"), node.variable())


@reads("Swish")
def _swish(node: NodeView) -> Operand:
    """x·sigmoid(alpha·x)."""
    alpha, x = float(node.attribute("alpha", 1.0)), node.variable()
    if alpha == 0.0:
        return scaled(node, x, np.array(0.5), None)
    return divided(node, node.add(Silu(), scaled(node, x, np.array(alpha), None)), np.array(alpha))


@reads("Tan")
def _tan(node: NodeView) -> Operand:
    """sin(x)·(1/cos(x))."""
    x = node.variable()
    return node.add(Mul(), node.add(Sin(), x), node.add(Reciprocal(), node.add(Cos(), x)))


def _beyond(node: NodeView, x: Value, threshold: float, jump: Fraction) -> Value:
    """x − threshold + jump where x > threshold, else 0."""
    above = scaled(node, x, None, np.array(-threshold))
    ramp = node.add(Relu(), above)
    if not jump:
        return ramp
    return node.add(Sum((1, 1)), ramp, scaled_by(node, node.add(Step(), above), jump))


@reads("ThresholdedRelu")
def _thresholded_relu(node: NodeView) -> Operand:
    """x where x > alpha, else 0."""
    alpha = float(node.attribute("alpha", 1.0))
    return _beyond(node, node.variable(), alpha, fraction(node, alpha))


@reads("Shrink")
def _shrink(node: NodeView) -> Operand:
    """x + bias below −lambd, else x − bias above lambd, else 0."""
    edge, bias = float(node.attribute("lambd", 0.5)), float(node.attribute("bias", 0.0))
    x = node.variable()
    if edge < 0:  # there is no middle: x + bias up to −lambd, then x − bias
        beyond = node.add(Step(True), scaled(node, x, None, np.array(edge)))
        lift = scaled_by(node, beyond, -2 * fraction(node, bias), fraction(node, bias))
        return node.add(Sum((1, 1)), x, lift)
    jump = fraction(node, edge) - fraction(node, bias)
    right, left = (_beyond(node, part, edge, jump) for part in (x, negated(node, x)))
    return node.add(Sum((1, -1)), right, left)


@reads("Softmax", "LogSoftmax", since=13)
def _softmax(node: NodeView) -> Operand:
    x = node.variable()
    axis = node.axis(int(node.attribute("axis", -1)), len(x.shape))
    return _over_axis(node, x, axis)


@reads("Softmax", "LogSoftmax")
def _flat_softmax(node: NodeView) -> Operand:
    """Before opset 13: over all axes from `axis` on."""
    x = node.variable()
    found = _over_axis(node, flattened(node, x), 1)
    return node.reshaped(found, x.shape) if isinstance(found, Value) else found.reshape(x.shape)


@reads("Hardmax", since=13)
def _hardmax(node: NodeView) -> Operand:
    """1 at the position of the first maximum, else 0."""
    x = node.variable()
    return first_maximum(node, x, node.axis(int(node.attribute("axis", -1)), len(x.shape)))


@reads("Hardmax")
def _flat_hardmax(node: NodeView) -> Operand:
    """Before opset 13: of all axes from `axis` on together."""
    x = node.variable()
    return node.reshaped(first_maximum(node, flattened(node, x), 1), x.shape)


def _over_axis(node: NodeView, x: Value, axis: int) -> Operand:
    log = node.op_type == "LogSoftmax"
    if x.shape[axis] == 1:
        return np.zeros(x.shape) if log else np.ones(x.shape)
    return node.add(LogSoftmax(axis) if log else Softmax(axis), x)
