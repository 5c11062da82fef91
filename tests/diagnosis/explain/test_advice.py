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
from vnnverify.errors import UnsupportedOperator


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


def after(reason: str = "", verdict: str = "unknown", **counters: Any) -> dict[str, Any]:
    """The turns of an abacus, of which the last one counts."""
    first = {"verdict": "error", "reason": "rods=1", "open_boxes": 1}
    return {"abacus": [first, {"verdict": verdict, "reason": reason, **counters}]}


SIGMOID = str(UnsupportedOperator("s6", "Sigmoid", "abacus"))
TIMEOUT = Verdict.TIMEOUT


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({}, []),
        ({"turns": after("slipped")}, []),
        ({"turns": after(verdict="error")}, ["-vv: for the traceback of abacus, which failed"]),
        ({"turns": after("8 GiB, memory=64")}, ["-o abacus.memory=256: a larger memory budget for abacus"]),
        ({"turns": after("too few, rods=9")}, ["-o abacus.rods=36: a larger limit for abacus"]),
        ({"turns": after("too few, rods=30")}, ["-o abacus.rods=40: a larger limit for abacus"]),
        ({"turns": after("too few, rods=40")}, []),
        ({"turns": after("beads=9")}, []),
        (
            {"turns": after("boxes at float resolution")},
            ["--dtype float64: boxes became too thin for float32"],
        ),
        ({"turns": after("boxes at float resolution"), "dtype": "float64"}, []),
        (
            {"turns": after(seconds=0.5, open_clauses=1), "varying": 30},
            ["-o abacus.split_inputs=30: branch on the input box, in which 30 inputs vary"],
        ),
        (
            {"turns": after(seconds=0.5, open_clauses=1), "varying": 784},
            ["a smaller region: 784 inputs vary; fewer, or a smaller radius, are easier"],
        ),
        ({"turns": after(seconds=0.5, open_clauses=1), "varying": 50}, []),
        ({"turns": after("no rods", seconds=0.0, open_clauses=1), "varying": 30}, []),
        ({"untried": ("soroban", "suanpan")}, ["--backend soroban,suanpan: not tried yet"]),
        (
            {"margin": 2e-5},
            ["another --seed, to search elsewhere: an input was found at margin 2e-05"],
        ),
        ({"margin": None}, []),
        (
            {"turns": after(SIGMOID)},
            ["another operator in place of Sigmoid at node 's6', or a rule for it: abacus has none"],
        ),
        (
            {"readable": False},
            ["vnnverify show MODEL: it names the operators that keep the model a black box, without bounds"],
        ),
        ({"verdict": TIMEOUT}, ["--timeout 24: no backend had a turn before the time was up"]),
        ({"verdict": TIMEOUT, "turns": after("slow")}, ["--timeout 24: the limit was reached"]),
        (
            {"verdict": TIMEOUT, "turns": after(open_boxes=1137)},
            ["--timeout 24: abacus has 1,137 sub-problems open"],
        ),
        (
            {"verdict": TIMEOUT, "turns": after(open_boxes=2), "bound": None},
            ["--timeout 24: abacus has 2 sub-problems open, though no bound is finite yet"],
        ),
        ({"verdict": TIMEOUT, "seconds": math.inf, "turns": after(open_boxes=2)}, []),
        ({"verdict": TIMEOUT, "seconds": 0.0}, ["--timeout 4: no backend had a turn before the time was up"]),
    ],
)
def test_advice(changes: dict[str, Any], advice: list[str]) -> None:
    assert list(advise(dataclasses.replace(PLAIN, **changes))) == advice


def test_of_much_advice_the_most_concrete_remains() -> None:
    names = [f"abacus{k}" for k in range(9)]
    turns = {name: [{"verdict": "error", "reason": "memory=1"}] for name in names}
    found = advise(dataclasses.replace(PLAIN, turns=turns, backends=dict.fromkeys(names, Abacus())))
    assert found == tuple(f"-vv: for the traceback of {name}, which failed" for name in names[:5])
