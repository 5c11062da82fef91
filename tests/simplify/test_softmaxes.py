# SPDX-License-Identifier: Apache-2.0
"""Softmax and its logarithm in the ways in which they are written out."""

from __future__ import annotations

import pytest
import torch

from vnnverify.ir import Value
from vnnverify.ops.arrangement import Expand, Reshape
from vnnverify.ops.maximum import ReduceMax
from vnnverify.ops.smooth import Exp, Log, Reciprocal
from vnnverify.ops.softmax import Softmax
from vnnverify.ops.sums import ReduceSum
from vnnverify.simplify import join_softmaxes, simplify

from .conftest import Writer, same


def total(w: Writer, x: Value, axis: int, *, keepdims: bool = True) -> Value:
    return w.of(ReduceSum((axis,), keepdims, 1.0, x.shape[axis]), x)


def written(w: Writer, axis: int, *, less_most: bool, keepdims: bool, late: bool) -> Value:
    """exp(z)·(1/Σ exp(z)); the sum may lose its axis first, and be repeated before it is inverted."""
    z = w.x
    if less_most:
        z = w.plus(z, w.wide(w.of(ReduceMax((axis,), True), z), z), -1)
    e = w.of(Exp(), z)
    s = total(w, e, axis, keepdims=keepdims)
    if not keepdims:
        s = w.of(Reshape(tuple(1 if k == axis else n for k, n in enumerate(e.shape))), s)
    inverse = w.of(Reciprocal(), w.wide(s, e)) if late else w.wide(w.of(Reciprocal(), s), e)
    return w.product(inverse, e) if late else w.product(e, inverse)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(
    ("less_most", "keepdims", "late"), [(True, True, False), (False, False, True), (True, False, False)]
)
def test_softmax(axis: int, less_most: bool, keepdims: bool, late: bool) -> None:
    w = Writer(2, 3, 4)
    graph = w.graph(written(w, axis, less_most=less_most, keepdims=keepdims, late=late))
    found = simplify(graph)
    assert [node.op.kind for node in found.nodes] == ["Softmax"]
    assert found.nodes[0].op.axis == axis  # type: ignore[attr-defined]
    same(found, graph, 5.0)


def test_logarithm() -> None:
    w = Writer(3, 4)
    z = w.plus(w.x, w.wide(w.of(ReduceMax((1,), True), w.x), w.x), -1)
    graph = w.graph(w.plus(z, w.wide(w.of(Log(), total(w, w.of(Exp(), z), 1)), z), -1))
    found = simplify(graph)
    assert [node.op.kind for node in found.nodes] == ["LogSoftmax"]
    same(found, graph, 5.0)


def test_logarithm_of_a_softmax() -> None:
    w = Writer(3, 4)
    graph = w.graph(w.of(Log(), w.of(Softmax(0), w.x)))
    found = simplify(graph)
    assert [node.op.kind for node in found.nodes] == ["LogSoftmax"]
    same(found, graph, 5.0)


def test_a_sum_over_another_axis_stays() -> None:
    """The sums of the columns of a square, used as those of its rows."""
    w = Writer(3, 3)
    e = w.of(Exp(), w.x)
    turned = w.of(Reshape((1, 3)), w.of(Reshape((3, 1)), total(w, e, 1)))
    graph = w.graph(w.product(e, w.wide(w.of(Reciprocal(), turned), e)))
    assert join_softmaxes(graph) is graph


def test_a_difference_that_varies_stays_inside() -> None:
    """x − y with y of its own for each element is not x."""
    w = Writer(2, 3)
    z = w.plus(w.x, w.wide(w.of(ReduceMax((0,), True), w.x), w.x), -1)
    e = w.of(Exp(), z)
    graph = w.graph(w.product(e, w.wide(w.of(Reciprocal(), total(w, e, 1)), e)))
    found = join_softmaxes(graph)
    assert found.nodes[-1].op.kind == "Softmax"
    assert found.nodes[-1].inputs == (z,)
    x = same(found, graph, 5.0)
    assert bool(torch.isfinite(found(x)).all())


def test_totals_that_come_to_others_elements_are_no_softmax() -> None:
    """Repeated, reshaped and repeated again: element (i, j) is divided by the total of row j // 2, not i."""
    w = Writer(2, 4)
    exponentials = w.of(Exp(), w.x)
    inverse = w.of(Reciprocal(), w.of(ReduceSum((1,), True, 1.0, 4), exponentials))
    twice = w.of(Expand.of((2, 1), (2, 2)), inverse)
    graph = w.graph(w.product(exponentials, w.wide(w.of(Reshape((1, 4)), twice), w.x)))
    assert join_softmaxes(graph) is graph
    same(simplify(graph), graph, 2.0)
