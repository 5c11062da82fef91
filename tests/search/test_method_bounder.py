# SPDX-License-Identifier: Apache-2.0
"""Bounding methods as what a search over boxes asks of a domain."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from vnnverify.bounds.method import BoundMethod, Bounds, Resources
from vnnverify.bounds.methods import METHODS
from vnnverify.bounds.specification import Specification
from vnnverify.ir import Graph
from vnnverify.query import Region
from vnnverify.search import MethodBounder
from vnnverify.testing import context, zoo


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_parts_of_a_batch_are_bounded_as_the_whole(method: BoundMethod) -> None:
    query = next(s for s in zoo() if s.name == "maximum_above").query
    ctx = context(query, 60.0)
    lower, upper = (getattr(query.clauses[0].region, end).to(ctx.dtype) for end in ("lower", "upper"))
    ends = torch.stack([lower, (lower + upper) / 2, upper])
    low, high = ends[[0, 1, 0]], ends[[1, 2, 2]]
    spec = Specification.of(query.clauses, query.graph.output_size, ctx.device)
    spec = spec.take(torch.zeros(3, dtype=torch.long))
    bounder = MethodBounder(method, query, ctx, 1 << 28)
    whole = bounder.bound(low, high, spec, None)
    bounder.at_once = 1
    parts = bounder.bound(low, high, spec, None)
    torch.testing.assert_close(parts.lower, whole.lower, rtol=1e-4, atol=1e-5)
    y = query.graph.to(ctx.device, ctx.dtype)(torch.lerp(low, high, 0.37))
    margin = torch.einsum("bsm,bm->bs", spec.C.to(y), y) - spec.d.to(y)
    assert bool((whole.lower <= margin + 1e-5).all())


@dataclass(frozen=True)
class Plain(BoundMethod):
    """Another method without error terms: of no use as a proof."""

    name: str = "plain"

    def compute(
        self, graph: Graph, region: Region, spec: Specification, known: Bounds | None, resources: Resources
    ) -> Bounds:
        return METHODS["crown"].bound(graph, region, spec, known, Resources(rounding="plain"))


def test_bounds_that_are_not_sound_prove_nothing() -> None:
    query = next(s for s in zoo() if s.name == "maximum_above").query
    ctx = context(query, 60.0)
    region = query.clauses[0].region
    lower, upper = (end[None].to(ctx.dtype) for end in (region.lower, region.upper))
    spec = Specification.of(query.clauses, query.graph.output_size, ctx.device)
    found = MethodBounder(Plain(), query, ctx, 1 << 28).bound(lower, upper, spec, None)
    assert bool((found.lower == -torch.inf).all()) and found.A is None
    assert bool(
        torch.isfinite(
            MethodBounder(METHODS["crown"], query, ctx, 1 << 28).bound(lower, upper, spec, None).lower
        ).any()
    )
