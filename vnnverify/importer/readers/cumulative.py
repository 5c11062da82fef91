# SPDX-License-Identifier: Apache-2.0
"""Products along an axis, of all elements up to each."""

from __future__ import annotations

import numpy as np
import torch

from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.registry import reads
from vnnverify.ir import Value
from vnnverify.ops.arrangement import Concat, Constant, Select
from vnnverify.ops.bilinear import Mul

__all__: list[str] = []

MOST_FACTORS = 256
"""Elements that are multiplied one after the other."""


@reads("CumProd", since=26)
def _cumulative_product(node: NodeView) -> Operand:
    x, found = node.variable(), node.constant(1, "the axis")
    if found is None:
        raise node.error("the axis is missing")
    if node.is_whole(0):
        raise node.unsupported("products of whole numbers, which may overflow,")
    axis = node.axis(int(found.reshape(-1)[0]), len(x.shape))
    size = x.shape[axis]
    if size > MOST_FACTORS:
        raise node.unsupported(f"more than {MOST_FACTORS} elements along the axis")
    order = list(range(size))[:: -1 if node.attribute("reverse", 0) else 1]
    parts = [_at(node, x, axis, k) for k in order]
    if node.attribute("exclusive", 0):
        ones = node.add(Constant(torch.ones(parts[0].shape, dtype=torch.float64)))
        parts = [ones, *parts[:-1]]
    for k in range(1, size):
        parts[k] = node.add(Mul(), parts[k - 1], parts[k])
    return node.add(Concat(axis), *(parts[k] for k in np.argsort(order)))


def _at(node: NodeView, x: Value, axis: int, position: int) -> Value:
    """x at one position of an axis, which is kept."""
    places = torch.arange(x.size).reshape(x.shape).narrow(axis, position, 1).contiguous()
    return node.add(Select.of(places, tuple(places.shape)), x)
