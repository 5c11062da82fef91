# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import itertools
import random

import pytest
import torch
from scipy.optimize import linprog
from torch import Tensor
from vnnverify_bound_propagation.backends.bound_propagation import BoundPropagation
from vnnverify_bound_propagation.one_hidden_layer.cells import Cells, ascend, certify, tighten
from vnnverify_bound_propagation.one_hidden_layer.hinges import Hinges, has_one_hidden_layer
from vnnverify_bound_propagation.schedule.settings import Settings

from vnnverify import Box, Clause, Deadline, Polytope, Query, Verdict
from vnnverify.bounds.propagation import Propagator
from vnnverify.ir import Graph, Node, Value
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.sums import Sum
from vnnverify.testing import Network, box, context, exact, halfspaces, query_of

NEVER = Deadline.never()


def network(seed: int, inputs: int = 4, hidden: int = 12, outputs: int = 3) -> Graph:
    """One layer of ReLUs with an affine path beside it."""
    generator = torch.Generator().manual_seed(seed)
    x, z, r = Value("x", (inputs,)), Value("z", (hidden,)), Value("r", (hidden,))
    y, s, t = Value("y", (outputs,)), Value("s", (outputs,)), Value("t", (outputs,))

    def linear(a: int, b: int) -> Linear:
        weight = torch.randn(b, a, generator=generator, dtype=torch.float64) / a**0.5
        return Linear(weight, torch.randn(b, generator=generator, dtype=torch.float64) / 2)

    nodes = (
        Node(linear(inputs, hidden), (x,), z, "z"),
        Node(Relu(), (z,), r, "r"),
        Node(linear(hidden, outputs), (r,), y, "y"),
        Node(linear(inputs, outputs), (x,), s, "s"),
        Node(Sum((1, 1)), (y, s), t, "t"),
    )
    return Graph((x,), (t,), nodes)


def prepared(seed: int, P: int = 2) -> tuple[Graph, Hinges, Tensor, Tensor, Tensor]:
    """Two boxes, three polytopes, and points (3, N, n) of their boxes with margins (3, N, P)."""
    graph = network(seed)
    generator = torch.Generator().manual_seed(seed + 50)
    lower = torch.rand(2, 4, generator=generator, dtype=torch.float64) - 1
    upper = lower + torch.rand(2, 4, generator=generator, dtype=torch.float64) * 1.5
    tool = Propagator(graph, None, torch.float64)
    root = tool.propagate(lower, upper, NEVER)
    where = torch.tensor([0, 1, 1])
    C = torch.randn(3, P, 3, generator=generator, dtype=torch.float64)
    d = torch.randn(3, P, generator=generator, dtype=torch.float64)
    hinges = Hinges.of(tool, root, where, C, d)
    u = torch.rand(3, 3000, 4, generator=generator, dtype=torch.float64)
    u[:, :1000] = u[:, :1000].round()
    x = lower[where][:, None] + u * (upper - lower)[where][:, None]
    y = graph(x.reshape(-1, 4)).reshape(3, -1, 3)
    return graph, hinges, x, torch.einsum("gpm,gkm->gkp", C, y) - d[:, None], where


def cells_of(hinges: Hinges, count: int, seed: int, dtype: torch.dtype) -> Cells:
    """Random parts of the polytopes' boxes, at random multipliers and weights."""
    generator = torch.Generator().manual_seed(seed)
    polytope = torch.arange(count) % hinges.v.shape[0]
    fast = hinges.to(dtype)
    low, high = fast.low[polytope].clone(), fast.high[polytope].clone()
    side = torch.randint(-1, 6, low.shape, generator=generator)
    low[side == 0] = low[side == 0].clamp(min=0)
    high[side == 1] = high[side == 1].clamp(max=0)
    low, high = torch.minimum(low, high), torch.maximum(low, high)
    slope = torch.randn(low.shape, generator=generator).to(dtype)
    weight = torch.rand(count, hinges.v.shape[1], generator=generator).to(dtype)
    point = (fast.lower + fast.upper)[polytope] / 2
    return Cells(polytope, fast.lower[polytope], fast.upper[polytope], low, high, slope, point, weight)


def inside(cells: Cells, hinges: Hinges, x: Tensor) -> Tensor:
    """Which points (G, N, n) are in each cell, as far as it says: (D, N)."""
    x = x[cells.polytope]
    z = x @ hinges.W.T + hinges.b
    parts = ((z, cells.low, cells.high), (x, cells.lower, cells.upper))
    found = [((t >= a[:, None] - 1e-12) & (t <= b[:, None] + 1e-12)).all(dim=2) for t, a, b in parts]
    return found[0] & found[1]


