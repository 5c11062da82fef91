# SPDX-License-Identifier: Apache-2.0
"""Normalisations by the moments of the input itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, prod

import numpy as np
import torch

from vnnverify.importer.builder import NodeView, Operand, as_tensor
from vnnverify.importer.readers.arithmetic import batch_normalization, scaled
from vnnverify.importer.registry import reads
from vnnverify.ir import Value
from vnnverify.ops.arrangement import Transpose
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Abs, Clip
from vnnverify.ops.smooth import Power, Reciprocal, Sqrt
from vnnverify.ops.sums import ReduceSum, Sum

__all__: list[str] = []


_LEAST = 2.0**-149
"""The least positive number of float32."""


def _mean(node: NodeView, x: Value, axes: Sequence[int]) -> Value:
    count = prod(x.shape[a] for a in axes)
    return node.add(ReduceSum(tuple(axes), True, 1.0 / count, count), x)


def _over_root(node: NodeView, moment: Value, epsilon: float) -> Value:
    """1 / sqrt(moment + epsilon)."""
    return node.add(Reciprocal(), node.add(Sqrt(), scaled(node, moment, None, np.array(epsilon))))


@dataclass(frozen=True, slots=True)
class _Standardized:
    """(x − mean)/sqrt(variance + epsilon), and what it is made of."""

    values: Value
    mean: Value
    inverse: Value  # 1/sqrt(variance + epsilon)


def _standardized(node: NodeView, x: Value, axes: Sequence[int]) -> _Standardized:
    """Mean and variance are taken over the axes."""
    mean = _mean(node, x, axes)
    centred = node.add(Sum((1, -1)), x, node.expanded(mean, x.shape))
    variance = _mean(node, node.add(Power(2.0), centred), axes)
    inverse = _over_root(node, variance, float(node.attribute("epsilon", 1e-5)))
    return _Standardized(_times(node, centred, inverse), mean, inverse)


def _times(node: NodeView, x: Value, y: Value) -> Value:
    return node.add(Mul(), *node.aligned(x, y))


def _adjusted(node: NodeView, x: Value, shape: Sequence[int] | None = None) -> Value:
    """x times the scale (input 1) plus the bias (input 2), brought to a shape; they may be computed."""
    scale, bias = (_shaped(node, node.operand(k), shape) for k in (1, 2))
    if isinstance(scale, Value) or isinstance(bias, Value):
        x = _times(node, x, scale) if isinstance(scale, Value) else scaled(node, x, scale, None)
        return (
            node.add(Sum((1, 1)), *node.aligned(x, bias))
            if isinstance(bias, Value)
            else scaled(node, x, None, bias)
        )
    return scaled(node, x, scale, bias)


def _shaped(node: NodeView, part: Operand | None, shape: Sequence[int] | None) -> Operand | None:
    if part is None or shape is None:
        return part
    if -1 not in shape:
        return node.reshaped(part, shape) if isinstance(part, Value) else part.reshape(tuple(shape))
    return _shaped(node, part, [prod(part.shape) if n == -1 else n for n in shape])


def _trailing(node: NodeView, x: Value) -> range:
    """All axes from `axis` on."""
    return range(node.axis(int(node.attribute("axis", -1)), len(x.shape)), len(x.shape))


@reads("LayerNormalization")
def _layer_normalization(node: NodeView) -> list[Operand]:
    """Over all axes from `axis` on; with the mean and the inverse of the deviation."""
    x = node.variable()
    found = _standardized(node, x, _trailing(node, x))
    outputs: list[Operand] = [_adjusted(node, found.values), found.mean, found.inverse]
    return outputs[: node.output_count]


@reads("RMSNormalization")
def _rms_normalization(node: NodeView) -> Operand:
    """x / sqrt(mean of x² + epsilon), over all axes from `axis` on."""
    x = node.variable()
    moment = _mean(node, node.add(Power(2.0), x), _trailing(node, x))
    inverse = _over_root(node, moment, float(node.attribute("epsilon", 1e-5)))
    return _adjusted(node, _times(node, x, inverse))


@reads("InstanceNormalization")
def _instance_normalization(node: NodeView) -> Operand:
    """Over the spatial axes of each channel."""
    x = node.variable()
    rank = len(x.shape)
    found = _standardized(node, x, range(2, rank))
    return _adjusted(node, found.values, (-1, *(1,) * (rank - 2)))


@reads("GroupNormalization", since=18)
def _group_normalization(node: NodeView) -> Operand:
    """Over each group of channels; before opset 21 there is a scale and a bias for each group."""
    x = node.variable()
    n, channels = x.shape[:2]
    groups = int(node.attribute("num_groups"))
    cut = node.reshaped(x, (n, groups, x.size // (n * groups)))
    found = _standardized(node, cut, (2,)).values
    if node.opset < 21:
        return node.reshaped(_adjusted(node, found, (groups, 1)), x.shape)
    return _adjusted(node, node.reshaped(found, x.shape), (channels, *(1,) * (len(x.shape) - 2)))


@reads("BatchNormalization", since=14)
def _batch_normalization(node: NodeView) -> Operand | Sequence[Operand | None]:
    """In training mode by the mean and variance of the batch, with what becomes of the running ones."""
    if not node.attribute("training_mode", 0):
        return batch_normalization(node)
    x, momentum = node.variable(), float(node.attribute("momentum", 0.9))
    rank, channels = len(x.shape), x.shape[1]
    axes = [k for k in range(rank) if k != 1]
    found = _standardized(node, x, axes)
    centred = node.add(Sum((1, -1)), x, node.expanded(found.mean, x.shape))
    variance = _mean(node, node.add(Power(2.0), centred), axes)
    outputs: list[Operand] = [_adjusted(node, found.values, (channels, *(1,) * (rank - 2)))]
    for index, batch in ((3, found.mean), (4, variance)):
        new = scaled(node, node.reshaped(batch, (channels,)), np.array(1 - momentum), None)
        old = scaled(node, node.variable(index), np.array(momentum), None)
        outputs.append(node.add(Sum((1, 1)), *node.aligned(old, new)))
    return outputs[: node.output_count]


@reads("LpNormalization")
def _lp_normalization(node: NodeView) -> Operand:
    """x over its norm along an axis, of order 1 or 2, and zero where the norm is.

    The norm of anything else is no less than the least number of the type; no quotient exceeds 1.
    """
    x = node.variable()
    axis = node.axis(int(node.attribute("axis", -1)), len(x.shape))
    first = int(node.attribute("p", 2)) == 1
    terms = node.add(Abs() if first else Power(2.0), x)
    total = node.add(ReduceSum((axis,), True, 1.0, x.shape[axis]), terms)
    norm = total if first else node.add(Sqrt(), total)
    kept = node.add(Clip(_LEAST, inf), norm)
    return node.add(Clip(-1.0, 1.0), _times(node, x, node.add(Reciprocal(), kept)))


@reads("LRN")
def _local_response(node: NodeView) -> Operand:
    """x / (bias + alpha/size · Σ x²)^beta, the sum over `size` neighbouring channels."""
    x = node.variable()
    size, channels = int(node.attribute("size")), x.shape[1]
    alpha, beta = float(node.attribute("alpha", 1e-4)), float(node.attribute("beta", 0.75))
    offset = torch.arange(channels)[None] - torch.arange(channels)[:, None]
    near = (offset >= -((size - 1) // 2)) & (offset <= size // 2)
    band = as_tensor(near.numpy() * (alpha / size))
    last = (0, *range(2, len(x.shape)), 1)
    back = (0, len(x.shape) - 1, *range(1, len(x.shape) - 1))
    squares = node.add(Transpose(last), node.add(Power(2.0), x))
    total = node.add(Transpose(back), node.add(Linear(band, roundings=1), squares))
    base = scaled(node, total, None, np.array(float(node.attribute("bias", 1.0))))
    power = base if beta == 1.0 else node.add(Sqrt() if beta == 0.5 else Power(beta), base)
    return node.add(Mul(), x, node.add(Reciprocal(), power))
