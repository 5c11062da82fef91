# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from vnnverify_abstract_domains.backend import ZonotopeBackend, ZonotopeBounder, ZonotopeOptions

from vnnverify import Backend, Verdict
from vnnverify.bounds.specification import Specification
from vnnverify.query import Clause
from vnnverify.testing import (
    Network,
    Settings,
    box,
    context,
    halfspaces,
    parametrize_with_backend_checks,
    query_of,
    zoo,
)

DECIDED = {s.name for s in zoo() if not s.tight and all(c.region.linear is None for c in s.query.clauses)}


@parametrize_with_backend_checks(
    [ZonotopeBackend(), ZonotopeBackend(ZonotopeOptions(max_batch=3))],
    settings=Settings(must_decide=DECIDED),
)
def test_conformance(backend: Backend[Any], check: Callable[[Backend[Any]], None]) -> None:
    check(backend)


def question(sizes, *levels, width=1.0):
    """May a random network reach these levels on a box? One clause for each."""
    n = sizes[0]
    clauses = [Clause(box([-width] * n, [width] * n), (halfspaces(([-1.0], -float(v))),)) for v in levels]
    return query_of(Network.random(sizes, seed=6).to_onnx(), clauses)


def stacked(query, boxes: int):
    """A batch of boxes inside the first clause's, and their specification."""
    generator = torch.Generator().manual_seed(0)
    n = query.graph.input_size
    lower = 0.5 * torch.rand(boxes, n, generator=generator) - 0.5
    spec = Specification.of(query.clauses[:1], query.graph.output_size, torch.device("cpu"))
    return lower, lower + 0.25, spec.take(torch.zeros(boxes, dtype=torch.long))


def test_what_does_not_fit_into_the_memory_is_bounded_in_parts():
    query = question((8, 64, 64, 1), 0.0)
    boxes = stacked(query, 300)
    roomy = ZonotopeBounder(query, context(query, 60.0), 1 << 10)
    tight = ZonotopeBounder(query, context(query, 60.0), 1)
    expected, found = roomy.bound(*boxes, None), tight.bound(*boxes, None)
    assert tight.step < 300 < roomy.step
    assert not tight.refusal
    assert torch.isfinite(found.lower).all()
    assert torch.allclose(found.lower, expected.lower, rtol=1e-4)
    assert torch.allclose(found.A, expected.A, rtol=1e-3, atol=1e-3)


def test_a_network_too_big_for_the_memory_is_refused_with_a_reason():
    query = question((600, 1000, 1), 0.0)
    support = ZonotopeBackend(ZonotopeOptions(memory=1)).supports(query)
    assert not support
    assert "MiB; memory=1" in support.reason
    assert ZonotopeBackend().supports(query)


def test_a_box_too_big_for_the_memory_stays_open_with_a_reason():
    query = question((200, 300, 300, 1), 1e9)
    backend = ZonotopeBackend(ZonotopeOptions(memory=1))
    assert backend.supports(query)
    outcome = backend.verify(query, context(query))
    assert outcome.verdict is Verdict.UNKNOWN
    assert "symbols for 300 elements need" in outcome.reason
    assert "memory=1" in outcome.reason
    assert outcome.residual is not None and len(outcome.residual.clauses) == 1


def test_what_is_proved_is_not_in_the_residual():
    sizes = (100, 20, 20, 1)
    root = question(sizes, 0.0)
    spec = Specification.of(root.clauses, 1, torch.device("cpu"))
    ends = (end.float()[None] for end in (root.clauses[0].region.lower, root.clauses[0].region.upper))
    top = -ZonotopeBounder(root, context(root), 64).bound(*ends, spec, None).lower.item()
    query = question(sizes, 2 * top, 1.25 * top, 0.95 * top)
    outcome = ZonotopeBackend().verify(query, context(query))
    assert outcome.verdict is Verdict.UNKNOWN
    assert outcome.reason == "1 of 3 clauses open; too many varying inputs to split"
    assert outcome.residual is not None
    assert outcome.residual.clauses == (query.clauses[2],)


@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_the_deadline_holds_within_a_batch(seconds):
    query = question((10, 400, 400, 400, 1), 0.0)
    ctx = context(query, seconds)
    bounder = ZonotopeBounder(query, ctx, 2048)
    boxes = stacked(query, 2000)
    started = time.monotonic()
    found = bounder.bound(*boxes, None)
    assert time.monotonic() - started < seconds + 2
    assert (found.lower == -float("inf")).all()