@pytest.mark.parametrize("seed", range(3))
def test_hinges_are_the_margins(seed: int) -> None:
    _, hinges, x, margin, _ = prepared(seed)
    z = x @ hinges.W.T + hinges.b
    value = torch.einsum("gpj,gkj->gkp", hinges.v, z.clamp(min=0))
    value = value + torch.einsum("gpn,gkn->gkp", hinges.a, x) + hinges.c[:, None]
    torch.testing.assert_close(value, margin, rtol=1e-9, atol=1e-9)
    assert (value <= margin + 1e-14).all() and (hinges.e < 1e-12).all()
    assert ((z >= hinges.low[:, None]) & (z <= hinges.high[:, None])).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("steps", [0, 20])
def test_no_unsafe_sample_is_below_a_bound_or_cut_off(dtype: torch.dtype, steps: int) -> None:
    """At random and at good multipliers, twice in a row."""
    shrunk = emptied = 0
    for seed in range(4):
        _, hinges, x, margin, _ = prepared(seed)
        cells = cells_of(hinges, 60, seed, dtype)
        ascend(hinges.to(dtype), cells, steps, Settings())
        for _ in range(2):
            within = inside(cells, hinges, x)
            worth = torch.einsum("dp,dkp->dk", cells.weight.double(), margin[cells.polytope])
            proof = certify(hinges, cells)
            least = torch.where(within, worth, float("inf")).amin(dim=1)
            assert (proof.bound <= least).all()
            unsafe = within & (worth <= 0)
            before = (cells.high - cells.low).sum()
            empty = tighten(hinges, cells, proof, Settings())
            assert not unsafe[empty].any()
            assert (unsafe <= (inside(cells, hinges, x) | empty[:, None])).all()
            shrunk += bool((cells.high - cells.low).sum() < before)
            emptied += int(empty.sum())
            cells = cells.take(~empty)
    assert shrunk and emptied


def test_ascent_reaches_the_linear_program() -> None:
    """Without splits the bound is the largest over all multipliers, within a hundredth."""
    _, hinges, _, _, _ = prepared(1, P=1)
    cells = cells_of(hinges, 3, 0, torch.float64)
    cells.low, cells.high, cells.weight[:] = hinges.low.clone(), hinges.high.clone(), 1
    cells.slope[:] = 0
    ascend(hinges, cells, 200, Settings())
    bound = certify(hinges, cells).bound
    for g in range(3):
        v, low, high = hinges.v[g, 0], hinges.low[g], hinges.high[g]
        chord = torch.where((low < 0) & (high > 0), high / (high - low), (low >= 0).double())
        bent = (v > 0) & (low < 0) & (high > 0)
        straight = torch.where(bent, 0.0, v * chord)
        shift = torch.where((low < 0) & (high > 0), -low * chord, 0.0)
        cost = torch.cat([hinges.a[g, 0] + straight @ hinges.W, v[bent]])
        above = torch.cat([hinges.W[bent], -torch.eye(int(bent.sum()), dtype=torch.float64)], 1)
        ends = [*zip(hinges.lower[g].tolist(), hinges.upper[g].tolist(), strict=True)]
        ends += [(0, None)] * int(bent.sum())
        found = linprog(cost.numpy(), A_ub=above.numpy(), b_ub=-hinges.b[bent].numpy(), bounds=ends)
        rest = float(hinges.c[g, 0] + straight @ hinges.b + torch.where(bent, 0.0, v * shift).sum())
        assert float(bound[g]) == pytest.approx(found.fun + rest, abs=1e-3)
        assert float(bound[g]) <= found.fun + rest + 1e-9


@pytest.mark.parametrize("seed", range(12))
def test_exact_answers_on_random_networks(seed: int) -> None:
    net = Network.random((2, 6, 2), seed)
    region = box([-1.0, -1.0], [1.0, 0.5])
    rows = [([1.0, 0.0], -0.375), ([0.5, -1.0], 0.125)]
    clauses = [Clause(region, (halfspaces(*rows),)), Clause(region, (halfspaces(([-1.0, 1.0], -1.5)),))]
    query = query_of(net.to_onnx(), clauses)
    truth = exact.reachable(net, clauses)
    slack = exact.slack(net, clauses)
    found = BoundPropagation(Settings(split_inputs=0)).verify(query, context(query, 20.0))
    if slack != 0:
        assert found.verdict is (Verdict.UNSAT if truth is None else Verdict.SAT)


