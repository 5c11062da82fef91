# SPDX-License-Identifier: Apache-2.0
"""The backend as a whole: what it finds, and what it never says."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time

import pytest
import torch
from torch import Tensor
from vnnverify_falsification.backend import (
    Falsification,
    FalsificationOptions,
    _chosen_targets,
    _starts,
    luby,
)
from vnnverify_falsification.concrete import try_centres
from vnnverify_falsification.hunt import Hunt

from vnnverify import Box, Clause, Deadline, Verdict
from vnnverify.ir import Op
from vnnverify.ops.linear import Linear


def eye(n, scale=1.0, bias=0.0):
    return Linear(scale * torch.eye(n, dtype=torch.float64), torch.full((n,), bias, dtype=torch.float64))


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Bump(Op):
    """A tent of height 1 and half-width 0.05 at 0.3 in every coordinate; its output knows no gradient."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return (1 - (inputs[0].detach() - 0.3).abs() / 0.05).amin(dim=1, keepdim=True)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Steps(Op):
    """How many coordinates are above 0.9: differentiable, but its gradient is zero everywhere."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return (torch.sign(inputs[0] - 0.9) + 0 * inputs[0]).sum(dim=1, keepdim=True)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Reciprocal(Op):
    """1 / x: not finite at the centre of a symmetric box."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return 1 / inputs[0]


def found(kit, query, options=None, seconds=20.0, seed=0):
    outcome = Falsification(options).verify(query, kit.context(query, seconds, seed))
    if outcome.verdict is Verdict.SAT:
        assert outcome.witness.dtype == torch.float64
        assert query.source.replay(outcome.witness).valid
    return outcome


@pytest.mark.parametrize(
    ("lower", "upper", "A", "b"),
    [
        pytest.param([0, 0], [1, 1], [[1, 1]], [1.0], id="centre"),
        pytest.param([0, 0], [1, 1], [[1, -1]], [-1.0], id="one corner only"),
        pytest.param([0.1, 0.3], [0.1, 0.7], [[0, 1]], [0.3], id="zero width, float32 cannot hold 0.1"),
        pytest.param([0.1], [0.1], [[1]], [0.1], id="a box that is one point"),
        pytest.param(
            [0, 0], [1, 1], [[1, 0], [-1, 0], [0, 1], [0, -1]], [0.201, -0.2, 0.701, -0.7], id="small square"
        ),
        pytest.param(
            [-1e6, 0], [1e6, 1e-6], [[1, 0], [-1, 0], [0, -1]], [7.0, -5.0, -5e-7], id="unlike scales"
        ),
    ],
)
def test_it_finds_what_is_there(kit, lower, upper, A, b):
    query = kit.query(kit.chain([eye(len(lower))], len(lower)), [kit.clause(lower, upper, kit.rows(A, b))])
    assert found(kit, query).verdict is Verdict.SAT


@pytest.mark.parametrize(("strict", "verdict"), [(False, Verdict.SAT), (True, Verdict.UNKNOWN)])
def test_a_strict_row_excludes_its_boundary(kit, strict, verdict):
    unsafe = kit.rows([[1.0, 0.0]], [0.0], [strict])
    query = kit.query(kit.chain([eye(2)], 2), [kit.clause([0, 0], [1, 1], unsafe)])
    assert found(kit, query, FalsificationOptions(rounds=3)).verdict is verdict


@pytest.mark.parametrize("seed", range(4))
def test_it_descends_to_the_minimum_of_a_deep_network(kit, seed):
    """The threshold is what 200,000 samples reach, which 20 inputs leave far from the minimum."""
    graph = kit.dense(20, 50, 50, 1, seed=seed)
    region = Box(-torch.ones(20, dtype=torch.float64), torch.ones(20, dtype=torch.float64))
    sampled = graph(region.sample(200_000, torch.Generator().manual_seed(1))).min()
    query = kit.query(graph, [Clause(region, (kit.rows([[1.0]], [float(sampled) - 0.05]),))])
    assert found(kit, query).verdict is Verdict.SAT


def test_the_only_unsafe_polytope_of_many_is_found(kit):
    graph = kit.dense(6, 30, 12, seed=3)
    box = ([-1.0] * 6, [1.0] * 6)
    lowest = graph(
        Box(*(torch.tensor(e, dtype=torch.float64) for e in box)).sample(
            20_000, torch.Generator().manual_seed(0)
        )
    )
    unreachable = [kit.rows([[-1.0 if j == k else 0.0 for j in range(12)]], [-1e3]) for k in range(11)]
    reachable = kit.rows([[0.0] * 11 + [1.0]], [float(lowest[:, 11].min())])
    query = kit.query(graph, [kit.clause(*box, *unreachable, reachable)])
    assert found(kit, query).verdict is Verdict.SAT


