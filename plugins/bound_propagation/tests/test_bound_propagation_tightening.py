# SPDX-License-Identifier: Apache-2.0
"""Searches over subproblems with intermediate bounds of their own."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from relu_networks import NEVER, network
from vnnverify_bound_propagation.branching.relu import DualBounder
from vnnverify_bound_propagation.branching.specifications import UnsafePolytope
from vnnverify_bound_propagation.branching.tightened import TighteningBounder
from vnnverify_bound_propagation.schedule.settings import Settings

from vnnverify import Context, Deadline, Polytope
from vnnverify.bounds.propagation import Propagator
from vnnverify.search import ActivationSplit, Branches

from .conftest import context


def bounder(seed: int, offset: float, ctx: Context) -> TighteningBounder:
    tool = Propagator(network(seed), None, torch.float64)
    box = torch.ones(1, 6, dtype=torch.float64)
    state = tool.propagate(-box, box, NEVER)
    x = torch.rand(20000, 6, generator=torch.Generator().manual_seed(4), dtype=torch.float64) * 2 - 1
    x[: len(x) // 2] = x[: len(x) // 2].sign()
    least = tool.graph(x).amin(dim=0)
    polytopes = []
    for k in range(3):
        row = torch.zeros(1, 3, dtype=torch.float64)
        row[0, k] = 1
        polytopes.append(UnsafePolytope(k, 0, Polytope.of(row, least[k : k + 1] - offset)))
    plain = DualBounder(tool, state, polytopes, ctx, dtype=torch.float32, steps=10, settings=Settings())
    return TighteningBounder.over(plain, tool, state, splits=1, memory=1 << 20)


@pytest.mark.parametrize("seed", range(3))
def test_a_search_closes_what_no_input_reaches(seed: int) -> None:
    ctx = context()
    tightening = bounder(seed, 1.2, ctx)
    found = ActivationSplit(tightening, ctx, full_batch=1).run(*tightening.start(NEVER))
    assert found.open_polytopes == [] and found.witness is None


@pytest.mark.parametrize("seed", range(3))
def test_a_search_never_closes_what_an_input_reaches(seed: int) -> None:
    ctx = context(confirm=lambda x: False, seconds=3)
    tightening = bounder(seed, -0.05, ctx)
    search = ActivationSplit(tightening, ctx, full_batch=1)
    found = search.run(*tightening.start(NEVER))
    assert found.open_polytopes == [0, 1, 2]


def test_children_begin_with_the_ends_of_their_parents() -> None:
    tightening = bounder(0, -0.05, context())
    roots, found = tightening.start(NEVER)
    assert bool((found.memory["upper"] <= tightening.plain.upper).all())
    children = Branches.split(
        dataclasses.replace(roots, memory=found.memory),
        found.element[:, :1],
        found.threshold[:, :1],
        found.next_multiplier[:, :1],
    )
    again = tightening.bound(children)
    parent = torch.arange(3).repeat_interleave(2)
    assert bool((again.memory["upper"] <= found.memory["upper"][parent]).all())
    assert bool((again.memory["lower"] >= found.memory["lower"][parent]).all())


def test_past_its_deadline_a_start_has_plain_bounds_that_a_plain_search_goes_on_from() -> None:
    ctx = context()
    tightening = bounder(0, 1.2, ctx)
    roots, found = tightening.start(Deadline.after(0))
    kept, known = tightening.without_more(found, ctx)
    assert torch.equal(kept.upper, tightening.plain.upper) and torch.equal(kept.lower, tightening.plain.lower)
    assert ActivationSplit(kept, ctx).run(roots, known).open_polytopes == []
