# SPDX-License-Identifier: Apache-2.0
"""Intermediate bounds of subproblems against samples; what they are worth against differences."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from relu_networks import NEVER, prepared
from torch import Tensor

from vnnverify.bounds.intermediate.sensitivity import Sensitivity, sensitivity
from vnnverify.bounds.intermediate.tightening import Tightening
from vnnverify.bounds.optimise.dual import Dual
from vnnverify.bounds.optimise.subproblems import DualSolution, Subproblems
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.state import in_type


def samples(tool: Propagator, dual: Dual, count: int = 20000) -> tuple[Tensor, Tensor]:
    """Outputs (count, 3), and values (count, U) of the open elements, at points of the box."""
    x = torch.rand(count, 6, generator=torch.Generator().manual_seed(4), dtype=torch.float64) * 2 - 1
    x[: count // 2] = x[: count // 2].sign()
    exact = tool.graph.to("cpu", torch.float64)
    values = {v.name: t for v, t in exact.evaluate(x).items()}
    z = [values[node.inputs[0].name].flatten(1)[:, unit.columns] for node, unit in dual.units.items()]
    return exact(x), torch.cat(z, dim=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(4))
def test_ends_hold_at_unsafe_samples_that_keep_to_the_splits(seed: int, dtype: torch.dtype) -> None:
    tool, dual, problems = prepared(seed, torch.float64)
    fast = Dual(*in_type(dtype, dual.graph, dual.root))
    y, z = samples(tool, dual)
    rows = problems.rows.to(dtype)
    limits = torch.stack([(y @ r.double().T).quantile(0.6, dim=0) for r in rows]).to(dtype)
    problems = fast.problems(problems.box, rows, limits)
    split = int(((problems.lower < 0) & (problems.upper > 0))[0].nonzero()[0])
    problems.lower[1::2, split] = 0.0
    problems.upper[::2, split] = 0.0
    before = problems.take(torch.arange(len(problems)))
    reach = torch.full((1,), 10.0, dtype=dtype)
    found, empty = Tightening(fast, dual, reach, 64).run(problems, limits, None, 1, NEVER)
    assert sum(r.problem.numel() for r in found) > 20
    assert bool((problems.lower > before.lower + 1e-3).any())
    checked = 0
    for k in range(len(problems)):
        inside = (y @ rows[k].double().T <= limits[k].double()).all(dim=1)
        inside &= z[:, split] * (1 if k % 2 else -1) >= 0
        checked += int(inside.sum())
        assert not bool(empty[k]) or not bool(inside.any())
        assert bool((z[inside] >= problems.lower[k].double()).all())
        assert bool((z[inside] <= problems.upper[k].double()).all())
    assert checked > 500


def test_ends_cross_where_no_output_is_unsafe() -> None:
    _, dual, problems = prepared(1, torch.float64)
    problems.offset -= 40.0
    tightening = Tightening(dual, dual, torch.full((1,), 10.0, dtype=torch.float64), 64)
    _, empty = tightening.run(problems, problems.offset, None, 0, NEVER)
    assert bool(empty.all())


def test_an_overflow_closes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _, dual, problems = prepared(1, torch.float64)
    before = problems.take(torch.arange(len(problems)))

    def overflown(fast: Dual, exact: Dual, rows: Subproblems, *rest: object) -> tuple[Tensor, DualSolution]:
        ascent = fast.ascend(rows, 0, NEVER)
        return torch.full_like(ascent.bound, torch.inf), ascent

    monkeypatch.setattr("vnnverify.bounds.intermediate.tightening.bound_by_cases", overflown)
    tightening = Tightening(dual, dual, torch.full((1,), 10.0, dtype=torch.float64), 64)
    _, empty = tightening.run(problems, problems.offset, None, 0, NEVER)
    assert not bool(empty.any())
    assert torch.equal(problems.lower, before.lower) and torch.equal(problems.upper, before.upper)


def test_only_the_ends_that_are_asked_for_change() -> None:
    _, dual, problems = prepared(2, torch.float64)
    before = problems.take(torch.arange(len(problems)))
    none = torch.zeros_like(problems.lower, dtype=torch.bool)
    tightening = Tightening(dual, dual, torch.full((1,), 10.0, dtype=torch.float64), 64)
    tightening.run(problems, problems.offset, (none, ~none), 0, NEVER)
    assert torch.equal(problems.lower, before.lower)
    assert bool((problems.upper < before.upper).any())


def test_sensitivity_is_the_difference_that_a_moved_end_makes() -> None:
    _, dual, problems = prepared(3, torch.float64)
    ascent = dual.ascend(problems, 10, NEVER)
    problems.beta.zero_()
    ascent = dual.ascend(problems, 0, NEVER)
    found = Sensitivity.direct(problems, ascent)
    step, checked = 1e-6, 0
    for name, sign in (("lower", 1.0), ("upper", -1.0)):
        for u in range(dual.size):
            moved = dataclasses.replace(problems)
            end = getattr(problems, name).clone()
            end[:, u] += sign * step
            setattr(moved, name, end)
            gain = (dual.evaluate(moved) - ascent.bound) / step
            z = ascent.value[:, u]
            within = (z > problems.lower[:, u]) & (z < problems.upper[:, u])
            torch.testing.assert_close(getattr(found, name)[within, u], gain[within], rtol=1e-3, atol=1e-5)
            checked += int(within.sum())
    assert checked > 50


def test_sensitivity_follows_ends_to_the_rows_they_came_from() -> None:
    _, dual, problems = prepared(3, torch.float64)
    tightening = Tightening(dual, dual, torch.full((1,), 10.0, dtype=torch.float64), 64)
    rows, _ = tightening.run(problems, problems.offset, None, 0, NEVER)
    ascent = dual.ascend(problems, 10, NEVER)
    direct, whole = Sensitivity.direct(problems, ascent), sensitivity(problems, ascent, rows)
    parts = [unit.part for unit in dual.units.values()]
    assert bool((whole.loss >= direct.loss - 1e-12).all())
    assert bool((whole.loss[:, parts[0]].sum(1) > 1.1 * direct.loss[:, parts[0]].sum(1)).any())
    gain = (whole.loss - direct.loss).sum(dim=0)
    assert float(gain[parts[0]].sum()) > float(gain[parts[-1]].sum())
