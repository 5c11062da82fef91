# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vnnverify_milp.backend import Milp

from vnnverify import Backend
from vnnverify.testing import Settings, parametrize_with_backend_checks, zoo

DECIDED = {s.name for s in zoo() if not s.tight}


@parametrize_with_backend_checks([Milp()], settings=Settings(must_decide=DECIDED))
def test_conformance(backend: Backend[Any], check: Callable[[Backend[Any]], None]) -> None:
    check(backend)
