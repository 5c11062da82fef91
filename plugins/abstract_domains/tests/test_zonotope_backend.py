# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vnnverify_abstract_domains.backend import ZonotopeBackend, ZonotopeOptions

from vnnverify import Backend
from vnnverify.testing import Settings, parametrize_with_backend_checks, zoo

DECIDED = {s.name for s in zoo() if not s.tight and all(c.region.linear is None for c in s.query.clauses)}


@parametrize_with_backend_checks(
    [ZonotopeBackend(), ZonotopeBackend(ZonotopeOptions(max_batch=3))],
    settings=Settings(must_decide=DECIDED),
)
def test_conformance(backend: Backend[Any], check: Callable[[Backend[Any]], None]) -> None:
    check(backend)
