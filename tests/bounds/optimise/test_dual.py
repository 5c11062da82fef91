# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import pytest
import torch
from relu_networks import NEVER, prepared
from torch import Tensor

from vnnverify.bounds import backward
from vnnverify.bounds.backward.margins import output_rows
from vnnverify.bounds.optimise.dual_pass import DualWork
from vnnverify.bounds.optimise.lines import each_box
from vnnverify.ir import Graph


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


@pytest.mark.parametrize("seed", range(4))
def test_gradient_is_that_of_automatic_differentiation(seed: int) -> None:
    """The hand-written derivatives by slopes, multipliers and weights are those of the backward bound."""
    _, dual, problems = prepared(seed, torch.float64)
    generator = torch.Generator().manual_seed(seed)
    alpha = torch.rand(problems.alpha.shape, generator=generator, dtype=torch.float64)
    beta = torch.randn(problems.beta.shape, generator=generator, dtype=torch.float64) / 10
    weight = torch.rand(problems.weight.shape, generator=generator, dtype=torch.float64)
    problems.alpha, problems.beta, problems.weight = alpha, beta, weight
    work = DualWork(dual.graph, dual.root, dual.units, problems, dual.settings)
    bound = work.evaluate()

    parameters = [p.clone().requires_grad_() for p in (alpha, beta, weight)]
    state = each_box(dual.root, problems.box)
    for node, unit in dual.units.items():
        shape = (len(problems), *node.output.shape)
        own = state.lines[node]
        slope = own.below_slope.flatten(1).index_copy(1, unit.columns, parameters[0][:, unit.part])
        state.lines[node] = dataclasses.replace(own, below_slope=slope.reshape(shape))
        none = torch.zeros_like(slope)
        state.multiplier[node] = none.index_copy(1, unit.columns, parameters[1][:, unit.part]).reshape(shape)
    state.error = {}
    C = (parameters[2][:, :, None] * problems.rows).sum(dim=1)
    const = -(parameters[2] * problems.offset).sum(dim=1)
    rows = backward.Rows(len(problems), per_box=1)
    by_hand = backward.lower_bounds(dual.graph, state, output_rows(dual.graph, C), rows, const)
    lower = by_hand.lower + by_hand.error
    torch.testing.assert_close(lower, bound, rtol=1e-9, atol=1e-9)
    found = torch.autograd.grad(lower.sum(), parameters)
    assert work.margins is not None
    torch.testing.assert_close(work.gradient, found[0], rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(work.beta_gradient, found[1], rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(work.margins, found[2], rtol=1e-7, atol=1e-9)
