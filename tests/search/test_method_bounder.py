# SPDX-License-Identifier: Apache-2.0
"""Bounding methods as what a search over boxes asks of a domain."""

from __future__ import annotations

import pytest
import torch

from vnnverify.bounds.method import BoundMethod
from vnnverify.bounds.methods import METHODS
from vnnverify.bounds.specification import Specification
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
