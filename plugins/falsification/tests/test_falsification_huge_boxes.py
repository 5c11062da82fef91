# SPDX-License-Identifier: Apache-2.0
"""Boxes of which most numbers overflow: what is tried is finite, and parts near zero are tried too."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor
from vnnverify_falsification.backend import Falsification, FalsificationOptions
from vnnverify_falsification.hunt import Hunt
from vnnverify_falsification.inner import with_inner_boxes

from vnnverify import Clause, Query, Verdict
from vnnverify.testing import Network, box, context, halfspaces, query_of

MOST = torch.finfo(torch.float64).max
DIFFERENCE = Network.of(([[1.0, -1.0]], [0.0]))


def query(reach: float) -> Query:
    unsafe = halfspaces(([1.0], 0.75), ([-1.0], -0.5))
    return query_of(DIFFERENCE.to_onnx(), [Clause(box([-reach] * 2, [reach] * 2), (unsafe,))])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("reach", [3.4e38, 1e39, 1e300, MOST, float("inf")])
def test_what_is_tried_is_finite_and_inside(reach: float, dtype: torch.dtype) -> None:
    asked = query(reach)
    ctx = dataclasses.replace(context(asked, seconds=5.0), dtype=dtype)
    hunt = Hunt(asked, with_inner_boxes(asked.clauses), ctx, 64)
    place = hunt.place(torch.arange(len(hunt.clauses)))
    for u in (0.0, 0.5, 1.0):
        x = place.lower + u * place.width
        assert bool(torch.isfinite(x).all()) and bool((x.abs() <= reach).all())
    tried: list[Tensor] = []
    ctx = dataclasses.replace(ctx, confirm=lambda x: bool(tried.append(x)))
    found = Falsification(FalsificationOptions(rounds=3)).verify(asked, ctx)
    assert found.verdict is Verdict.UNKNOWN and tried
    assert all(bool(torch.isfinite(x).all()) for x in tried)


@pytest.mark.parametrize("reach", [1e7, 3.4e38])
def test_finds_what_happens_near_zero(reach: float) -> None:
    asked = query(reach)
    found = Falsification(FalsificationOptions(rounds=4)).verify(asked, context(asked, seconds=5.0))
    assert found.verdict is Verdict.SAT and found.witness is not None
    assert 0.5 <= float(found.witness[0] - found.witness[1]) <= 0.75


def test_inner_boxes_lie_inside_and_keep_narrow_sides() -> None:
    region = box([-1e30, 5.0, 1e20, -2.0, 0.0], [1e30, 1e30, 1e25, 3.0, 1e5])
    unsafe = (halfspaces(([1.0], 0.0)),)
    first, *parts = with_inner_boxes([Clause(region, unsafe)])
    assert first.region is region and len(parts) == 3
    for part in parts:
        assert part.unsafe is unsafe
        assert bool((part.region.lower >= region.lower).all() & (part.region.upper <= region.upper).all())
        assert part.region.lower[3:].tolist() == [-2.0, 0.0] and part.region.upper[3:].tolist() == [3.0, 1e5]
    assert parts[0].region.lower[:3].tolist() == [-1.0, 5.0, float(region.lower[2])]
    assert parts[0].region.upper[:2].tolist() == [1.0, 10.0]
    assert len(with_inner_boxes([Clause(box([-1.0], [1.0]), unsafe)])) == 1
