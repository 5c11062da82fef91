# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from vnnverify_bound_propagation.bounds import Propagator
from vnnverify_bound_propagation.dual import Dual, Problems, best_splits, bound_by_cases

from vnnverify import Deadline
from vnnverify.ir import Graph, Node, Value
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.sums import Sum

NEVER = Deadline.never()


def network(seed: int, sizes: tuple[int, ...] = (6, 20, 20, 20, 3)) -> Graph:
    """ReLU layers with a skip connection over the middle one."""
    generator = torch.Generator().manual_seed(seed)
    value = first = Value("x", (sizes[0],))
    nodes: list[Node] = []
    for k, (a, b) in enumerate(itertools.pairwise(sizes)):
        weight = torch.randn(b, a, generator=generator, dtype=torch.float64) / a**0.5
        bias = torch.randn(b, generator=generator, dtype=torch.float64) / 4
        before, value = value, Value(f"z{k}", (b,))
        nodes.append(Node(Linear(weight, bias), (before,), value, value.name))
        if a == b and k == 2:
            joined = Value("skip", (b,))
            nodes.append(Node(Sum((1, 1)), (value, before), joined, "skip"))
            value = joined
        if k < len(sizes) - 2:
            out = Value(f"r{k}", (b,))
            nodes.append(Node(Relu(), (value,), out, out.name))
            value = out
    return Graph((first,), (value,), tuple(nodes))


def prepared(seed: int, dtype: torch.dtype, rows: int = 4) -> tuple[Propagator, Dual, Problems]:
    graph = network(seed).to("cpu", dtype)
    tool = Propagator(graph, None, dtype)
    state = tool.propagate(-torch.ones(1, 6, dtype=dtype), torch.ones(1, 6, dtype=dtype), NEVER)
    dual = Dual(tool.graph, state)
    generator = torch.Generator().manual_seed(seed + 100)
    C = torch.randn(rows, 2, 3, generator=generator, dtype=torch.float64).to(dtype)
    d = torch.randn(rows, 2, generator=generator, dtype=torch.float64).to(dtype)
    return tool, dual, dual.problems(torch.zeros(rows, dtype=torch.long), C, d)


def sampled(graph: Graph, count: int = 4000) -> tuple[Tensor, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(9)
    x = torch.rand(count, 6, generator=generator, dtype=torch.float64) * 2 - 1
    x[: count // 2] = x[: count // 2].sign()
    exact = graph.to("cpu", torch.float64)
    values = exact.evaluate(x)
    return exact.join_outputs(values), {v.name: t for v, t in values.items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(4))
def test_certified_bounds_hold_at_any_parameters(seed: int, dtype: torch.dtype) -> None:
    """Random slopes, multipliers and weights, splits included: no sample that obeys the splits is below."""
    tool, dual, problems = prepared(seed, dtype)
    generator = torch.Generator().manual_seed(seed)
    shape = problems.alpha.shape
    problems.alpha = torch.rand(shape, generator=generator).to(dtype)
    problems.beta = (torch.randn(shape, generator=generator) / 3).to(dtype)
    problems.weight = torch.rand(problems.weight.shape, generator=generator).to(dtype)
    side = torch.randint(-1, 6, shape, generator=generator)
    problems.lower = torch.where(side == 0, 0.0, problems.lower)
    problems.upper = torch.where(side == -1, 0.0, problems.upper)
    found = dual.certify(problems).lower
    y, values = sampled(tool.graph)
    units = [(unit, values[node.inputs[0].name].flatten(1)) for node, unit in dual.units.items()]
    for k in range(len(problems)):
        inside = torch.ones(y.shape[0], dtype=torch.bool)
        for unit, z in units:
            part = z[:, unit.columns]
            inside &= (part >= problems.lower[k, unit.part].double()).all(dim=1)
            inside &= (part <= problems.upper[k, unit.part].double()).all(dim=1)
        margin = y @ problems.rows[k].double().T - problems.offset[k].double()
        worth = (problems.weight[k].double() * margin).sum(dim=1)[inside]
        assert worth.numel() == 0 or float(worth.min()) >= float(found[k])


@pytest.mark.parametrize("seed", range(4))
def test_ascent_improves_and_agrees_with_the_certified_bound(seed: int) -> None:
    _, dual, problems = prepared(seed, torch.float64)
    first = dual.evaluate(problems)
    best = dual.ascend(problems, 60, NEVER)
    assert bool((best.bound >= first - 1e-12).all()) and bool((best.bound > first + 1e-3).any())
    again = dual.certify(problems).lower
    torch.testing.assert_close(best.bound, again, rtol=1e-9, atol=1e-9)
    assert bool((again <= best.bound + 1e-12).all())


def test_gradient_is_that_of_automatic_differentiation() -> None:
    """The hand-written derivative of the bound with respect to slopes and multipliers."""
    from vnnverify_bound_propagation.dual import _Work

    _, dual, problems = prepared(3, torch.float64)
    problems.alpha = (problems.alpha * 0.5 + 0.2).requires_grad_()
    problems.beta = (torch.rand_like(problems.beta) / 10).requires_grad_()
    work = _Work(dual, problems)
    found = work.backward()
    alpha, beta = torch.autograd.grad(found.bound.sum(), [problems.alpha, problems.beta])
    work.forward(found)
    torch.testing.assert_close(work.gradient, torch.where(work.open, alpha, 0.0))
    torch.testing.assert_close(work.beta_gradient, beta)


def test_bounds_by_cases_are_better_and_hold_at_samples() -> None:
    tool, dual, problems = prepared(3, torch.float64)
    problems = problems.take(torch.arange(4))
    plain = bound_by_cases(dual, dual, problems.take(torch.arange(4)), 10, 0, NEVER)
    found = bound_by_cases(dual, dual, problems, 10, 3, NEVER)
    assert (found >= plain).all() and (found > plain + 1e-3).any()
    x = torch.rand(5000, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2 - 1
    rows = torch.einsum("dpm,nm->dpn", problems.rows, tool.graph(x)) - problems.offset[:, :, None]
    least = rows.amax(dim=1).amin(dim=1)  # the weights make up a convex combination of the rows
    assert (found <= least).all()


def test_cases_cover_the_sub_problem() -> None:
    _, dual, problems = prepared(5, torch.float64)
    element, worth = best_splits(problems, dual.ascend(problems, 5, NEVER), 2)
    element[0, 1] = -1
    cases = problems.cases(element, worth)
    assert len(cases) == 4 * len(problems)
    for d in range(len(problems)):
        own = slice(4 * d, 4 * d + 4)
        for k, e in enumerate(element[d].tolist()):
            if e < 0:
                continue
            sides = [
                (k_low, k_up) for k_low, k_up in zip(cases.lower[own, e], cases.upper[own, e], strict=True)
            ]
            assert sum(bool(low == 0) for low, _ in sides) == 2, k
            assert sum(bool(up == 0) for _, up in sides) == 2
    assert torch.equal(cases.lower[0], cases.lower[2]) and torch.equal(cases.upper[1], cases.upper[3])
