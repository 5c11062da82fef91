# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from vnnverify_milp.backend import Milp

from vnnverify import Backend, Clause, Verdict
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

DECIDED = {s.name for s in zoo() if not s.tight}


@parametrize_with_backend_checks([Milp()], settings=Settings(must_decide=DECIDED))
def test_conformance(backend: Backend[Any], check: Callable[[Backend[Any]], None]) -> None:
    check(backend)


@pytest.mark.parametrize("reach", [1e16, 1e39, 1e300, float("inf")])
def test_numbers_that_the_solver_takes_for_infinite_are_left_open(reach: float) -> None:
    network = Network.of(([[1.0]], [0.0]), ([[1.0]], [-1.0]))
    region = box([-reach], [reach])
    query = query_of(network.to_onnx(), [Clause(region, (halfspaces(([1.0], -0.5)),))])
    found = Milp().verify(query, context(query))
    assert found.verdict is Verdict.UNKNOWN
    assert "too large for the solver" in found.reason or "no finite bounds" in found.reason


def test_the_solver_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    network = Network.of(([[1.0], [-1.0]], [0.5, 0.0]), ([[1.0, 1.0]], [0.0]))
    query = query_of(network.to_onnx(), [Clause(box([-1.0], [1.0]), (halfspaces(([-1.0], -3.0)),))])
    assert Milp().verify(query, context(query)).verdict is Verdict.UNSAT
    assert capfd.readouterr() == ("", "")
