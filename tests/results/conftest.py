# SPDX-License-Identifier: Apache-2.0
"""One report of each verdict."""

from __future__ import annotations

import pytest

from vnnverify.results import Report, Witness
from vnnverify.verdict import Guarantee, Verdict

MODEL, QUERY = "nets/a.onnx", "specs/b.vnnlib"


@pytest.fixture
def sat() -> Report:
    return Report(
        MODEL,
        QUERY,
        Verdict.SAT,
        witness=Witness((0.10000000149011612, -1e-45), (3.4028234663852886e38, 0.0), rounded=1),
        backend="falsification",
        seconds=1.23456,
        timeout=60.0,
        stats={"falsification": {"seconds": 0.25, "points": 12}},
        sha256={"model": "ab", "query": "cd"},
        versions={"vnnverify": "0.1.0"},
    )


@pytest.fixture
def unsat() -> Report:
    return Report(MODEL, QUERY, Verdict.UNSAT, guarantee=Guarantee.FLOAT, backend="milp", seconds=59.999)


@pytest.fixture
def undecided() -> Report:
    stats = {"milp": {"seconds": 1, "worst": -0.123456, "name": "a[b]"}, "note": 3}
    return Report(MODEL, QUERY, Verdict.TIMEOUT, "milp: [red]late[/red]", timeout=float("inf"), stats=stats)
