# SPDX-License-Identifier: Apache-2.0
"""A scaling, a shift or a batch normalisation right after a matrix product or convolution."""

from __future__ import annotations

import dataclasses
from math import ceil

import torch
from torch import Tensor

from vnnverify.ir.graph import Graph, Node
from vnnverify.ir.op import Shape
from vnnverify.numerics import PARAMETER_ROUNDINGS, SOURCE_ROUNDINGS
from vnnverify.ops.conv import Conv, ConvTranspose
from vnnverify.ops.linear import Linear
from vnnverify.ops.scale import Scale
from vnnverify.simplify.exactness import largest, product_roundings, sum_is_exact
from vnnverify.simplify.rewrite import fuse_pairs

__all__ = ["fuse_scales"]


def fuse_scales(graph: Graph) -> Graph:
    """s·(W x + b) + t as (s·W) x + (s·b + t), where nobody else reads W x + b.

    s and t must vary along the output channels only. Bounds count `PARAMETER_ROUNDINGS` roundings relative to
    each weight and to each bias: what would go through more, as in a long chain of scalings or where s·b + t
    cancels, stays as it is.
    """
    return fuse_pairs(graph, _fused)


def _fused(before: Node, node: Node) -> Node | None:
    if not isinstance(node.op, Scale) or node.output.shape != before.output.shape:
        return None
    match before.op:
        case Linear() as op:
            axis = len(node.output.shape) - 1
            channels = 0
        case Conv() as op:
            axis, channels = 1, 0
        case ConvTranspose(groups=1) as op:
            axis, channels = 1, 1
        case _:
            return None
    shape = node.output.shape
    scale = _along(node.op.scale, shape, axis)
    shift = _along(node.op.shift, shape, axis)
    if (scale is None) != (node.op.scale is None) or (shift is None) != (node.op.shift is None):
        return None
    stored = SOURCE_ROUNDINGS if node.op.source is not None else 0
    weight, count = op.weight, float(op.roundings)
    if scale is not None:
        wide = scale.reshape(tuple(-1 if k == channels else 1 for k in range(weight.dim())))
        count += stored + product_roundings(weight, wide)
        weight = weight * wide
    bias, more = _bias(op.bias, op.roundings, scale, shift, stored)
    roundings = max(count, more)
    if not roundings <= PARAMETER_ROUNDINGS or not bool(torch.isfinite(weight).all()):
        return None
    op = dataclasses.replace(op, weight=weight, bias=bias, roundings=ceil(roundings))
    return Node(op, before.inputs, node.output, before.name)


def _along(t: Tensor | None, shape: Shape, axis: int) -> Tensor | None:
    """t as a vector (shape[axis],), or None if it varies along another axis too."""
    if t is None:
        return None
    padded = t.reshape((1,) * (len(shape) - t.dim()) + tuple(t.shape))
    if any(extent != 1 for k, extent in enumerate(padded.shape) if k != axis):
        return None
    return padded.reshape(-1).expand(shape[axis])


def _bias(
    bias: Tensor | None, roundings: float, scale: Tensor | None, shift: Tensor | None, stored: int
) -> tuple[Tensor | None, float]:
    """s·b + t, and how many roundings relative to it that has gone through: b before through `roundings`,
    s and t through `stored` each."""
    scaled, count = bias, roundings
    if bias is not None and scale is not None:
        scaled, count = bias * scale, roundings + stored + product_roundings(bias, scale)
    if shift is None:
        return scaled, count
    if scaled is None:
        return shift.clone(), stored
    total = scaled + shift
    last, most = int(not sum_is_exact(scaled, shift)), max(count, stored)
    if not most:
        return total, last
    size = scaled.abs() + shift.abs()  # what the roundings so far are relative to
    ratio = torch.where(size == 0, 1.0, size / total.abs())
    return total, most * largest(ratio) + last
