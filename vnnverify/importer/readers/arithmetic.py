# SPDX-License-Identifier: Apache-2.0
"""Add, Sub, Mul, Div, Mod, Neg, Sum, Pow, BatchNormalization: what depends on constants is settled here."""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal, localcontext
from fractions import Fraction
from math import isfinite

import numpy as np
import torch

from vnnverify.importer.builder import NodeView, Operand, as_tensor
from vnnverify.importer.registry import reads
from vnnverify.ir import Value
from vnnverify.ops.arrangement import Concat, Constant, Select
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.masked import Masked
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.scale import Scale
from vnnverify.ops.smooth import Exp, Log, Power, Reciprocal, Sqrt
from vnnverify.ops.steps import Floor, Trunc
from vnnverify.ops.sums import Sum

__all__ = [
    "batch_normalization",
    "divided",
    "fraction",
    "masked",
    "negated",
    "scaled",
    "scaled_by",
    "subtracted",
]

_ZERO = Fraction(0)


def scaled(
    node: NodeView,
    x: Value,
    scale: np.ndarray | None,
    shift: np.ndarray | None,
    source: Hashable = None,
) -> Value:
    """s·x + t with constants of any shape that broadcasts with x; x is enlarged first if they ask for it.

    Args:
        source: what the constants are roundings of, see `Scale`.
    """
    parts = [None if c is None else np.asarray(c, dtype=np.float64) for c in (scale, shift)]
    x = node.expanded(x, node.broadcast(x.shape, *(c.shape for c in parts if c is not None)))
    s, t = (None if c is None else as_tensor(c.reshape(_ranked(c.shape, len(x.shape)))) for c in parts)
    return node.add(Scale(s, t, source), x)


def scaled_by(
    node: NodeView, x: Value, factor: Fraction, shift: Fraction = _ZERO, shape: tuple[int, ...] = ()
) -> Value:
    """factor·x + shift, each rounded once, as constants of a shape that broadcasts with x."""
    s, t = (
        None if number == neutral else np.full(shape, float(number))
        for number, neutral in ((factor, 1), (shift, 0))
    )
    exact = all(Fraction(float(number)) == number for number in (factor, shift))
    return scaled(node, x, s, t, None if exact else (factor, shift))


def divided(node: NodeView, x: Value, divisor: np.ndarray, shift: float = 0.0) -> Value:
    """x/divisor + shift/|divisor|: times reciprocals, which are rounded once."""
    d = np.asarray(divisor, dtype=np.float64)
    if d.size == 1 and 1e-300 < abs(d.item()) < 1e300:
        number = Fraction(d.item())
        return scaled_by(node, x, 1 / number, Fraction(shift) / abs(number), d.shape)
    source = ("reciprocals", shift, d.shape, d.tobytes())
    with np.errstate(divide="ignore"):  # the infinity is refused
        return scaled(node, x, 1.0 / d, shift / np.abs(d) if shift else None, source)


def fraction(node: NodeView, number: float) -> Fraction:
    """The number exactly.

    Raises:
        ModelError: it is NaN or infinite.
    """
    if not isfinite(number):
        raise node.error("has NaN or infinity among its constants; export it again")
    return Fraction(number)