@pytest.mark.parametrize("place", [0, 3_700, 3_999])
def test_one_unsafe_clause_among_thousands_is_found_at_once(kit, place):
    """Clause k is the box [k, k + 0.5]; all ask for y >= k + 1, one for y >= k + 0.45."""
    clauses = [
        kit.clause([k], [k + 0.5], kit.rows([[-1.0]], [-(k + (0.45 if k == place else 1.0))]))
        for k in range(4_000)
    ]
    query = kit.query(kit.chain([eye(1)], 1), clauses)
    outcome = found(kit, query)
    assert outcome.verdict is Verdict.SAT
    assert place + 0.45 <= float(outcome.witness) <= place + 0.5
    assert outcome.stats["points"] < 5_000


def test_clauses_with_different_boxes_polytopes_and_row_counts_share_a_batch(kit):
    unreachable = kit.rows([[1.0, 0.0], [0.0, 1.0]], [-5.0, -5.0])
    clauses = [
        kit.clause([0, 0], [1, 1], unreachable),
        kit.clause([2, 2], [3, 3], unreachable, kit.rows([[-1.0, 0.0]], [-9.0])),
        kit.clause([4, 4], [5, 5], kit.rows([[1, 1], [-1, 1], [0, -1]], [8.71, 0.51, -4.1])),
    ]
    outcome = found(kit, kit.query(kit.chain([eye(2)], 2), clauses))
    assert outcome.verdict is Verdict.SAT
    assert (outcome.witness >= 4).all()


def test_linear_rows_of_the_region_are_respected(kit):
    """Unsafe is y0 + y1 >= 1.5, but the region is cut to x0 <= 0.6."""
    box = [torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)]
    region = Box(*box, kit.rows([[1.0, 0.0]], [0.6]))
    query = kit.query(kit.chain([eye(2)], 2), [Clause(region, (kit.rows([[-1.0, -1.0]], [-1.5]),))])
    outcome = found(kit, query)
    assert outcome.verdict is Verdict.SAT
    assert float(outcome.witness[0]) <= 0.6


@pytest.mark.parametrize(
    ("op", "n", "A", "b"),
    [
        pytest.param(Bump(), 2, [[-1.0]], [-0.5], id="no gradient"),
        pytest.param(Steps(), 12, [[-1.0]], [-12.0], id="zero gradient"),
    ],
)
def test_networks_without_gradient_are_searched(kit, op, n, A, b):
    query = kit.query(kit.chain([op], n), [kit.clause([0.0] * n, [1.0] * n, kit.rows(A, b))])
    assert found(kit, query).verdict is Verdict.SAT


def test_outputs_that_are_not_finite_are_ignored(kit):
    query = kit.query(kit.chain([Reciprocal()], 1), [kit.clause([-1], [1], kit.rows([[1.0]], [-1e3]))])
    outcome = found(kit, query)
    assert outcome.verdict is Verdict.SAT
    assert -1e-3 <= float(outcome.witness) < 0


def test_a_search_in_vain_ends_unknown_and_says_how_near_it_came(kit):
    query = kit.query(kit.chain([eye(2)], 2), [kit.clause([0, 0], [1, 1], kit.rows([[2.0, 0.0]], [-1.0]))])
    outcome = found(kit, query, FalsificationOptions(rounds=4))
    assert outcome.verdict is Verdict.UNKNOWN
    assert "no counterexample found" in outcome.reason
    assert outcome.stats["best_margin"] == pytest.approx(0.5)
    assert outcome.stats["rounds"] == 4


def test_a_search_in_vain_ends_at_the_deadline(kit):
    query = kit.query(
        kit.dense(30, 200, 200, 1), [kit.clause([0.0] * 30, [1.0] * 30, kit.rows([[1.0]], [-1e4]))]
    )
    started = time.monotonic()
    assert found(kit, query, seconds=0.4).verdict is Verdict.TIMEOUT
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_a_past_deadline_returns_at_once(kit, seconds):
    query = kit.query(kit.chain([eye(1)], 1), [kit.clause([0], [1], kit.rows([[1.0]], [5.0]))])
    assert found(kit, query, seconds=seconds).verdict is Verdict.TIMEOUT


