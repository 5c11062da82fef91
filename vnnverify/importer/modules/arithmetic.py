# SPDX-License-Identifier: Apache-2.0
"""Sums, differences, products and quotients, with constants and of variables; sums over axes."""

from __future__ import annotations

from collections.abc import Hashable
from fractions import Fraction
from math import prod

import torch
from torch import Tensor

from vnnverify.importer.modules.call import Call, Operand, reads
from vnnverify.ir import Value
from vnnverify.ops.arrangement import Constant
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.maximum import Max, ReduceMax
from vnnverify.ops.scale import Scale
from vnnverify.ops.smooth import Reciprocal
from vnnverify.ops.sums import ReduceSum, Sum

__all__ = ["mean", "scaled", "summed"]

Number = float | Fraction | Tensor


def scaled(call: Call, x: Value, scale: Number | None = None, shift: Number | None = None) -> Value:
    """scale·x + shift; constant tensors are kept as they are, x is enlarged if they ask for it."""
    if isinstance(scale, int | float | Fraction) and scale == 1:
        scale = None
    if scale is None and shift is None:
        return x
    shapes = [tuple(c.shape) for c in (scale, shift) if isinstance(c, Tensor)]
    x = call.expanded(x, call.broadcast(x.shape, *shapes))
    rank = len(x.shape)
    source: Hashable = None
    if not shapes:
        exact = [Fraction(c) if c is not None else Fraction(k) for k, c in ((1, scale), (0, shift))]  # type: ignore[arg-type]
        rounded = [torch.tensor(float(c), dtype=call.builder.dtype).item() for c in exact]
        source = None if [Fraction(c) for c in rounded] == exact else tuple(exact)

    def constant(c: Number | None) -> Tensor | None:
        if c is None:
            return None
        if not isinstance(c, Tensor):
            return call.filled(float(c), rank)
        return call.floats(c).reshape((1,) * (rank - c.dim()) + tuple(c.shape))

    return call.add(Scale(constant(scale), constant(shift), source), x)


def _operands(call: Call) -> tuple[Operand | float, Operand | float]:
    return call["self"], call["other"]


def _negated(call: Call, x: Value) -> Value:
    return scaled(call, x, -1.0)


@reads("neg")
def _neg(call: Call) -> Operand:
    return _negated(call, call.input())


@reads("add")
def _add(call: Call) -> Operand:
    a, b = _operands(call)
    return summed(call, a, _times_number(call, b))


@reads("sub", "subtract")
def _sub(call: Call) -> Operand:
    a, b = _operands(call)
    return _difference(call, a, _times_number(call, b))


@reads("rsub")
def _rsub(call: Call) -> Operand:
    a, b = _operands(call)
    return _difference(call, b, _times_number(call, a))


def _times_number(call: Call, b: Operand | float) -> Operand | float:
    """The second operand of a sum times `alpha`."""
    alpha = call.number("alpha", 1.0)
    if alpha == 1.0:
        return b
    return alpha * b if isinstance(b, int | float) else scaled(call, call.variable(b), alpha)


def summed(call: Call, a: Operand | float, b: Operand | float) -> Value:
    """a + b, of which one is computed."""
    if isinstance(a, Value) and isinstance(b, Value):
        return call.add(Sum((1, 1)), *call.aligned(a, b))
    x, constant = (a, b) if isinstance(a, Value) else (b, a)
    assert isinstance(x, Value) and not isinstance(constant, Value)
    return scaled(call, x, None, constant)


def _difference(call: Call, a: Operand | float, b: Operand | float) -> Value:
    if isinstance(a, Value) and isinstance(b, int | float):
        return scaled(call, a, None, -b)
    if isinstance(a, Value):
        assert not isinstance(b, int | float)
        return call.add(Sum((1, -1)), *call.aligned(a, call.variable(b)))
    assert isinstance(b, Value)
    return scaled(call, b, -1.0 if not isinstance(a, Tensor) else call.filled(-1.0, 0), a)


@reads("mul", "multiply")
def _mul(call: Call) -> Operand:
    return _product(call, *_operands(call))


def _product(call: Call, a: Operand | float, b: Operand | float) -> Value:
    if isinstance(a, Value) and isinstance(b, Value):
        return call.add(Mul(), *call.aligned(a, b))
    x, constant = (a, b) if isinstance(a, Value) else (b, a)
    assert isinstance(x, Value) and not isinstance(constant, Value)
    return scaled(call, x, constant)


@reads("div", "divide", "true_divide")
def _div(call: Call) -> Operand:
    """By a number: times its reciprocal, rounded once."""
    a, b = _operands(call)
    if call.get("rounding_mode") is not None:
        raise call.unsupported("a quotient that is rounded")
    if isinstance(b, int | float):
        if b == 0:
            raise call.unsupported("a division by zero")
        return scaled(call, call.variable(a), 1 / Fraction(b))  # type: ignore[arg-type]
    return _product(call, a, call.add(Reciprocal(), call.variable(b)))


@reads("maximum")
def _maximum(call: Call) -> Operand:
    return call.add(Max(), *call.aligned(*(call.variable(v) for v in (call["self"], call["other"]))))


@reads("minimum")
def _minimum(call: Call) -> Operand:
    """−max(−a, −b)."""
    both = call.aligned(*(call.variable(v) for v in (call["self"], call["other"])))
    return _negated(call, call.add(Max(), *(_negated(call, v) for v in both)))


def _axes(call: Call, x: Value) -> tuple[int, ...]:
    """The axes of a reduction: all, unless some are named."""
    dim = call.get("dim")
    named = [dim] if isinstance(dim, int) else list(dim or range(len(x.shape)))
    return tuple(sorted(d % len(x.shape) for d in named))


def mean(call: Call, x: Value, axes: tuple[int, ...], *, keepdims: bool) -> Value:
    """The mean over axes."""
    count = prod(x.shape[a] for a in axes)
    return call.add(ReduceSum(axes, keepdims, 1.0 / count, count), x)


@reads("mean")
def _mean(call: Call) -> Operand:
    x = call.input()
    return mean(call, x, _axes(call, x), keepdims=bool(call.get("keepdim", False)))


@reads("sum")
def _sum(call: Call) -> Operand:
    x = call.input()
    axes = _axes(call, x)
    count = prod(x.shape[a] for a in axes)
    return call.add(ReduceSum(axes, bool(call.get("keepdim", False)), 1.0, count), x)


@reads("amax", "amin")
def _extreme(call: Call) -> Operand:
    x = call.input()
    op = ReduceMax(_axes(call, x), bool(call.get("keepdim", False)))
    return call.add(op, x) if call.operator == "amax" else _negated(call, call.add(op, _negated(call, x)))


@reads("zeros_like")
def _zeros(call: Call) -> Operand:
    return call.add(Constant(torch.zeros(call.input().shape)))
