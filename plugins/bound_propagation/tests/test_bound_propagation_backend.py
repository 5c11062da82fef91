# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vnnverify_bound_propagation.backend import BoundPropagation, BoundPropagationOptions

from vnnverify import Backend
from vnnverify.testing import Settings, context, parametrize_with_backend_checks, zoo

DECIDED = {s.name for s in zoo() if not s.tight and all(c.region.linear is None for c in s.query.clauses)}


@parametrize_with_backend_checks(
    [BoundPropagation(), BoundPropagation(BoundPropagationOptions(forward_inputs=0, max_batch=3))],
    settings=Settings(must_decide=DECIDED),
)
def test_conformance(backend: Backend[Any], check: Callable[[Backend[Any]], None]) -> None:
    check(backend)


@parametrize_with_backend_checks([BoundPropagation(BoundPropagationOptions(split_inputs=0))])
def test_conformance_of_the_search_over_signs(
    backend: Backend[Any], check: Callable[[Backend[Any]], None]
) -> None:
    check(backend)


def test_the_search_over_signs_decides_what_the_root_does_not() -> None:
    backend = BoundPropagation(BoundPropagationOptions(split_inputs=0))
    decided = 0
    for specimen in zoo():
        outcome = backend.verify(specimen.query, context(specimen.query, 2.0))
        decided += outcome.verdict is specimen.truth and outcome.stats.get("subproblems", 0) > 1
    assert decided >= 8
