# SPDX-License-Identifier: Apache-2.0
"""Conjunctions of many rows: sets too thin for a gradient that looks at one row at a time."""

from __future__ import annotations

import pytest
import torch
from vnnverify_falsification.backend import Falsification
from vnnverify_falsification.hunt import Hunt
from vnnverify_falsification.refine import refine, refined_points

from vnnverify import Box, Clause, Verdict
from vnnverify.ops.linear import Linear

F64 = torch.float64


def around(kit, y, width):
    """The box of outputs of half-width `width` around y (m,)."""
    eye = torch.eye(y.numel(), dtype=F64)
    return kit.rows(torch.cat([eye, -eye]), torch.cat([y + width, width - y]))


@pytest.mark.parametrize("seed", range(3))
def test_a_network_is_inverted(kit, seed):
    graph = kit.dense(20, 60, 60, 12, seed=seed)
    region = Box(-torch.ones(20, dtype=F64), torch.ones(20, dtype=F64))
    goal = graph(region.sample(1, torch.Generator().manual_seed(seed)))[0]
    query = kit.query(graph, [Clause(region, (around(kit, goal, 1e-5),))])
    outcome = Falsification().verify(query, kit.context(query, seconds=60))
    assert outcome.verdict is Verdict.SAT
    assert outcome.stats["rounds"] <= 8


def test_linear_equations_are_solved_in_a_few_steps_with_coordinates_held_at_their_ends(kit):
    """x0 + x1 + x2 = 2.7 and x0 − x1 = −0.2 inside the unit box: x2 wants to leave it."""
    A = torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, 0.0]], dtype=F64)
    graph = kit.chain([Linear(A, torch.zeros(2, dtype=F64))], 3)
    clause = kit.clause([0, 0, 0], [1, 1, 1], around(kit, torch.tensor([2.7, -0.2], dtype=F64), 1e-5))
    query = kit.query(graph, [clause])
    hunt = Hunt(query, query.clauses, kit.context(query), 64)
    refine(hunt, torch.zeros(1, dtype=torch.int64), torch.tensor([[0.1, 0.1, 0.9]]))
    assert hunt.witness is not None
    assert hunt.points < 60


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_outputs_that_are_not_finite_do_no_harm(kit, bad):
    graph = kit.chain([Linear(torch.eye(2, dtype=F64), torch.tensor([bad, 0.0], dtype=F64))], 2)
    query = kit.query(graph, [kit.clause([0, 0], [1, 1], kit.rows([[1, 0], [0, 1]], [0.5, 0.5]))])
    hunt = Hunt(query, query.clauses, kit.context(query), 64)
    refine(hunt, torch.zeros(2, dtype=torch.int64), torch.rand(2, 2))
    assert hunt.witness is None


def test_fewer_points_are_refined_where_targets_have_many_rows(kit):
    graph = kit.dense(4, 20, 64)
    counts = []
    for rows in (2, 32):
        unsafe = kit.rows(torch.eye(64, dtype=F64)[:rows], torch.full((rows,), -1e3, dtype=F64))
        query = kit.query(graph, [kit.clause([0] * 4, [1] * 4, unsafe)])
        hunt = Hunt(query, query.clauses, kit.context(query), 512)
        hunt.batch = 32
        counts.append(refined_points(hunt))
    assert counts == [32, 4]
