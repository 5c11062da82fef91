# SPDX-License-Identifier: Apache-2.0
"""Normalisations, and what only trains."""

from __future__ import annotations

from math import prod

from torch import Tensor

from vnnverify.importer.modules.arithmetic import mean, scaled
from vnnverify.importer.modules.call import Call, Operand, reads
from vnnverify.ir import Value
from vnnverify.ops.batch_norm import BatchNorm
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.smooth import InverseSqrt, Power
from vnnverify.ops.sums import Sum

__all__: list[str] = []


@reads("dropout", "feature_dropout", "alpha_dropout")
def _dropout(call: Call) -> Operand:
    if call["train"] and call.number("p", 0.0):
        raise call.unsupported("dropout in train mode")
    return call.input()


@reads("batch_norm")
def _batch_norm(call: Call) -> Operand:
    if call["training"] or call["running_mean"] is None or call["running_var"] is None:
        raise call.unsupported("batch normalisation by the moments of the batch, as in train mode,")
    average, variance = call.constant("running_mean"), call.constant("running_var")
    assert average is not None and variance is not None
    op = BatchNorm(call.constant("weight"), call.constant("bias"), average, variance, float(call["eps"]))
    return call.add(op, call.input())


@reads("layer_norm")
def _layer_norm(call: Call) -> Operand:
    """Over the last axes."""
    x = call.input()
    first = len(x.shape) - len(call["normalized_shape"])
    z = _standardized(call, x, tuple(range(first, len(x.shape))))
    return _adjusted(call, z, call.constant("weight"), call.constant("bias"))


@reads("group_norm", "instance_norm")
def _group_norm(call: Call) -> Operand:
    """Over each group of channels, or over each channel."""
    if call.operator == "instance_norm" and not call["use_input_stats"]:
        raise call.unsupported("instance normalisation by stored moments")
    x = call.input()
    n, channels = x.shape[:2]
    groups = int(call.get("num_groups", channels))
    cut = call.reshaped(x, (n, groups, x.size // (n * groups)))
    z = call.reshaped(_standardized(call, cut, (2,)), x.shape)
    weight, bias = call.constant("weight"), call.constant("bias")
    shape = (channels, *(1,) * (len(x.shape) - 2))
    return _adjusted(call, z, *(None if t is None else t.reshape(shape) for t in (weight, bias)))


def _standardized(call: Call, x: Value, axes: tuple[int, ...]) -> Value:
    """(x − mean) / sqrt(variance + epsilon), the moments over these axes."""
    if prod(x.shape[a] for a in axes) < 2:
        raise call.unsupported("a normalisation over a single element")
    average = mean(call, x, axes, keepdims=True)
    centred = call.add(Sum((1, -1)), x, call.expanded(average, x.shape))
    variance = mean(call, call.add(Power(2.0), centred), axes, keepdims=True)
    inverse = call.add(InverseSqrt(), scaled(call, variance, None, float(call["eps"])))
    return call.add(Mul(), centred, call.expanded(inverse, x.shape))


def _adjusted(call: Call, x: Value, weight: Tensor | None, bias: Tensor | None) -> Value:
    return x if weight is None and bias is None else scaled(call, x, weight, bias)
