# SPDX-License-Identifier: Apache-2.0
"""Several methods, and the best of what they find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from vnnverify.bounds.intervals import intersect
from vnnverify.bounds.method import BoundMethod, Bounds, LinearFunction, Record, Resources, ValueBounds
from vnnverify.bounds.methods.sweep import prepared
from vnnverify.bounds.specification import Specification
from vnnverify.ir import Graph, Value
from vnnverify.query import Region

__all__ = ["Intersection"]


@dataclass(frozen=True)
class Intersection(BoundMethod):
    """The best of each bound, inside the network and of the margins: at least as tight as every method.

    Args:
        methods: which.
        shared: each method knows what the ones before it found. Bounds are then tighter as a rule, but none
            is sure to be as tight as its method alone: slopes follow the ends of intervals, and those that
            enclose the smaller area may be the worse ones for a margin.
    """

    methods: tuple[BoundMethod, ...]
    shared: bool = False

    @property
    def name(self) -> str:  # type: ignore[override]
        """The names of the methods; an arrow leads to the one that knows more."""
        return (" → " if self.shared else " ∩ ").join(method.name for method in self.methods)

    @property
    def differentiable(self) -> bool:  # type: ignore[override]
        """Whether all of the methods are."""
        return all(method.differentiable for method in self.methods)

    def compute(
        self, graph: Graph, region: Region, spec: Specification, known: Bounds | None, resources: Resources
    ) -> Bounds:
        graph = prepared(graph)  # once, so that all methods speak of the same values
        found: list[Bounds] = []
        for method in self.methods:
            found.append(method.bound(graph, region, spec, known, resources))
            known = found[-1] if self.shared else known
        values: dict[Value, ValueBounds] = {}
        for bounds in found:
            for value, ends in bounds.values.items():
                values[value] = ends if value not in values else _both(values[value], ends)
        lower = torch.stack([bounds.lower for bounds in found])  # (M, B, S)
        record = Record(self.name, parents=tuple(found))
        return Bounds(lower.amax(dim=0), _best_linear(found), values, record)


def _both(a: ValueBounds, b: ValueBounds) -> ValueBounds:
    lower, upper = intersect((a.lower, a.upper), (b.lower, b.upper))
    origin = b.origin if a.origin in b.origin else f"{a.origin} ∩ {b.origin}"
    return ValueBounds(lower, upper, origin)


def _best_linear(found: Sequence[Bounds]) -> LinearFunction | None:
    """The linear function of the method with the largest lower bound, row by row. Where that method has none
    it is the bound itself, a constant: whoever clips a region by it takes its least value for the bound."""
    having = [bounds.linear for bounds in found if bounds.linear is not None]
    if not having:
        return None
    best = torch.stack([bounds.lower for bounds in found]).argmax(dim=0)[None]  # (1, B, S)
    flat = torch.zeros_like(having[0].A)
    each = [bounds.linear or LinearFunction(flat, bounds.lower) for bounds in found]
    A, c = (torch.stack([getattr(linear, name) for linear in each]) for name in ("A", "c"))
    return LinearFunction(A.gather(0, best[..., None].expand(1, *A.shape[1:]))[0], c.gather(0, best)[0])
