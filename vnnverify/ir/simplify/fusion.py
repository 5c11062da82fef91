# SPDX-License-Identifier: Apache-2.0
"""A scaling, a shift or a batch normalisation right after a matrix product or convolution."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from vnnverify.ir.graph import Graph, Node
from vnnverify.ir.op import Shape
from vnnverify.ir.simplify.rewrite import fuse_pairs
from vnnverify.ops.conv import Conv, ConvTranspose
from vnnverify.ops.linear import Linear
from vnnverify.ops.scale import Scale

__all__ = ["fuse_scales"]

_CANCELLATION = 2.0
"""Largest (|s·b| + |t|) / |s·b + t| at which a shift is fused into a bias. The roundings of b, s, t and
of their product are relative to the numerator, at most 3·|s·b| + |t| unit roundoffs, while
`numerics.PARAMETER_ROUNDINGS` counts roundings relative to the new bias: up to this ratio they fit."""


def fuse_scales(graph: Graph) -> Graph:
    """s·(W x + b) + t as (s·W) x + (s·b + t), where nobody else reads W x + b.

    s and t must vary along the output channels only, and s·b + t must not cancel.
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
    bias = _bias(op.bias, scale, shift)
    if bias is None and (op.bias is not None or shift is not None):
        return None
    weight = op.weight
    if scale is not None:
        weight = weight * scale.reshape(tuple(-1 if k == channels else 1 for k in range(weight.dim())))
    if not bool(torch.isfinite(weight).all()):
        return None
    op = dataclasses.replace(op, weight=weight, bias=bias)
    return Node(op, before.inputs, node.output, before.name)


def _along(t: Tensor | None, shape: Shape, axis: int) -> Tensor | None:
    """t as a vector (shape[axis],), or None if it varies along another axis too."""
    if t is None:
        return None
    padded = t.reshape((1,) * (len(shape) - t.dim()) + tuple(t.shape))
    if any(extent != 1 for k, extent in enumerate(padded.shape) if k != axis):
        return None
    return padded.reshape(-1).expand(shape[axis])


def _bias(bias: Tensor | None, scale: Tensor | None, shift: Tensor | None) -> Tensor | None:
    """s·b + t, or None if there is neither b nor t, or if it cancels."""
    scaled = bias if bias is None or scale is None else bias * scale
    if scaled is None or shift is None:
        return shift.clone() if scaled is None and shift is not None else scaled
    total = scaled + shift
    size = scaled.abs() + shift.abs()
    return total if bool((size <= _CANCELLATION * total.abs()).all()) else None
