# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from vnnverify_bound_propagation.backends.bound_propagation import BoundPropagation
from vnnverify_bound_propagation.branching.inputs import DeepBoxBounder
from vnnverify_bound_propagation.schedule.activation_search import ActivationSearch
from vnnverify_bound_propagation.schedule.settings import Settings

from vnnverify import Backend, Deadline, Verdict
from vnnverify.bounds.propagation import Propagator
from vnnverify.search import InputSplit
from vnnverify.testing import Settings as Expected
from vnnverify.testing import Specimen, context, parametrize_with_backend_checks, zoo

DECIDED = {s.name for s in zoo() if not s.tight and all(c.region.linear is None for c in s.query.clauses)}


@parametrize_with_backend_checks(
    [BoundPropagation(), BoundPropagation(Settings(forward_inputs=0, max_batch=3))],
    settings=Expected(must_decide=DECIDED),
)
def test_conformance(backend: Backend[Any], check: Callable[[Backend[Any]], None]) -> None:
    check(backend)


PROVED = {s.name for s in zoo() if s.name in DECIDED and s.truth is Verdict.UNSAT}
"""What the search over signs must prove; points are found by other backends."""


@parametrize_with_backend_checks(
    [BoundPropagation(Settings(split_inputs=0))],
    settings=Expected(must_decide=PROVED, seconds=5.0),
)
def test_conformance_of_the_search_over_signs(
    backend: Backend[Any], check: Callable[[Backend[Any]], None]
) -> None:
    check(backend)


def test_the_search_over_signs_splits_what_the_root_leaves_open() -> None:
    specimen = next(s for s in zoo() if s.name == "maximum_above")
    backend = BoundPropagation(Settings(split_inputs=0))
    outcome = backend.verify(specimen.query, context(specimen.query, 5.0))
    assert outcome.verdict is Verdict.UNSAT
    assert outcome.stats["subproblems"] > 1


@pytest.mark.parametrize("specimen", [s for s in zoo() if s.name in DECIDED], ids=lambda s: s.name)
def test_dear_boxes_decide_as_cheap_ones_do(specimen: Specimen) -> None:
    outcome = BoundPropagation(Settings(costly_relus=-1)).verify(specimen.query, context(specimen.query, 5.0))
    assert outcome.verdict is specimen.truth, outcome.reason


def test_a_search_over_signs_inside_a_box_saves_halving_it() -> None:
    specimen = next(s for s in zoo() if s.name == "maximum_above")
    ctx = context(specimen.query, 5.0)
    bounder = DeepBoxBounder(specimen.query, ctx, Settings(memory=64, forward_inputs=16))
    with torch.no_grad():
        found = InputSplit(specimen.query, bounder, ctx).run()
    assert not found.open_clauses
    assert bounder.subproblems > 0


def test_a_search_over_signs_whose_time_has_run_out_bounds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """On large networks one pass through all layers takes longer than what a deadline may be overrun by."""
    specimen = next(s for s in zoo() if s.name == "maximum_above")

    def margins(*_: object) -> None:
        raise AssertionError("the deadline had passed")

    monkeypatch.setattr(Propagator, "margins", margins)
    ctx = context(specimen.query, 5.0).until(Deadline.after(0.0))
    with torch.no_grad():
        found = ActivationSearch(
            specimen.query, ctx, Settings(memory=64, max_batch=8, forward_inputs=0)
        ).run()
    assert found.timed_out
    assert found.open_clauses == list(range(len(specimen.query.clauses)))