def _ranked(shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    return (1,) * (rank - len(shape)) + shape


def masked(node: NodeView, x: Value, scale: np.ndarray | None, shift: np.ndarray) -> Value:
    """s·x + t, where t may be minus infinity."""
    out = np.isneginf(shift)
    if not out.any():
        return scaled(node, x, scale, shift)
    finite = scaled(node, x, scale, np.where(out, 0.0, shift))
    return node.add(Masked(torch.from_numpy(np.broadcast_to(out, finite.shape).copy())), finite)


def negated(node: NodeView, x: Value) -> Value:
    """−x."""
    return scaled(node, x, np.array(-1.0), None)


def subtracted(node: NodeView, first: int, second: int) -> Value:
    """Input `first` less input `second`, broadcast to one shape; at least one of them is a value."""
    a, b = node.operand(first), node.operand(second)
    if isinstance(a, Value) and isinstance(b, Value):
        return node.add(Sum((1, -1)), *node.aligned(a, b))
    if isinstance(a, Value):
        return scaled(node, a, None, -np.asarray(b, dtype=np.float64))
    return scaled(node, node.variable(second), np.array(-1.0), np.asarray(a, dtype=np.float64))


@reads("Sub")
def _sub(node: NodeView) -> Operand:
    return subtracted(node, 0, 1)


@reads("Add")
def _add(node: NodeView) -> Operand:
    a, b = node.operand(0), node.operand(1)
    if isinstance(a, Value) and isinstance(b, Value):
        return node.add(Sum((1, 1)), *node.variables())
    x, constant = (a, b) if isinstance(a, Value) else (node.variable(1), a)
    return masked(node, x, None, np.asarray(constant, dtype=np.float64))


@reads("Sum")
def _sum(node: NodeView) -> Operand:
    values = node.variables()
    return node.add(Sum((1,) * len(values)), *values)


@reads("Mul")
def _mul(node: NodeView) -> Operand:
    a, b = node.operand(0), node.operand(1)
    if isinstance(a, Value) and isinstance(b, Value):
        return node.add(Mul(), *node.variables())
    x, constant = (a, b) if isinstance(a, Value) else (node.variable(1), a)
    return scaled(node, x, np.asarray(constant, dtype=np.float64), None)


@reads("Div")
def _div(node: NodeView) -> Operand:
    """By a constant: times its reciprocal, one more rounding of a parameter. By a variable: x·(1/y)."""
    a, b = node.operand(0), node.operand(1)
    if node.is_whole(0):
        return _whole_quotient(node, node.variable(0), _whole_divisor(node))
    if not isinstance(b, Value):
        divisor = np.asarray(b, dtype=np.float64)
        if not divisor.all():
            raise node.error("divides by a constant zero; the model computes infinity or NaN")
        return divided(node, node.variable(0), divisor)
    inverse = node.add(Reciprocal(), b)
    if isinstance(a, Value):
        return node.add(Mul(), *node.aligned(a, inverse))
    return scaled(node, inverse, np.asarray(a, dtype=np.float64), None)


def _whole_divisor(node: NodeView) -> np.ndarray:
    divisor = np.asarray(node.constant(1, "a divisor of whole numbers"), dtype=np.float64)
    if not divisor.all():
        raise node.error("divides by a constant zero; the model computes nothing then")
    return divisor


def _whole_quotient(node: NodeView, x: Value, divisor: np.ndarray) -> Value:
    """x/divisor cut towards zero, for whole numbers: half a unit keeps roundings off the jumps."""
    size, sign = np.abs(divisor), np.sign(divisor)
    right, left = (
        node.add(Floor(), divided(node, node.add(Relu(), part), size, 0.5)) for part in (x, negated(node, x))
    )
    return scaled(node, node.add(Sum((1, -1)), right, left), sign, None)


@reads("Mod")
def _mod(node: NodeView) -> Operand:
    """x − d·floor(x/d), or with `fmod` cut towards zero, for a constant d."""
    x, towards_zero = node.variable(0), bool(node.attribute("fmod", 0))
    divisor = _whole_divisor(node)
    if node.is_whole(0) and not towards_zero:
        quotient = node.add(Floor(), divided(node, x, divisor, 0.5))
    elif node.is_whole(0):
        quotient = _whole_quotient(node, x, divisor)
    else:
        quotient = node.add(Trunc() if towards_zero else Floor(), divided(node, x, divisor))
    return node.add(Sum((1, -1)), *node.aligned(x, scaled(node, quotient, divisor, None)))


@reads("Neg")
def _neg(node: NodeView) -> Operand:
    return negated(node, node.variable())


@reads("Pow")
def _pow(node: NodeView) -> Operand:
    """Constant exponents, each element with its own; or a positive constant to a variable
    exponent, or exp(y·log(x)) of two variables, for x > 0 only."""
    base, exponent = node.operand(0), node.operand(1)
    if node.is_whole(0) and (isinstance(exponent, Value) or (np.asarray(exponent) < 0).any()):
        raise node.unsupported("a power of whole numbers that may not be whole")
    if node.is_whole(0) and (np.mod(np.asarray(exponent, dtype=np.float64), 1) != 0).any():
        raise node.unsupported("a root of whole numbers")
    if isinstance(exponent, Value):
        if isinstance(base, Value):
            logarithm = node.add(Log(), base)
            return node.add(Exp(), node.add(Mul(), *node.aligned(logarithm, exponent)))
        constant = np.asarray(base, dtype=np.float64)
        if not (constant > 0).all():
            raise node.unsupported("a power of a constant that is not positive")
        source = ("logarithms", constant.shape, constant.tobytes())
        return node.add(Exp(), scaled(node, exponent, np.log(constant), None, source))
    x = node.variable()
    exponents = np.asarray(exponent, dtype=np.float64)
    x = node.expanded(x, node.broadcast(x.shape, exponents.shape))
    each = np.broadcast_to(exponents, x.shape).reshape(-1)
    kinds, which = np.unique(each, return_inverse=True)
    if len(kinds) == 1:
        return np.ones(x.shape) if not kinds[0] else _to_the(node, x, float(kinds[0]))
    places = [np.flatnonzero(which == k) for k in range(len(kinds))]
    flat = node.reshaped(x, (x.size,))
    parts = []
    for kind, chosen in zip(kinds.tolist(), places, strict=True):
        if kind:
            part = node.add(Select.of(torch.from_numpy(chosen), (len(chosen),)), flat)
            parts.append(_to_the(node, part, kind))
        else:
            parts.append(node.add(Constant(as_tensor(np.ones(len(chosen))))))
    back = torch.from_numpy(np.argsort(np.concatenate(places)))
    return node.add(Select.of(back, x.shape), node.add(Concat(0), *parts))


def _to_the(node: NodeView, x: Value, exponent: float) -> Value:
    """x to a constant exponent other than 0."""
    power = x
    if abs(exponent) == 0.5:
        power = node.add(Sqrt(), x)
    elif abs(exponent) != 1.0:
        power = node.add(Power(abs(exponent)), x)
    return power if exponent > 0 else node.add(Reciprocal(), power)


@reads("BatchNormalization")
def batch_normalization(node: NodeView) -> Operand:
    """gamma·(x − mean)/sqrt(var + eps) + beta over axis 1, as at inference."""
    x = node.variable()
    trained = node.opset < 14 and node.output_count > 1  # which the further outputs meant then
    if trained or node.attribute("training_mode", 0) or node.attribute("is_test", 1) == 0:
        raise node.error("is in training mode; export the model for inference")
    if node.attribute("spatial", 1) == 0:
        raise node.unsupported("a normalisation per position (spatial=0)")
    parameters = [
        np.asarray(node.constant(k, "a batch normalisation parameter"), np.float64) for k in range(1, 5)
    ]
    epsilon = float(node.attribute("epsilon", 1e-5))
    if np.any(parameters[3] + epsilon <= 0):
        raise node.error("has a variance that is not positive; the model computes infinity or NaN")
    rows = np.stack(parameters, axis=1).tolist()  # gamma, beta, mean and variance of each channel
    pairs = [_normalization(gamma, beta, mean, var, epsilon) for gamma, beta, mean, var in rows]
    shape = (1, -1) + (1,) * (len(x.shape) - 2)
    scale, shift = (np.array(column, dtype=np.float64).reshape(shape) for column in zip(*pairs, strict=True))
    source = ("normalizations", *map(tuple, rows), epsilon)
    return scaled(node, x, scale, shift, source)


def _normalization(gamma: float, beta: float, mean: float, var: float, epsilon: float) -> tuple[float, float]:
    """The factor and the shift of one channel, each rounded once: beta − mean·factor may cancel."""
    with localcontext() as context:
        context.prec = 60
        factor = Decimal(gamma) / (Decimal(var) + Decimal(epsilon)).sqrt()
        return float(factor), float(Decimal(beta) - Decimal(mean) * factor)
