# SPDX-License-Identifier: Apache-2.0
"""Normalisations by the moments of the input itself."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import torch

from vnnverify.importer.builder import NodeView, Operand, as_tensor
from vnnverify.importer.readers.arithmetic import scaled
from vnnverify.importer.registry import reads
from vnnverify.ir import Value
from vnnverify.ops.arrangement import Transpose
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Abs
from vnnverify.ops.smooth import Power, Reciprocal, Sqrt
from vnnverify.ops.sums import ReduceSum, Sum

__all__: list[str] = []


def _mean(node: NodeView, x: Value, axes: Sequence[int]) -> Value:
    count = prod(x.shape[a] for a in axes)
    return node.add(ReduceSum(tuple(axes), True, 1.0 / count, count), x)


def _over_root(node: NodeView, x: Value, moment: Value, epsilon: float) -> Value:
    """x / sqrt(moment + epsilon)."""
    root = node.add(Sqrt(), scaled(node, moment, None, np.array(epsilon)))
    return node.add(Mul(), x, node.expanded(node.add(Reciprocal(), root), x.shape))


def _standardized(node: NodeView, x: Value, axes: Sequence[int], epsilon: float) -> Value:
    """(x − mean)/sqrt(variance + epsilon), both taken over the axes."""
    centred = node.add(Sum((1, -1)), x, node.expanded(_mean(node, x, axes), x.shape))
    variance = _mean(node, node.add(Power(2.0), centred), axes)
    return _over_root(node, centred, variance, epsilon)


def _parameters(node: NodeView, shape: Sequence[int] | None = None) -> list[np.ndarray | None]:
    """Scale and bias, which must be constant, brought to a shape."""
    found = [node.constant(k, what) for k, what in ((1, "the scale"), (2, "the bias"))]
    return [p if p is None or shape is None else p.reshape(tuple(shape)) for p in found]


@reads("LayerNormalization")
def _layer_normalization(node: NodeView) -> Operand:
    """Over all axes from `axis` on."""
    x = node.variable()
    axes = range(node.axis(int(node.attribute("axis", -1)), len(x.shape)), len(x.shape))
    scale, bias = _parameters(node)
    found = _standardized(node, x, axes, float(node.attribute("epsilon", 1e-5)))
    return scaled(node, found, scale, bias)


@reads("RMSNormalization")
def _rms_normalization(node: NodeView) -> Operand:
    """x / sqrt(mean of x² + epsilon), over all axes from `axis` on."""
    x = node.variable()
    axes = range(node.axis(int(node.attribute("axis", -1)), len(x.shape)), len(x.shape))
    moment = _mean(node, node.add(Power(2.0), x), axes)
    found = _over_root(node, x, moment, float(node.attribute("epsilon", 1e-5)))
    return scaled(node, found, node.constant(1, "the scale"), None)


@reads("InstanceNormalization")
def _instance_normalization(node: NodeView) -> Operand:
    """Over the spatial axes of each channel."""
    x = node.variable()
    rank = len(x.shape)
    scale, bias = _parameters(node, (-1, *(1,) * (rank - 2)))
    found = _standardized(node, x, range(2, rank), float(node.attribute("epsilon", 1e-5)))
    return scaled(node, found, scale, bias)


@reads("GroupNormalization", since=21)
def _group_normalization(node: NodeView) -> Operand:
    """Over each group of channels."""
    x = node.variable()
    n, channels = x.shape[:2]
    groups = int(node.attribute("num_groups"))
    cut = node.reshaped(x, (n, groups, x.size // (n * groups)))
    found = _standardized(node, cut, (2,), float(node.attribute("epsilon", 1e-5)))
    scale, bias = _parameters(node, (channels, *(1,) * (len(x.shape) - 2)))
    return scaled(node, node.reshaped(found, x.shape), scale, bias)


@reads("LpNormalization")
def _lp_normalization(node: NodeView) -> Operand:
    """x over its norm along an axis, of order 1 or 2."""
    x = node.variable()
    axis = node.axis(int(node.attribute("axis", -1)), len(x.shape))
    first = int(node.attribute("p", 2)) == 1
    terms = node.add(Abs() if first else Power(2.0), x)
    total = node.add(ReduceSum((axis,), True, 1.0, x.shape[axis]), terms)
    norm = total if first else node.add(Sqrt(), total)
    return node.add(Mul(), x, node.expanded(node.add(Reciprocal(), norm), x.shape))


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
