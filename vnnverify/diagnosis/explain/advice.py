# SPDX-License-Identifier: Apache-2.0
"""What to try when a query stays undecided, read off what the backends said."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vnnverify.plugin.backend import Backend
from vnnverify.verdict import Verdict

__all__ = ["Attempt", "advise"]

LONGER = 4
"""What a limit that was reached is multiplied by."""
MANY_INPUTS = 64
"""Varying inputs beyond which halving the box does not get anywhere."""
HARDLY = 1e-3
"""Margin below which a counterexample, or no margin at all, is likely."""
MOST = 5

_OPERATOR = re.compile(r"node '(?P<node>[^']*)': (?P<domain>\S+) cannot bound operator (?P<op>\w+)")
_SETTING = re.compile(r"\b([a-z_]+)=(\d+)\b")
_OPEN = ("open_subproblems", "open_boxes")

Turns = Mapping[str, Sequence[Mapping[str, Any]]]  # as `strategy.decide` records them


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


def _last(turns: Turns) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return ((name, each[-1]) for name, each in turns.items() if each)


def _failures(attempt: Attempt) -> Iterator[str]:
    for name, turn in _last(attempt.turns):
        if turn["verdict"] == Verdict.ERROR.value:
            yield f"-vv: for the traceback of {name}, which failed"


def _limits(attempt: Attempt) -> Iterator[str]:
    """Where a backend names an option that stopped it, a larger value."""
    for name, turn in _last(attempt.turns):
        backend = attempt.backends.get(name)
        fields = _options(backend)
        for option, value in _SETTING.findall(turn["reason"]):
            larger = min(LONGER * int(value), _maximum(backend, option))
            if option in fields and larger > int(value):
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
        took_part = turn.get("seconds") and turn.get("open_clauses")
        if took_part and allowed < attempt.varying <= most:
            option = f"-o {name}.split_inputs={attempt.varying}"
            yield f"{option}: branch on the input box, in which {attempt.varying} inputs vary"


def _precision(attempt: Attempt) -> Iterator[str]:
    if attempt.dtype != "float64" and any("resolution" in t["reason"] for _, t in _last(attempt.turns)):
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
    left = [(name, _open(turn)) for name, turn in _last(attempt.turns) if _open(turn)]
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
    for _, turn in _last(attempt.turns):
        for found in _OPERATOR.finditer(turn["reason"]):
            yield (
                f"another operator in place of {found['op']} at node {found['node']!r}, or a rule for it: "
                f"{found['domain']} has none"
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


def _open(turn: Mapping[str, Any]) -> int:
    """Sub-problems left when the turn ended."""
    return sum(value for key in _OPEN if isinstance(value := turn.get(key), int))
