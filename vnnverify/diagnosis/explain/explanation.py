# SPDX-License-Identifier: Apache-2.0
"""Puts together what is known of an undecided query."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from vnnverify.deadline import Deadline
from vnnverify.diagnosis.explain.advice import Attempt, Turns, advise
from vnnverify.diagnosis.explain.clauses import Hardest, hardest, places, wording
from vnnverify.diagnosis.explain.looseness import Loosest, affordable, loosest_node, readable, sample
from vnnverify.engine.answer import Answer
from vnnverify.plugin.backend import Backend
from vnnverify.query import Query
from vnnverify.results import Explanation

__all__ = ["explain"]


def explain(
    query: Query,
    answer: Answer,
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
        answer: its undecided answer, with the open clauses as residual and the turns.
        deadline: past it, what takes computing is left out.
        seed: makes the sampled inputs repeatable.
        seconds: the time limit there was.
        dtype: the float type that was asked for, as torch calls it.
        backends: those that could have had a turn.
        untried: says which other backends may decide it; asked last, as that may take long.
    """
    rest = answer.residual or query
    origins = places(rest.clauses, query)
    turns = answer.turns
    nearest, loosest, samples = _look_closer(rest, seed, deadline)
    bound, bound_by = _bound(turns)
    margin = _margin(turns, nearest)
    attempt = Attempt(
        verdict=answer.verdict,
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


def _bound(turns: Turns) -> tuple[float | None, str]:
    """The best finite lower bound of what is open, and whose it is."""
    best: tuple[float | None, str] = (None, "")
    for name, each in turns.items():
        for turn in each:
            bound = turn.statistics.bound
            if bound is not None and (best[0] is None or bound > best[0]):
                best = bound, name
    return best


def _margin(turns: Turns, nearest: Hardest | None) -> float | None:
    found = [turn.statistics.margin for each in turns.values() for turn in each]
    found.append(None if nearest is None else nearest.margin)
    return min((value for value in found if value is not None), default=None)


def _subproblems(turns: Turns) -> dict[str, int]:
    counts = {name: sum(turn.statistics.visited for turn in each) for name, each in turns.items()}
    return {name: count for name, count in counts.items() if count}
