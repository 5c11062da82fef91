# SPDX-License-Identifier: Apache-2.0
"""A variance by its moments becomes one by differences."""

from __future__ import annotations

import torch

from vnnverify.domains import interval
from vnnverify.ir import Value
from vnnverify.ops.smooth import Power
from vnnverify.ops.sums import ReduceSum
from vnnverify.simplify import centre_variances, simplify

from .conftest import Writer, same


def moments(w: Writer, second: float, *, keepdims: bool = True) -> Value:
    """second·Σ x² − (mean x)² over the last axis."""
    square = w.of(ReduceSum((1,), keepdims, second, w.x.shape[1]), w.product(w.x, w.x))
    mean = w.of(ReduceSum((1,), keepdims, 1 / w.x.shape[1], w.x.shape[1]), w.x)
    return w.plus(square, w.of(Power(2.0), mean), -1)


def test_never_negative() -> None:
    for keepdims in (False, True):
        w = Writer(2, 5)
        graph = w.graph(moments(w, 1 / 5, keepdims=keepdims))
        found = simplify(graph)
        same(found, graph, 3.0)
        x = torch.zeros(1, 10, dtype=torch.float64)
        (low, high), (wide, _) = (
            interval.bounds_of_values(g, x - 1, x + 1)[g.outputs[0]] for g in (found, graph)
        )
        assert bool((low > -1e-12).all()) and bool((wide < -0.9).all())
        assert bool(torch.isfinite(high).all())


def test_another_factor_stays() -> None:
    w = Writer(2, 5)
    graph = simplify(w.graph(moments(w, 1 / 4)))
    assert centre_variances(graph) is graph