def satisfiability(variables: int, clauses: int, seed: int) -> tuple[Query, bool]:
    """A formula with three literals a clause as hinges that are all <= 0.01 in sum, and whether it is
    satisfiable."""
    rng = random.Random(seed)
    literals = [[(v, rng.random() < 0.5) for v in rng.sample(range(variables), 3)] for _ in range(clauses)]
    truth = any(
        all(any(bits[v] == sign for v, sign in clause) for clause in literals)
        for bits in itertools.product([False, True], repeat=variables)
    )
    weight, bias = torch.zeros(clauses + 2 * variables, variables), torch.zeros(clauses + 2 * variables)
    out = torch.zeros(2, clauses + 2 * variables)
    for k, clause in enumerate(literals):
        for v, sign in clause:
            weight[k, v] = -1 if sign else 1
        bias[k] = 1 - sum(not sign for _, sign in clause)
        out[0, k] = 1
    for v in range(variables):
        k = clauses + 2 * v
        weight[k, v], weight[k + 1, v], bias[k + 1] = 1, 2, -1  # x − relu(2 x − 1) is zero at 0 and 1 only
        out[1, k], out[1, k + 1] = 1, -1
    layers = [(w.tolist(), b.tolist()) for w, b in ((weight, bias), (out, torch.zeros(2)))]
    region = Box(torch.zeros(variables, dtype=torch.float64), torch.ones(variables, dtype=torch.float64))
    unsafe = Polytope.of(torch.eye(2), torch.full((2,), 2.0**-7))
    return query_of(Network.of(*layers).to_onnx(), [Clause(region, (unsafe,))]), truth


@pytest.mark.parametrize(("clauses", "seed"), [(30, 0), (30, 1), (48, 2), (48, 3), (60, 4)])
def test_formulas_as_rows_that_hold_together(clauses: int, seed: int) -> None:
    query, truth = satisfiability(8, clauses, seed)
    found = BoundPropagation(Settings(split_inputs=0)).verify(query, context(query, 30.0))
    assert found.verdict is (Verdict.SAT if truth else Verdict.UNSAT), found.reason


def test_two_hidden_layers_are_not_one() -> None:
    assert has_one_hidden_layer(network(0))
    assert not has_one_hidden_layer(query_of(Network.random((2, 3, 3, 1), 0).to_onnx(), []).graph)


@pytest.mark.parametrize("value", (float("nan"), float("inf"), -float("inf")))
@pytest.mark.parametrize("what", ["bound", "A", "k", "hull", "error", "v"])
def test_cells_of_strange_proofs_are_not_empty(what: str, value: float) -> None:
    generator = torch.Generator().manual_seed(0)
    W = torch.randn(7, 3, generator=generator, dtype=torch.float64)
    ends = -torch.ones(2, 3).double(), torch.ones(2, 3).double()
    reach = W.abs().sum(dim=1).expand(2, -1)
    v, a, c = (torch.randn(2, 1, *s, generator=generator, dtype=torch.float64) for s in ((7,), (3,), ()))
    hinges = Hinges(W, torch.zeros(7).double(), torch.zeros(7).double(), v, a, c, *ends, -reach, reach)
    zero = torch.zeros(2, 7).double()
    cells = Cells(
        torch.arange(2),
        *(e.clone() for e in ends),
        -reach.clone(),
        reach.clone(),
        zero,
        zero[:, :3],
        torch.ones(2, 1).double(),
    )
    ascend(hinges, cells, 20, Settings())
    proof = certify(hinges, cells)
    strange = dataclasses.replace(proof, **{what: torch.full_like(getattr(proof, what), value)})
    x = torch.rand(4000, 3, generator=generator, dtype=torch.float64) * 2 - 1
    margin = torch.relu(x @ W.T) @ v[:, 0].T + x @ a[:, 0].T + c[:, 0]  # (points, 2)
    possible = (margin <= 0).any(dim=0)
    assert bool(possible.all())
    assert not bool(tighten(hinges, cells, strange, Settings()).any())
    inside = (x[:, None] >= cells.lower) & (x[:, None] <= cells.upper)  # (points, 2, 3)
    assert bool((inside.all(dim=2) | (margin > 0)).all())
