# SPDX-License-Identifier: Apache-2.0
"""Rows of scores that are masked throughout: their softmax is NaN, unless a choice leaves them out."""

from __future__ import annotations

import numpy as np
import torch

from vnnverify.importer.builder import NodeView
from vnnverify.ir import Elementwise, Op, Value
from vnnverify.ops.arrangement import Reshape
from vnnverify.ops.masked import Masked
from vnnverify.ops.softmax import Softmax

__all__ = ["where_chosen"]


def where_chosen(node: NodeView, x: Value, chosen: np.ndarray) -> Value:
    """x, or what is equal to it where it is chosen and a number everywhere.

    A choice by a constant is read as a product with 0 and 1, which keeps the NaN of a softmax of nothing.

    Args:
        chosen: bool, of a shape that broadcasts with x.
    """
    after: list[Op] = []  # between the softmax and x
    softmax = node.builder.producer(x)
    while softmax is not None and isinstance(softmax.op, Elementwise):
        after.append(softmax.op)
        softmax = node.builder.producer(softmax.inputs[0])
    if softmax is None or not isinstance(softmax.op, Softmax):
        return x
    before = node.builder.producer(softmax.inputs[0])
    while before is not None and isinstance(before.op, Reshape):
        before = node.builder.producer(before.inputs[0])
    if before is None or not isinstance(before.op, Masked):
        return x
    mask = before.op.mask.reshape(x.shape)
    whole = mask.all(dim=softmax.op.axis, keepdim=True).expand(x.shape)
    try:
        left_out = ~np.broadcast_to(chosen, x.shape)
    except ValueError:  # the choice is larger than x
        return x
    if not bool(whole.any()) or not bool(torch.from_numpy(left_out.copy())[whole].all()):
        return x
    kept = node.add(Masked((mask & ~whole).reshape(before.op.mask.shape)), before.inputs[0])
    found = node.add(softmax.op, node.reshaped(kept, x.shape))
    for op in reversed(after):
        found = node.add(op, found)
    return found