def test_the_option_seconds_ends_a_search_before_the_deadline(kit):
    query = kit.query(kit.dense(10, 100, 1), [kit.clause([0.0] * 10, [1.0] * 10, kit.rows([[1.0]], [-1e4]))])
    started = time.monotonic()
    outcome = found(kit, query, FalsificationOptions(seconds=0.2), seconds=100)
    assert outcome.verdict is Verdict.UNKNOWN
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("case", ["no clause", "empty region", "no polytope"])
def test_nothing_to_search_is_unknown_never_unsat(kit, case):
    clauses = {
        "no clause": [],
        "empty region": [kit.clause([1], [0], kit.rows([[1.0]], [5.0]))],
        "no polytope": [kit.clause([0], [1])],
    }[case]
    assert found(kit, kit.query(kit.chain([eye(1)], 1), clauses)).verdict is Verdict.UNKNOWN


def test_a_polytope_without_rows_is_hit_by_any_point(kit):
    everything = kit.rows(torch.zeros(0, 1), torch.zeros(0))
    query = kit.query(kit.chain([eye(1)], 1), [kit.clause([0], [1], everything)])
    assert found(kit, query).verdict is Verdict.SAT


def test_a_judge_that_refuses_everything_is_not_asked_for_ever(kit):
    query = kit.query(kit.dense(4, 20, 1), [kit.clause([0.0] * 4, [1.0] * 4, kit.rows([[1.0]], [1e3]))])
    asked = []
    context = dataclasses.replace(kit.context(query, 200.0), confirm=lambda x: bool(asked.append(x)))
    outcome = Falsification(FalsificationOptions(rounds=20)).verify(query, context)
    assert outcome.verdict is Verdict.UNKNOWN
    assert 16 <= len(asked) == outcome.stats["refused_candidates"] < 200


def test_the_same_seed_gives_the_same_point_and_leaves_the_global_generator_alone(kit):
    graph = kit.dense(8, 40, 40, 1, seed=5)
    region = Box(-torch.ones(8, dtype=torch.float64), torch.ones(8, dtype=torch.float64))
    sampled = graph(region.sample(50_000, torch.Generator().manual_seed(1))).min()
    query = kit.query(graph, [Clause(region, (kit.rows([[1.0]], [float(sampled) - 0.02]),))])
    state = torch.get_rng_state()
    first, second = found(kit, query, seed=3), found(kit, query, seed=3)
    assert first.verdict is Verdict.SAT
    assert torch.equal(first.witness, second.witness)
    assert torch.equal(state, torch.get_rng_state())


def test_luby_sequence():
    assert [luby(k) for k in range(1, 16)] == [1, 1, 2, 1, 1, 2, 4, 1, 1, 2, 1, 1, 2, 4, 8]


def test_the_entry_point_is_light():
    code = (
        "import sys, vnnverify_falsification as p; i = list(p.vnnverify_backends());"
        "print('torch' in sys.modules, i[0].name, i[0].opaque)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "falsification", "True"]


def test_a_small_batch_spends_most_rounds_on_the_nearest_targets_and_some_near_the_best_point(kit):
    unsafe = [kit.rows([[1.0, 0.0]], [-1.0 - k]) for k in range(64)]
    query = kit.query(kit.chain([eye(2)], 2), [kit.clause([0, 0], [1, 1], *unsafe)])
    hunt = Hunt(query, query.clauses, kit.context(query), 64)
    hunt.batch = 2
    try_centres(hunt)
    nearest = [_chosen_targets(hunt, number, 0).tolist() for number in range(4)]
    assert nearest == [[0, 1], [0, 1], [0, 1], [0, 0]]
    assert _chosen_targets(hunt, 2, 3).tolist() == [3, 0]
    start, warm = _starts(hunt, torch.zeros(8, dtype=torch.int64), number=4)
    assert warm.tolist() == [True, False, False, False] * 2
    assert ((start[warm] - 0.5).abs() <= 0.05).all()


def test_a_turn_that_is_over_before_its_first_point_tries_that_one(kit):
    query = kit.query(kit.chain([eye(2)], 2), [kit.clause([0, 0], [1, 1], kit.rows([[1.0, 0.0]], [0.6]))])
    ctx = kit.context(query)
    hunt = Hunt(query, query.clauses, ctx.until(Deadline.after(0.0)), 64)
    try_centres(hunt)
    assert hunt.points == 1 and hunt.witness is not None
