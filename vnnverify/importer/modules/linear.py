# SPDX-License-Identifier: Apache-2.0
"""Matrix products and convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from torch import Tensor

from vnnverify.importer.modules.arithmetic import scaled, summed
from vnnverify.importer.modules.call import Call, Operand, reads
from vnnverify.ir import Value
from vnnverify.ops.arrangement import Transpose
from vnnverify.ops.bilinear import MatMul
from vnnverify.ops.conv import Conv, ConvTranspose
from vnnverify.ops.linear import LeftLinear, Linear
from vnnverify.ops.softmax import Softmax

__all__: list[str] = []


@reads("linear")
def _linear(call: Call) -> Operand:
    weight = call.constant("weight")
    assert weight is not None
    return call.add(Linear(weight, call.constant("bias")), call.input())


@reads("addmm")
def _addmm(call: Call) -> Operand:
    if call.number("alpha", 1.0) != 1 or call.number("beta", 1.0) != 1:
        raise call.unsupported("a product with factors")
    return summed(call, _matmul(call, call["mat1"], call["mat2"]), call["self"])


@reads("mm", "bmm", "matmul")
def _product(call: Call) -> Operand:
    other = "other" if "other" in call.arguments else "mat2"
    return _matmul(call, call["self"], call[other])


def _matmul(call: Call, a: Operand, b: Operand) -> Value:
    if isinstance(a, Value) and isinstance(b, Tensor) and b.dim() <= 2:
        b = call.floats(b)
        if b.dim() == 2:
            return call.add(Linear(b.T), a)
        column = call.add(Linear(b[None]), a)
        return call.reshaped(column, column.shape[:-1])
    if isinstance(a, Tensor) and isinstance(b, Value) and a.dim() == 2:
        a = call.floats(a)
        return call.add(Linear(a) if len(b.shape) == 1 else LeftLinear(a), b)
    x, y = call.variable(a), call.variable(b)
    if min(len(x.shape), len(y.shape)) < 2:
        raise call.unsupported("a product of vectors")
    rank = max(len(x.shape), len(y.shape))
    x, y = (call.reshaped(v, (1,) * (rank - len(v.shape)) + v.shape) for v in (x, y))
    lead = [max(pair) for pair in zip(x.shape[:-2], y.shape[:-2], strict=True)]
    x, y = (call.expanded(v, (*lead, *v.shape[-2:])) for v in (x, y))
    return call.add(MatMul(), x, y)


@reads("scaled_dot_product_attention")
def _attention(call: Call) -> Operand:
    """softmax(q kᵀ·scale) v."""
    if call.get("attn_mask") is not None or call.get("is_causal") or call.number("dropout_p", 0.0):
        raise call.unsupported("attention with a mask or with dropout")
    query, key, value = (call.variable(call[name]) for name in ("query", "key", "value"))
    rank = len(key.shape)
    turned = call.add(Transpose((*range(rank - 2), rank - 1, rank - 2)), key)
    factor = call.get("scale")
    scores = _matmul(call, query, turned)
    scores = scaled(call, scores, 1 / sqrt(query.shape[-1]) if factor is None else float(factor))
    if scores.shape[-1] < 2:
        raise call.unsupported("attention to a single element")
    return _matmul(call, call.add(Softmax(len(scores.shape) - 1), scores), value)


def _each(numbers: Sequence[int] | int, axes: int) -> tuple[int, ...]:
    """One number for each spatial axis."""
    found = (numbers,) if isinstance(numbers, int) else tuple(numbers)
    return found * axes if len(found) == 1 else found


@reads("conv1d", "conv2d", "conv3d", "convolution", "_convolution")
def _conv(call: Call) -> Operand:
    weight = call.constant("weight")
    assert weight is not None
    axes = weight.dim() - 2
    if call.get("transposed"):
        return _transposed(call)
    x, bias = call.input(), call.constant("bias")
    strides, dilations = (_each(call[name], axes) for name in ("stride", "dilation"))
    padding = call["padding"]
    if padding == "same":  # an odd one comes after
        total = [d * (k - 1) for d, k in zip(dilations, weight.shape[2:], strict=True)]
        before, after = tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
    else:
        before = after = (0,) * axes if padding == "valid" else _each(padding, axes)
    op = Conv(weight, bias, strides, before, after, dilations, int(call["groups"]))
    return _batched(call, op, x, axes)


@reads("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def _conv_transpose(call: Call) -> Operand:
    return _transposed(call)


def _transposed(call: Call) -> Value:
    weight = call.constant("weight")
    assert weight is not None
    axes = weight.dim() - 2
    strides, padding, more, dilations = (
        _each(call[name], axes) for name in ("stride", "padding", "output_padding", "dilation")
    )
    after = tuple(p - m for p, m in zip(padding, more, strict=True))
    bias, groups = call.constant("bias"), int(call["groups"])
    op = ConvTranspose(weight, bias, strides, padding, after, dilations, groups)
    return _batched(call, op, call.input(), axes)


def _batched(call: Call, op: Conv | ConvTranspose, x: Value, axes: int) -> Value:
    """The convolution of (N, C, *spatial), or of (C, *spatial) as a batch of one."""
    if len(x.shape) == axes + 2:
        return call.add(op, x)
    z = call.add(op, call.reshaped(x, (1, *x.shape)))
    return call.reshaped(z, z.shape[1:])
