# SPDX-License-Identifier: Apache-2.0
"""One report of each verdict."""

from __future__ import annotations

import dataclasses

import pytest

from vnnverify.results import Explanation, Report, Witness
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
        stats={"falsification": [turn("sat", 0.25, "", points=12)]},
        sha256={"model": "ab", "query": "cd"},
        versions={"vnnverify": "0.1.0"},
    )


@pytest.fixture
def unsat() -> Report:
    return Report(MODEL, QUERY, Verdict.UNSAT, guarantee=Guarantee.FLOAT, backend="milp", seconds=59.999)


@pytest.fixture
def undecided() -> Report:
    stats = {
        "milp": [turn("timeout", 1.0, "[red]late[/red]", worst=-0.123456)],
        "boxes": [
            turn("timeout", 0.5, "3 open", visited=7),
            turn("unknown", 12.25, "", worst=-0.5, all="a[b]"),
        ],
    }
    return Report(MODEL, QUERY, Verdict.TIMEOUT, "milp: late; boxes: ", timeout=float("inf"), stats=stats)


@pytest.fixture
def explained(undecided: Report) -> Report:
    why = Explanation(
        clauses=20,
        open_clauses=(3, 11, None),
        hardest=11,
        unsafe="Y_3 <= Y_8",
        bound=-2.5,
        bound_by="boxes",
        margin=0.25,
        subproblems={"boxes": 12007},
        node="Relu_3",
        operator="Relu",
        looseness=154.25,
        looseness_before=9.5,
        samples=256,
        advice=("--timeout 32: [red]boxes[/red] has 7 sub-problems open", "another --seed"),
    )
    return dataclasses.replace(undecided, explanation=why)


def turn(verdict: str, seconds: float, reason: str, **counters: object) -> dict[str, object]:
    """A turn as `strategy.decide` records it."""
    return {"verdict": verdict, "seconds": seconds, "reason": reason, "open_clauses": 1, **counters}
