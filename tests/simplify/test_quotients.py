# SPDX-License-Identifier: Apache-2.0
"""What is divided by its own norm cannot be larger than that allows; other quotients can."""

from __future__ import annotations

from math import sqrt

import pytest
import torch

from vnnverify.domains import interval
from vnnverify.ir import Graph, Value
from vnnverify.ops.arrangement import Expand, Reshape
from vnnverify.ops.piecewise import Clip
from vnnverify.ops.smooth import InverseSqrt, Power
from vnnverify.ops.sums import ReduceSum
from vnnverify.simplify import limit_quotients, simplify

from .conftest import Writer, same


def normalised(w: Writer, axes: tuple[int, ...], factor: float, *, shift: float = 1e-5) -> Value:
    """x/sqrt(factor·Σ x² + shift), with a sum that loses its axes first."""
    total = w.of(ReduceSum(axes, False, factor, w.x.size), w.of(Power(2.0), w.x))
    kept = tuple(1 if k in axes else n for k, n in enumerate(w.x.shape))
    root = w.of(InverseSqrt(), w.line(1.0, w.of(Reshape(kept), total), shift))
    return w.product(w.x, w.wide(root, w.x))


def ends(graph: Graph, reach: float) -> tuple[float, float]:
    x = torch.zeros(1, graph.input_size, dtype=torch.float64)
    low, high = interval.bounds_of_values(graph, x - reach, x + reach)[graph.outputs[0]]
    return float(low.min()), float(high.max())


@pytest.mark.parametrize(("axes", "factor"), [((1,), 1 / 4), ((0,), 1.0), ((0, 1), 0.5)])
def test_cut_to_the_limit(axes: tuple[int, ...], factor: float) -> None:
    w = Writer(3, 4)
    graph = w.graph(normalised(w, axes, factor))
    found = simplify(graph)
    assert [node.op.kind for node in found.nodes][-1] == "Clip"
    same(found, graph)
    low, high = ends(found, 10.0)
    assert high == pytest.approx(1 / sqrt(factor), rel=1e-5) and low == pytest.approx(-high)
    assert ends(graph, 10.0)[1] > 1000
    assert limit_quotients(found) is found


def test_the_limit_is_reached_and_not_passed() -> None:
    """One element far from all others, which are zero."""
    w = Writer(1, 4)
    graph = simplify(w.graph(normalised(w, (1,), 1 / 4)))
    x = torch.tensor([[1e4, 0, 0, 0], [0, -1e8, 0, 1]], dtype=torch.float64)
    assert graph(x)[:, :2].tolist() == [[pytest.approx(2.0), 0], [0, pytest.approx(-2.0)]]
    clip = graph.nodes[-1].op
    assert isinstance(clip, Clip) and bool((graph(x).abs() < clip.kinks[1]).all())  # type: ignore[index]


def test_others_are_not_cut() -> None:
    """Less than the sum, another axis, and the norm of another value."""
    w = Writer(4, 4)
    assert limit_quotients(graph := w.graph(normalised(w, (1,), 0.25, shift=-1e-5))) is graph
    w = Writer(4, 4)
    total = w.of(ReduceSum((1,), False, 1.0, 4), w.of(Power(2.0), w.x))
    turned = w.of(Reshape((1, 4)), w.of(InverseSqrt(), total))
    assert limit_quotients(graph := w.graph(w.product(w.x, w.wide(turned, w.x)))) is graph
    w = Writer(4, 4)
    root = w.of(InverseSqrt(), w.of(ReduceSum((1,), True, 1.0, 4), w.of(Power(2.0), w.x)))
    other = w.line(2.0, w.x)
    assert limit_quotients(graph := w.graph(w.product(other, w.wide(root, w.x)))) is graph


def test_norms_that_come_to_others_elements_are_not_cut() -> None:
    """Repeated, reshaped and repeated again: element (i, j) is divided by the norm of row j // 2, not i."""
    w = Writer(2, 4)
    root = w.of(InverseSqrt(), w.of(ReduceSum((1,), True, 1.0, 4), w.of(Power(2.0), w.x)))
    twice = w.of(Expand.of((2, 1), (2, 2)), root)
    mixed = w.wide(w.of(Reshape((1, 4)), twice), w.x)
    graph = w.graph(w.product(w.x, mixed))
    x = torch.tensor([[1.0, 0, 0, 9, 0, 0, 0, 0.01]], dtype=torch.float64)
    assert float(graph(x).abs().max()) > 100
    assert limit_quotients(graph) is graph
    same(simplify(graph), graph)
