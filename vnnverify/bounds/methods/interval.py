# SPDX-License-Identifier: Apache-2.0
"""Interval bound propagation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from vnnverify.bounds.backward.rows import by_sign
from vnnverify.bounds.method import BoundMethod, Bounds, Record, Resources
from vnnverify.bounds.methods.sweep import finite_or_lost, prepared, start, sweep
from vnnverify.bounds.specification import Specification
from vnnverify.ir import Graph
from vnnverify.numerics import gamma
from vnnverify.query import Region

__all__ = ["IntervalMethod"]


@dataclass(frozen=True)
class IntervalMethod(BoundMethod):
    """One lower and one upper bound of each element. The specification is the last layer: C⁺ l + C⁻ u − d.

    Source: Gowal et al., arXiv:1810.12715.
    """

    name: str = "interval"
    differentiable: ClassVar[bool] = True

    def compute(
        self, graph: Graph, region: Region, spec: Specification, known: Bounds | None, resources: Resources
    ) -> Bounds:
        graph = prepared(graph)
        state = start(graph, region)
        values = sweep(graph, state, known, resources.deadline, lambda node, state: None)
        low, high = (graph.join_outputs({v: state.interval[v][end] for v in graph.outputs}) for end in (0, 1))
        C, d = spec.C.to(low), spec.d.to(low)
        positive, negative = by_sign(C)
        least = (positive @ low[:, :, None] + negative @ high[:, :, None])[:, :, 0]
        size = (C.abs() @ torch.maximum(low.abs(), high.abs())[:, :, None])[:, :, 0] + d.abs()
        lower = least - d - gamma(2 * C.shape[2] + 2, low.dtype) * size
        parents = () if known is None else (known,)
        return Bounds(finite_or_lost(lower), None, values, Record(self.name, parents=parents))
