# SPDX-License-Identifier: Apache-2.0
"""NaN and infinity planted into what is known: they close nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from relu_networks import NEVER, prepared
from torch import Tensor

from vnnverify import Deadline
from vnnverify.bounds.intermediate.cases import bound_by_cases
from vnnverify.bounds.intermediate.pruning import without_dead
from vnnverify.bounds.intermediate.tightening import Tightening
from vnnverify.bounds.optimise.dual import Dual
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.specification import Specification
from vnnverify.ir import Graph
from vnnverify.testing import check_overflow

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
