# SPDX-License-Identifier: Apache-2.0
"""Add, Sub, Mul, Div, Neg, Sum, Pow, BatchNormalization: what depends on constants is settled here."""

from __future__ import annotations

import numpy as np

from vnnverify.importer.builder import NodeView, Operand, as_tensor
from vnnverify.importer.registry import reads
from vnnverify.ir import Value
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.scale import Scale
from vnnverify.ops.sums import Sum

__all__: list[str] = []


def _scaled(node: NodeView, x: Value, scale: np.ndarray | None, shift: np.ndarray | None) -> Value:
    """s·x + t with constants brought to the rank of the result."""
    parts = [np.asarray(c, dtype=np.float64) for c in (scale, shift) if c is not None]
    shape = tuple(np.broadcast_shapes(x.shape, *(c.shape for c in parts)))
    tensors = [
        None
        if c is None
        else as_tensor(np.asarray(c).reshape((1,) * (len(shape) - np.ndim(c)) + np.shape(c)))
        for c in (scale, shift)
    ]
    return node.add(Scale(tensors[0], tensors[1], shape), x)


@reads("Add", "Sub")
def _add(node: NodeView) -> Operand:
    minus = node.op_type == "Sub"
    a, b = node.operand(0), node.operand(1)
    if isinstance(a, Value) and isinstance(b, Value):
        return node.add(Sum((1, -1 if minus else 1)), *node.variables())
    if isinstance(a, Value):
        shift = np.asarray(b, dtype=np.float64)
        return _scaled(node, a, None, -shift if minus else shift)
    assert isinstance(b, Value)
    return _scaled(node, b, np.array(-1.0) if minus else None, np.asarray(a, dtype=np.float64))


@reads("Sum")
def _sum(node: NodeView) -> Operand:
    values = node.variables()
    return node.add(Sum((1,) * len(values)), *values)


@reads("Mul")
def _mul(node: NodeView) -> Operand:
    a, b = node.operand(0), node.operand(1)
    if isinstance(a, Value) and isinstance(b, Value):
        return node.add(Mul(), *node.variables())
    x, constant = (a, b) if isinstance(a, Value) else (b, a)
    assert isinstance(x, Value)
    return _scaled(node, x, np.asarray(constant, dtype=np.float64), None)


@reads("Div")
def _div(node: NodeView) -> Operand:
    divisor = node.constant(1, "the divisor")
    assert divisor is not None
    if not np.all(divisor):
        raise node.error("division by a constant zero")
    return _scaled(node, node.variable(0), 1.0 / np.asarray(divisor, dtype=np.float64), None)


@reads("Neg")
def _neg(node: NodeView) -> Operand:
    return _scaled(node, node.variable(), np.array(-1.0), None)


@reads("BatchNormalization")
def _batch_normalization(node: NodeView) -> Operand:
    """gamma·(x − mean)/sqrt(var + eps) + beta over axis 1, as at inference."""
    x = node.variable()
    gamma, beta, mean, var = (
        np.asarray(node.constant(k, "a batch normalisation parameter"), dtype=np.float64)
        for k in (1, 2, 3, 4)
    )
    if node.attribute("training_mode", 0):
        raise node.error("training mode is not a function of the input")
    scale = gamma / np.sqrt(var + node.attribute("epsilon", 1e-5))
    shift = beta - mean * scale
    shape = (1, -1) + (1,) * (len(x.shape) - 2)
    return _scaled(node, x, scale.reshape(shape), shift.reshape(shape))
