# SPDX-License-Identifier: Apache-2.0
"""What is advised, case by case."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import pytest

from vnnverify import Backend, Context, Outcome, Query, Verdict, option
from vnnverify.diagnosis.explain.advice import Attempt, advise
from vnnverify.engine.answer import Turn
from vnnverify.errors import UnsupportedOperator
from vnnverify.obstacle import Obstacle, ObstacleKind


@dataclass(frozen=True, slots=True)
class Options:
    memory: int = option(64, help="MiB")
    rods: int = option(9, help="rods", maximum=40)
    split_inputs: int = option(16, help="inputs", maximum=40)


class Abacus(Backend[Options]):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        return Outcome.unknown("slipped")


PLAIN = Attempt(
    verdict=Verdict.UNKNOWN,
    turns={},
    backends={"abacus": Abacus()},
    untried=(),
    varying=2,
    seconds=6.0,
    dtype="float32",
    readable=True,
    margin=0.5,
    bound=-1.0,
)


def after(
    obstacle: Obstacle | None = None, verdict: Verdict = Verdict.UNKNOWN, **about: Any
) -> dict[str, list[Turn]]:
    """The turns of an abacus, of which the last one counts."""
    first = Turn(Verdict.ERROR, "slipped", obstacle=Obstacle.limit("rods", 1), counters={"open_boxes": 1})
    return {"abacus": [first, Turn(verdict, "as it says", obstacle=obstacle, **about)]}


def limit(option: str, value: int) -> dict[str, list[Turn]]:
    return after(Obstacle.limit(option, value))


def still_open(count: int) -> dict[str, list[Turn]]:
    return after(counters={"open_boxes": count})


SIGMOID = Obstacle.of(UnsupportedOperator("s6", "Sigmoid", "linear bounds"))
THIN = Obstacle(ObstacleKind.FLOAT_RESOLUTION)
DECLINED = Obstacle(ObstacleKind.NOT_SUPPORTED)
TIMEOUT = Verdict.TIMEOUT


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({}, []),
        ({"turns": after()}, []),
        ({"turns": after(verdict=Verdict.ERROR)}, ["-vv: for the traceback of abacus, which failed"]),
        ({"turns": limit("memory", 64)}, ["-o abacus.memory=256: a larger memory budget for abacus"]),
        ({"turns": limit("rods", 9)}, ["-o abacus.rods=36: a larger limit for abacus"]),
        ({"turns": limit("rods", 30)}, ["-o abacus.rods=40: a larger limit for abacus"]),
        ({"turns": limit("rods", 40)}, []),
        ({"turns": limit("beads", 9)}, []),
        (
            {"turns": after(THIN)},
            ["--dtype float64: boxes became too thin for float32"],
        ),
        ({"turns": after(THIN), "dtype": "float64"}, []),
        (
            {"turns": after(seconds=0.5, open_clauses=1), "varying": 30},
            ["-o abacus.split_inputs=30: branch on the input box, in which 30 inputs vary"],
        ),
        (
            {"turns": after(seconds=0.5, open_clauses=1), "varying": 784},
            ["a smaller region: 784 inputs vary; fewer, or a smaller radius, are easier"],
        ),
        ({"turns": after(seconds=0.5, open_clauses=1), "varying": 50}, []),
        ({"turns": after(DECLINED, seconds=0.0, open_clauses=1), "varying": 30}, []),
        ({"untried": ("soroban", "suanpan")}, ["--backend soroban,suanpan: not tried yet"]),
        (
            {"margin": 2e-5},
            ["another --seed, to search elsewhere: an input was found at margin 2e-05"],
        ),
        ({"margin": None}, []),
        (
            {"turns": after(SIGMOID)},
            ["another operator in place of Sigmoid at node 's6', or a rule for it: linear bounds has none"],
        ),
        (
            {"readable": False},
            ["vnnverify show MODEL: it names the operators that keep the model a black box, without bounds"],
        ),
        ({"verdict": TIMEOUT}, ["--timeout 24: no backend had a turn before the time was up"]),
        ({"verdict": TIMEOUT, "turns": after()}, ["--timeout 24: the limit was reached"]),
        (
            {"verdict": TIMEOUT, "turns": still_open(1137)},
            ["--timeout 24: abacus has 1,137 sub-problems open"],
        ),
        (
            {"verdict": TIMEOUT, "turns": still_open(2), "bound": None},
            ["--timeout 24: abacus has 2 sub-problems open, though no bound is finite yet"],
        ),
        ({"verdict": TIMEOUT, "seconds": math.inf, "turns": still_open(2)}, []),
        ({"verdict": TIMEOUT, "seconds": 0.0}, ["--timeout 4: no backend had a turn before the time was up"]),
    ],
)
def test_advice(changes: dict[str, Any], advice: list[str]) -> None:
    assert list(advise(dataclasses.replace(PLAIN, **changes))) == advice


def test_of_much_advice_the_most_concrete_remains() -> None:
    names = [f"abacus{k}" for k in range(9)]
    turns = {name: [Turn(Verdict.ERROR, obstacle=Obstacle.limit("memory", 1))] for name in names}
    found = advise(dataclasses.replace(PLAIN, turns=turns, backends=dict.fromkeys(names, Abacus())))
    assert found == tuple(f"-vv: for the traceback of {name}, which failed" for name in names[:5])
