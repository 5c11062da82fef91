# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vnnverify_bound_propagation.backend import BoundPropagation, BoundPropagationOptions

from vnnverify import Backend
from vnnverify.testing import Settings, parametrize_with_backend_checks, zoo

DECIDED = {s.name for s in zoo() if not s.tight and all(c.region.linear is None for c in s.query.clauses)}


@parametrize_with_backend_checks(
    [BoundPropagation(), BoundPropagation(BoundPropagationOptions(forward_inputs=0, max_batch=3))],
    settings=Settings(must_decide=DECIDED),
)
def test_conformance(backend: Backend[Any], check: Callable[[Backend[Any]], None]) -> None:
    check(backend)
