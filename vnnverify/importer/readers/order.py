# SPDX-License-Identifier: Apache-2.0
"""TopK, and gathering by positions that are computed."""

from __future__ import annotations

from math import prod

import numpy as np

from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.readers.arithmetic import negated, scaled
from vnnverify.importer.registry import reads
from vnnverify.ir import Value
from vnnverify.ops.argmax import ArgMax
from vnnverify.ops.order import Pick, TopPlaces, TopValues
from vnnverify.ops.piecewise import Tent

__all__ = ["first_maximum", "flattened", "picked"]


@reads("TopK")
def _top(node: NodeView) -> list[Operand]:
    """The k largest or smallest elements and their positions."""
    x = node.variable()
    given = node.attribute("k")
    if given is None:
        given = np.asarray(node.constant(1, "the count")).reshape(-1)[0]
    axis, count = node.axis(int(node.attribute("axis", -1)), len(x.shape)), int(given)
    if not 0 < count <= x.shape[axis]:
        raise node.error(f"asks for {count} of {x.shape[axis]} elements")
    if not node.attribute("sorted", 1):
        raise node.unsupported("an order that is left to the runtime (sorted=0)")
    largest = bool(node.attribute("largest", 1))
    kept = x if largest else negated(node, x)
    values = node.add(TopValues(axis, count), kept)
    return [values if largest else negated(node, values), node.add(TopPlaces(axis, count), kept)]


def flattened(node: NodeView, x: Value) -> Value:
    """x as a matrix whose columns are all axes from the attribute `axis` on, as before opset 13."""
    axis = node.axis(int(node.attribute("axis", 1)), len(x.shape))
    return node.reshaped(x, (prod(x.shape[:axis]), prod(x.shape[axis:])))


def first_maximum(node: NodeView, x: Value, axis: int) -> Value:
    """1 at the position of the first maximum along an axis, else 0."""
    index = node.expanded(node.add(ArgMax(axis, True), x), x.shape)
    places = np.arange(x.shape[axis], dtype=np.float64).reshape(-1, *(1,) * (len(x.shape) - 1 - axis))
    return node.add(Tent(), scaled(node, index, None, -places))


def picked(node: NodeView, x: Value, index: Value, axis: int, *, elements: bool) -> Value:
    """Elements of x along an axis at computed positions: of Gather, or of GatherElements if `elements`.

    For `elements` x must have the shape of the index but for that axis.
    """
    outer, inner, size = prod(x.shape[:axis]), prod(x.shape[axis + 1 :]), x.shape[axis]
    if elements:
        shape, count = index.shape, index.shape[axis]
        places = node.reshaped(index, (outer, count, inner))
    else:
        shape, count = (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]), index.size
        places = node.expanded(node.reshaped(index, (1, count, 1)), (outer, count, inner))
    return node.reshaped(node.add(Pick(), node.reshaped(x, (outer, size, inner)), places), shape)
