# SPDX-License-Identifier: Apache-2.0
"""Puts together what is known of an undecided query."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from vnnverify.deadline import Deadline
from vnnverify.diagnosis.explain.advice import Attempt, advise
from vnnverify.diagnosis.explain.clauses import Hardest, hardest, places, wording
from vnnverify.diagnosis.explain.looseness import Loosest, affordable, loosest_node, readable, sample
from vnnverify.engine.answer import Answer
from vnnverify.plugin.backend import Backend
from vnnverify.query import Query
from vnnverify.results import Explanation

__all__ = ["explain"]

_VISITED = ("subproblems", "boxes", "nodes")
_BOUNDS = ("lowest_bound", "worst_bound")


def explain(
    query: Query,
    result: Answer,
    deadline: Deadline,
    *,
    seed: int,
    seconds: float,
    dtype: str,
    backends: Mapping[str, Backend[Any]],
    untried: Callable[[], Sequence[str]] = tuple,
) -> Explanation:
    """Why `strategy.decide` could not decide the query.

    Args:
        result: its undecided result, with the open clauses as residual and the turns as statistics.
        deadline: past it, what takes computing is left out.
        seed: makes the sampled inputs repeatable.
        seconds: the time limit there was.
        dtype: the float type that was asked for, as torch calls it.
        backends: those that could have had a turn.
        untried: says which other backends may decide it; asked last, as that may take long.
    """
    rest = result.residual or query
    origins = places(rest.clauses, query)
    turns = result.stats
    nearest, loosest, samples = _look_closer(rest, seed, deadline)
    bound, bound_by = _bound(turns)
    margin = _margin(turns, nearest)
    attempt = Attempt(
        verdict=result.verdict,
        turns=turns,
        backends=backends,
        untried=untried(),
        varying=rest.varying,
        seconds=seconds,
        dtype=dtype,
        readable=readable(query.graph),
        margin=margin,
        bound=bound,
    )
    return Explanation(
        clauses=len(query.clauses),
        open_clauses=_in_order(origins),
        hardest=None if nearest is None else origins[nearest.clause],
        unsafe="" if nearest is None else wording(nearest.polytope, query.layout),
        bound=bound,
        bound_by=bound_by,
        margin=margin,
        subproblems=_subproblems(turns),
        node="" if loosest is None else loosest.node,
        operator="" if loosest is None else loosest.operator,
        looseness=None if loosest is None or math.isinf(loosest.looseness) else loosest.looseness,
        looseness_before=None if loosest is None or math.isinf(loosest.looseness) else loosest.before,
        samples=samples,
        advice=advise(attempt),
    )


def _look_closer(rest: Query, seed: int, deadline: Deadline) -> tuple[Hardest | None, Loosest | None, int]:
    """The hardest open clause, the node where the bounds over its region loosen most, inputs sampled."""
    if deadline.expired or not rest.clauses:
        return None, None, 0
    generator = torch.Generator().manual_seed(seed)
    count = affordable(rest.graph)
    with torch.no_grad():
        nearest = hardest(rest.graph, rest.clauses, count, generator) if readable(rest.graph) else None
        region = rest.clauses[0 if nearest is None else nearest.clause].region
        points = sample(region, count, generator)
        return nearest, loosest_node(rest.graph, region, points, deadline), count


def _in_order(origins: Sequence[int | None]) -> tuple[int | None, ...]:
    """Each place once; what has none, last."""
    known = sorted({p for p in origins if p is not None})
    return (*known, *(p for p in origins if p is None))


def _bound(turns: Mapping[str, Any]) -> tuple[float | None, str]:
    """The best finite lower bound of what is open, and whose it is.

    Only a negative bound is: a positive one proves something, and searches that have none say zero.
    """
    best: tuple[float | None, str] = (None, "")
    for name, each in turns.items():
        for turn in each:
            for value in (_number(turn.get(key)) for key in _BOUNDS):
                if value is not None and value < 0 and (best[0] is None or value > best[0]):
                    best = value, name
    return best


def _margin(turns: Mapping[str, Any], nearest: Hardest | None) -> float | None:
    found = [_number(turn.get("best_margin")) for each in turns.values() for turn in each]
    found.append(None if nearest is None else nearest.margin)
    return min((value for value in found if value is not None), default=None)


def _subproblems(turns: Mapping[str, Any]) -> dict[str, int]:
    counts = {
        name: sum(_whole(turn.get(key)) for turn in each for key in _VISITED) for name, each in turns.items()
    }
    return {name: count for name, count in counts.items() if count}


def _number(value: object) -> float | None:
    """A finite number, or None."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if usable else None  # type: ignore[arg-type]


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
