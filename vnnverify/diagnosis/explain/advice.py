# SPDX-License-Identifier: Apache-2.0
"""What to try when a query stays undecided, read off what kept the backends from deciding it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vnnverify.engine.answer import Turn
from vnnverify.obstacle import Obstacle, ObstacleKind
from vnnverify.plugin.backend import Backend
from vnnverify.verdict import Verdict

__all__ = ["Attempt", "Turns", "advise"]

LONGER = 4
"""What a limit that was reached is multiplied by."""
MANY_INPUTS = 64
"""Varying inputs beyond which halving the box does not get anywhere."""
HARDLY = 1e-3
"""Margin below which a counterexample, or no margin at all, is likely."""
MOST = 5

Turns = Mapping[str, Sequence[Turn]]  # as `strategy.decide` records them


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was tried, and with what."""

    verdict: Verdict
    turns: Turns
    backends: Mapping[str, Backend[Any]]  # those that could have had a turn
    untried: Sequence[str]  # other backends that prove or refute
    varying: int  # inputs
    seconds: float  # the limit
    dtype: str
    readable: bool  # whether the model is more than a black box
    margin: float | None  # the least that any input came to
    bound: float | None  # the best lower bound


def advise(attempt: Attempt) -> tuple[str, ...]:
    """Sentences for the user, the most concrete first."""
    found = [
        *_failures(attempt),
        *_limits(attempt),
        *_splits(attempt),
        *_more_time(attempt),
        *_other_backends(attempt),
        *_precision(attempt),
        *_region(attempt),
        *_operators(attempt),
    ]
    return tuple(dict.fromkeys(found))[:MOST]


def _last(turns: Turns) -> Iterator[tuple[str, Turn]]:
    return ((name, each[-1]) for name, each in turns.items() if each)


def _obstacles(turns: Turns, kind: ObstacleKind) -> Iterator[tuple[str, Obstacle]]:
    """Of each backend that met an obstacle of this kind in its last turn, the obstacle."""
    for name, turn in _last(turns):
        if turn.obstacle is not None and turn.obstacle.kind is kind:
            yield name, turn.obstacle


def _failures(attempt: Attempt) -> Iterator[str]:
    for name, turn in _last(attempt.turns):
        if turn.verdict is Verdict.ERROR:
            yield f"-vv: for the traceback of {name}, which failed"


def _limits(attempt: Attempt) -> Iterator[str]:
    """Where an option of a backend stopped it, a larger value."""
    for name, obstacle in _obstacles(attempt.turns, ObstacleKind.LIMIT):
        backend, option, value = attempt.backends.get(name), obstacle.option, obstacle.value
        if option not in _options(backend) or value is None:
            continue
        larger = min(LONGER * value, _maximum(backend, option))
        if larger > value:
            what = "a larger memory budget" if option == "memory" else "a larger limit"
            yield f"-o {name}.{option}={larger}: {what} for {name}"


def _other_backends(attempt: Attempt) -> Iterator[str]:
    if attempt.untried:
        yield f"--backend {','.join(attempt.untried)}: not tried yet"


def _splits(attempt: Attempt) -> Iterator[str]:
    """Where a backend would halve the input box if it may, leave to do so."""
    for name, turn in _last(attempt.turns):
        backend = attempt.backends.get(name)
        allowed = _options(backend).get("split_inputs", math.inf)
        most = min(MANY_INPUTS, _maximum(backend, "split_inputs"))
        took_part = turn.seconds and turn.open_clauses
        if took_part and allowed < attempt.varying <= most:
            option = f"-o {name}.split_inputs={attempt.varying}"
            yield f"{option}: branch on the input box, in which {attempt.varying} inputs vary"


def _precision(attempt: Attempt) -> Iterator[str]:
    if attempt.dtype != "float64" and any(_obstacles(attempt.turns, ObstacleKind.FLOAT_RESOLUTION)):
        yield "--dtype float64: boxes became too thin for float32"
    if attempt.margin is not None and attempt.margin < HARDLY:
        yield f"another --seed, to search elsewhere: an input was found at margin {attempt.margin:.2g}"


def _region(attempt: Attempt) -> Iterator[str]:
    if attempt.varying > MANY_INPUTS:
        yield f"a smaller region: {attempt.varying} inputs vary; fewer, or a smaller radius, are easier"


def _more_time(attempt: Attempt) -> Iterator[str]:
    if attempt.verdict is not Verdict.TIMEOUT or not math.isfinite(attempt.seconds):
        return
    option = f"--timeout {LONGER * max(1, round(attempt.seconds))}"
    open_ = ((name, turn.statistics.open) for name, turn in _last(attempt.turns))
    left = [(name, count) for name, count in open_ if count]
    if not attempt.turns:
        yield f"{option}: no backend had a turn before the time was up"
    elif left:
        name, count = left[-1]
        doubt = "" if attempt.bound is not None else ", though no bound is finite yet"
        yield f"{option}: {name} has {count:,} sub-problems open{doubt}"
    else:
        yield f"{option}: the limit was reached"


def _operators(attempt: Attempt) -> Iterator[str]:
    if not attempt.readable:
        yield "vnnverify show MODEL: it names the operators that keep the model a black box, without bounds"
    for _, obstacle in _obstacles(attempt.turns, ObstacleKind.OPERATOR):
        yield (
            f"another operator in place of {obstacle.operator} at node {obstacle.node!r}, or a rule for it: "
            f"{obstacle.domain} has none"
        )


def _options(backend: Backend[Any] | None) -> dict[str, Any]:
    if backend is None or not dataclasses.is_dataclass(backend.options):
        return {}
    return {f.name: getattr(backend.options, f.name) for f in dataclasses.fields(backend.options)}


def _maximum(backend: Backend[Any] | None, option: str) -> float:
    """The largest value that a backend takes for an option."""
    if backend is None or not dataclasses.is_dataclass(backend.options):
        return math.inf
    known = {f.name: f.metadata.get("maximum") for f in dataclasses.fields(backend.options)}
    most = known.get(option)
    return math.inf if most is None else most
