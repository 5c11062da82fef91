# SPDX-License-Identifier: Apache-2.0
"""Every backend on boxes whose ends float32 hardly holds or does not hold: never wrong, and not helpless."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch

from vnnverify import Backend, Clause, Deadline, Query, Verdict
from vnnverify.engine.backends import load_backends
from vnnverify.engine.runner import make_context, run
from vnnverify.engine.schedule import automatic
from vnnverify.engine.strategy import decide
from vnnverify.plugin.manager import load_plugins
from vnnverify.testing import Network, box, halfspaces, query_of

LARGEST = 3.4028234663852886e38
DOUBLE = torch.finfo(torch.float64).max
BACKENDS = ("falsification", "zonotope", "bound_propagation", "milp")
AFFINE = Network.of(([[2.0]], [1.0]))
DIFFERENCE = Network.of(([[1.0, -1.0]], [0.0]))
DISTANCE = Network.of(([[1.0, -1.0], [-1.0, 1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0]))
"""|x − y|"""
DEEP = Network.of(
    ([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0], [0.5, -0.5]], [0.0, 0.0]), ([[1.0, 0.0]], [-1.0])
)
"""|x| − 1"""


Rows = tuple[tuple[list[float], float], ...]


def band(low: float, high: float) -> Rows:
    return (([1.0], high), ([-1.0], -low))


DECIDED = [
    pytest.param(AFFINE, -1e39, 1e39, band(0.5, 0.6), Verdict.SAT, id="affine"),
    pytest.param(AFFINE, -LARGEST, LARGEST, band(0.5, 0.6), Verdict.SAT, id="affine, largest float32"),
    pytest.param(AFFINE, 0.0, 1e38, band(0.5, 0.6), Verdict.UNSAT, id="affine, one side"),
    pytest.param(AFFINE, 0.0, 1e39, band(1e30, 1e38), Verdict.SAT, id="affine, far away"),
    pytest.param(AFFINE, -1e300, 1e300, band(7.0, 8.0), Verdict.SAT, id="affine, 1e300"),
    pytest.param(AFFINE, 1e38, 1e38, band(1e37, 1e38), Verdict.UNSAT, id="a point"),
    pytest.param(DIFFERENCE, -LARGEST, LARGEST, band(0.5, 0.6), Verdict.SAT, id="difference"),
    pytest.param(DIFFERENCE, -DOUBLE, DOUBLE, band(0.5, 0.6), Verdict.SAT, id="difference, largest float64"),
    pytest.param(DISTANCE, -LARGEST, LARGEST, band(3.0, 4.0), Verdict.SAT, id="distance"),
    pytest.param(DEEP, -1e39, 1e39, band(-0.75, -0.25), Verdict.SAT, id="deep"),
]
LEFT_OPEN = [  # where the model itself overflows, or the margin is less than rounding
    pytest.param(AFFINE, 1e39, 1e40, band(0.0, 1e30), Verdict.UNSAT, id="affine, beyond"),
    pytest.param(AFFINE, 1e39, 1e39, band(2e38, 3e38), Verdict.UNSAT, id="a point beyond"),
    pytest.param(DISTANCE, -LARGEST, LARGEST, band(-2.0, -1.0), Verdict.UNSAT, id="distance"),
    pytest.param(DEEP, -1e39, 1e39, band(-9.0, -2.0), Verdict.UNSAT, id="deep, below"),
    pytest.param(DEEP, -DOUBLE, math.inf, band(-9.0, -2.0), Verdict.UNSAT, id="deep, infinite"),
    pytest.param(DEEP, -math.inf, math.inf, band(-0.75, -0.25), Verdict.SAT, id="deep, infinite sides"),
]


def query(network: Network, low: float, high: float, rows: Rows) -> Query:
    region = box([low] * network.inputs, [high] * network.inputs)
    return query_of(network.to_onnx(), [Clause(region, (halfspaces(*rows),))])


@pytest.fixture(scope="module")
def backends() -> dict[str, Backend[Any]]:
    return load_backends(load_plugins(), BACKENDS, {})


@pytest.mark.parametrize(("network", "low", "high", "rows", "truth"), [*DECIDED, *LEFT_OPEN])
def test_no_backend_is_wrong(
    backends: dict[str, Backend[Any]],
    network: Network,
    low: float,
    high: float,
    rows: Rows,
    truth: Verdict,
) -> None:
    """Not even in float32, which cannot hold these boxes."""
    asked = query(network, low, high, rows)
    for name, backend in backends.items():
        ctx = dataclasses.replace(make_context(asked, Deadline.after(0.1)), dtype=torch.float32)
        found = run(asked, name, backend, ctx)
        assert found.verdict in (truth, Verdict.UNKNOWN, Verdict.TIMEOUT), (name, found.reason)


@pytest.mark.parametrize(("network", "low", "high", "rows", "truth"), DECIDED)
def test_together_they_decide(
    backends: dict[str, Backend[Any]], network: Network, low: float, high: float, rows: Rows, truth: Verdict
) -> None:
    asked = query(network, low, high, rows)
    ctx = make_context(asked, Deadline.after(5))
    assert ctx.dtype == torch.float64
    schedule = automatic(asked, [load_plugins().backends[name] for name in BACKENDS])
    assert decide(asked, schedule, backends, ctx).verdict is truth


def test_the_search_of_ordinary_boxes_stays_in_float32() -> None:
    asked = query(AFFINE, -1e12, 1e12, band(0.0, 1.0))
    assert make_context(asked, Deadline.after(1)).dtype == torch.float32
