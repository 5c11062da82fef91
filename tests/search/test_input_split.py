# SPDX-License-Identifier: Apache-2.0
"""What a domain may tell the search beyond its margins: excluded polytopes, a memory, inputs to try."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from vnnverify import Deadline, Query, Verdict
from vnnverify.bounds.specification import Specification
from vnnverify.domains import interval
from vnnverify.numerics import varies
from vnnverify.search import BoxBounds, InputSplit
from vnnverify.testing import context, zoo


class Teller:
    """Interval margins, made looser, and whatever else the test wants told. Notes what it is asked."""

    def __init__(self, query: Query, *, excludes: bool = False, points: Tensor | None = None) -> None:
        self.query, self.excludes, self.points = query, excludes, points
        self.asked: list[tuple[Tensor, Tensor | None]] = []  # widths of the boxes, and their memory

    def bound(self, lower: Tensor, upper: Tensor, spec: Specification, memory: Tensor | None) -> BoxBounds:
        self.asked.append((upper - lower, memory))
        graph = self.query.graph.to("cpu", lower.dtype)
        found = interval.bounds_of_values(graph, lower, upper)
        low, high = (graph.join_outputs({v: found[v][k] for v in graph.outputs})[:, :, None] for k in (0, 1))
        spec = spec.as_type(lower.dtype)
        least = (spec.C.clamp(min=0) @ low + spec.C.clamp(max=0) @ high)[:, :, 0] - spec.d
        excluded = torch.ones_like(spec.real) if self.excludes else None
        return BoxBounds(least - 1e-4, memory=upper - lower, excluded=excluded, points=self.points)


def specimen(truth: Verdict) -> tuple[Query, Tensor]:
    """One that intervals over the whole region do not decide."""
    for s in zoo():
        if s.truth is truth and not s.tight and all(c.region.linear is None for c in s.query.clauses):
            teller = Teller(s.query)
            InputSplit(s.query, teller, context(s.query)).run()
            if len(teller.asked) > 2:
                return s.query, torch.tensor([s.point or ()], dtype=torch.float64)
    raise AssertionError("the zoo has none")


def test_memory_reaches_the_halves_of_the_box_it_comes_from() -> None:
    query, _ = specimen(Verdict.UNSAT)
    teller = Teller(query)
    assert not InputSplit(query, teller, context(query)).run().open_clauses
    assert teller.asked[0][1] is None
    for width, parent in teller.asked[1:]:
        assert parent is not None
        halved = parent / width.clamp(min=1e-30)
        assert ((halved > 1.5) & (halved < 4.5)).any(dim=1).all()
        assert (width <= parent).all()


def test_an_excluded_polytope_needs_no_margin() -> None:
    query, _ = specimen(Verdict.UNSAT)
    found = InputSplit(query, Teller(query, excludes=True), context(query)).run()
    assert not found.open_clauses and found.witness is None
    assert found.stats["boxes"] == len(query.clauses)


def test_inputs_that_a_domain_came_across_are_put_to_the_judge() -> None:
    query, point = specimen(Verdict.SAT)
    found = InputSplit(query, Teller(query, points=point), context(query)).run()
    assert found.witness is not None and context(query).confirm(found.witness)


def test_a_number_rounded_outward_does_not_vary() -> None:
    one = torch.tensor([1.0, 0.0, -3.0, 0.0], dtype=torch.float64)
    tiny = torch.tensor([2.0**-52, 0.0, 2.0**-50, 1e-45], dtype=torch.float64)
    assert not varies(one, one + tiny).any()
    assert varies(one, one + 1e-5 * one.abs() + 1e-30).all()


def test_the_best_row_of_each_open_polytope_counts() -> None:
    member = torch.tensor([[[True, True, False], [False, False, True]]])  # two polytopes of two rows and one
    real, strict = torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, 3, dtype=torch.bool)
    spec = Specification(torch.zeros(1, 3, 2), torch.zeros(1, 3), strict, member, real)
    lower = torch.tensor([[-3.0, -1.0, -2.0]])
    open_ = spec.open_polytopes(lower)
    value, row = spec.best_rows(lower, open_)
    assert value.tolist() == [[-1.0, -2.0]] and row.tolist() == [[1, 2]]
    value, _ = spec.best_rows(lower, open_ & torch.tensor([[True, False]]))
    assert value.tolist() == [[-1.0, -float("inf")]]


def test_a_turn_that_has_no_time_for_another_step_says_so() -> None:
    """A step that took longer than what is left is not begun with, when its boxes would be lost."""
    query, _ = specimen(Verdict.UNSAT)
    first = InputSplit(query, Teller(query), context(query).until(Deadline.after(0.0))).run()
    assert first.left is not None and first.timed_out
    second = dataclasses.replace(context(query), parcel=first.left, last_batch=1e9)
    found = InputSplit(query, Teller(query), second).run()
    outcome = found.outcome(query, "boxes at float resolution")
    assert found.open_clauses and "resolution" not in outcome.reason


def test_a_strict_row_is_excluded_by_a_bound_of_zero() -> None:
    member, real = torch.ones(1, 1, 1, dtype=torch.bool), torch.ones(1, 1, dtype=torch.bool)
    for strict in (False, True):
        rows = torch.full((1, 1), strict)
        spec = Specification(torch.ones(1, 1, 1), torch.zeros(1, 1), rows, member, real)
        open_ = [bool(spec.open_polytopes(torch.tensor([[low]]))) for low in (-1e-9, 0.0, 1e-9)]
        assert open_ == [True, not strict, False]
        assert bool(spec.open_polytopes(torch.tensor([[float("nan")]])))
