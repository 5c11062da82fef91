# SPDX-License-Identifier: Apache-2.0
"""NaN and infinity planted into what is known: they close nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from vnnverify_bound_propagation.one_hidden_layer.cells import Cells, ascend, certify, tighten
from vnnverify_bound_propagation.one_hidden_layer.hinges import Hinges
from vnnverify_bound_propagation.schedule.settings import Settings

from vnnverify import Deadline
from vnnverify.bounds.intermediate.cases import bound_by_cases
from vnnverify.bounds.intermediate.pruning import without_dead
from vnnverify.bounds.intermediate.tightening import Tightening
from vnnverify.bounds.optimise.dual import Dual
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.specification import Specification
from vnnverify.ir import Graph
from vnnverify.testing import check_overflow

from .conftest import NEVER, prepared

NAN, INF = float("nan"), float("inf")
STRANGE = (NAN, INF, -INF)


def both_signs(B: int, m: int, dtype: torch.dtype) -> Specification:
    """Rows +y and −y in each box."""
    C = torch.cat([torch.eye(m), -torch.eye(m)]).to(dtype).expand(B, -1, -1)
    zero = torch.zeros(B, 2 * m, dtype=dtype)
    member = torch.ones(B, 1, 2 * m, dtype=torch.bool)
    return Specification(C, zero, zero.bool(), member, member[:, :, 0])


def bounds(*, forms: bool, light: bool = False) -> Callable[[Graph, Tensor, Tensor], tuple[Tensor, Tensor]]:
    def found(graph: Graph, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        B, n = lower.shape
        tool = Propagator(graph, torch.arange(n) if forms else None, lower.dtype, light=light)
        state = tool.propagate(lower, upper, NEVER)
        spec = both_signs(B, graph.output_size, lower.dtype)
        lows = tool.margins(state, spec)[0].lower.reshape(B, -1)
        low, negated = lows.split(graph.output_size, dim=1)
        return low, -negated

    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("forms", [False, True])
def test_rows_hold_over_huge_boxes(forms: bool, dtype: torch.dtype) -> None:
    records = check_overflow(bounds(forms=forms), dtype, name="linear bounds")
    assert sum(record.status == "passed" for record in records) > 50


def test_rows_over_deviations_hold_over_huge_boxes() -> None:
    check_overflow(bounds(forms=False, light=True), torch.float64, name="deviations")


@pytest.mark.parametrize("where", ["lower", "upper", "both"])
def test_neurons_of_which_nothing_is_known_are_not_dead(where: str) -> None:
    tool, _, _ = prepared(0, torch.float64)
    state = tool.propagate(torch.full((1, 6), -0.1).double(), torch.full((1, 6), 0.1).double(), NEVER)
    before = {node.output.name: node.output.size for node in without_dead(tool.graph, state)[0].nodes}
    for node in tool.graph.nodes:
        if node.op.kind == "Relu":
            z = node.inputs[0]
            low, high = state.interval[z]
            strange = torch.full_like(low, NAN)
            state.interval[z] = (
                strange if where != "upper" else low,
                strange if where != "lower" else high,
            )
    after = {node.output.name: node.output.size for node in without_dead(tool.graph, state)[0].nodes}
    assert all(after[name] >= size for name, size in before.items())
    if where != "lower":
        assert after == {node.output.name: node.output.size for node in tool.graph.nodes}


@pytest.mark.parametrize("value", STRANGE)
@pytest.mark.parametrize("end", [0, 1])
def test_rows_through_a_neuron_of_which_nothing_is_known_prove_nothing(value: float, end: int) -> None:
    tool, _, _ = prepared(1, torch.float64)
    state = tool.propagate(torch.full((1, 6), -0.1).double(), torch.full((1, 6), 0.1).double(), NEVER)
    for node in tool.graph.nodes:
        if node.op.kind == "Relu":
            ends = list(state.interval[node.inputs[0]])
            ends[end] = torch.full_like(ends[end], value)
            state.interval[node.inputs[0]] = (ends[0], ends[1])
            state.note(node)
    spec = both_signs(1, tool.graph.output_size, torch.float64)
    lower = tool.margins(state, spec)[0].lower
    inner = value == (-INF, INF)[end]  # an end that is not known; any other is no end at all
    assert bool((lower == -INF).all()) if not inner else not bool((lower > 0).any())


@pytest.mark.parametrize("value", STRANGE)
def test_ends_are_bettered_by_numbers_only(value: float) -> None:
    tool, _, _ = prepared(2, torch.float64)
    node = next(n for n in tool.graph.nodes if n.op.kind == "Relu")
    size = node.inputs[0].size
    lower, upper = torch.full((1, size), -1.0).double(), torch.full((1, size), 1.0).double()
    element = torch.arange(size).repeat(2)
    sign = torch.cat([torch.ones(size), -torch.ones(size)]).double()
    rows = torch.zeros_like(element), element, sign
    tool.refine_ends(
        node.inputs[0], (lower, upper), rows, lambda part: (torch.full_like(part[2], value), 1), NEVER
    )
    assert bool((lower == -1).all()) and bool((upper == 1).all())


@pytest.mark.parametrize("value", STRANGE)
def test_ends_of_sub_problems_that_are_no_numbers_have_not_crossed(value: float) -> None:
    _, dual, problems = prepared(0, torch.float64)
    problems.lower[:, 0], problems.upper[:, 0] = value, value
    limits = problems.offset + 1e3
    _, empty = Tightening(dual, dual, torch.full((1,), 10.0).double(), 64).run(
        problems, limits, None, 0, NEVER
    )
    assert not bool(empty.any())


@pytest.mark.parametrize("value", STRANGE)
@pytest.mark.parametrize("what", ["alpha", "beta", "weight", "lower", "upper"])
def test_certified_bounds_of_strange_parameters_prove_nothing(what: str, value: float) -> None:
    _, dual, problems = prepared(3, torch.float64)
    assert not bool((dual.certify(problems).lower > 0).any())
    getattr(problems, what)[:] = value
    lower = dual.certify(problems).lower
    assert not bool((lower > 0).any()) and not bool(lower.isnan().any())
    fast = Dual(dual.graph, dual.root)
    found, _ = bound_by_cases(fast, dual, problems, 2, 1, 64, Deadline.after(5))
    assert not bool((found > 0).any())


@pytest.mark.parametrize("value", STRANGE)
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
