# SPDX-License-Identifier: Apache-2.0
"""Consistency: a question put in another way gets no contradicting answer. No truth is needed."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from vnnverify.plugin.backend import Backend
from vnnverify.query import Clause, Polytope, Query
from vnnverify.testing.records import demand, for_each
from vnnverify.testing.source import query_of
from vnnverify.testing.subject import Settings, answer, context, supported_zoo
from vnnverify.testing.zoo import Specimen
from vnnverify.verdict import Verdict

__all__ = [
    "check_halves_combine",
    "check_permuted_units_agree",
    "check_scaled_outputs_agree",
    "check_subsets_agree",
]

FACTOR = 4  # a power of two: scaling costs no rounding


def check_halves_combine(backend: Backend[Any], settings: Settings) -> None:
    """No half of an unsat query is sat, and not both halves of a sat query are unsat."""

    def check(question: tuple[str, Query, float]) -> None:
        """One question as it is, and rewritten."""
        name, query, seconds = question
        whole = _verdict(backend, query, name, seconds, settings)
        halves = [_verdict(backend, half, f"a half of {name}", seconds, settings) for half in _halves(query)]
        _demand_consistent(name, "half", whole, halves)

    for_each([q for q in _questions(backend, settings) if q[1].clauses], check)


def check_subsets_agree(backend: Backend[Any], settings: Settings) -> None:
    """No part of an unsat query's disjuncts is sat, and not all parts of a sat one are unsat."""

    def check(question: tuple[str, Query, float]) -> None:
        """One question as it is, and rewritten."""
        name, query, seconds = question
        parts = [
            query.with_clauses([Clause(clause.region, (polytope,))])
            for clause in query.clauses
            for polytope in clause.unsafe
        ]
        if 2 <= len(parts) <= 64:
            whole = _verdict(backend, query, name, seconds, settings)
            found = [_verdict(backend, part, f"a part of {name}", seconds, settings) for part in parts]
            _demand_consistent(name, "disjunct", whole, found)

    for_each(_questions(backend, settings), check)


def check_permuted_units_agree(backend: Backend[Any], settings: Settings) -> None:
    """The order of hidden units does not matter."""

    def check(specimen: Specimen) -> None:
        """One question as it is, and rewritten."""
        other = query_of(specimen.network.permuted().to_onnx(), specimen.query.clauses)
        _demand_equal(backend, specimen, other, "with its hidden units reversed", settings)

    for_each(_specimens(backend), check)


def check_scaled_outputs_agree(backend: Backend[Any], settings: Settings) -> None:
    """Outputs and specification multiplied by one number are the same question."""

    def check(specimen: Specimen) -> None:
        """One question as it is, and rewritten."""
        clauses = [_scaled(clause) for clause in specimen.query.clauses]
        other = query_of(specimen.network.scaled(Fraction(FACTOR)).to_onnx(), clauses)
        _demand_equal(backend, specimen, other, f"scaled by {FACTOR}", settings)

    for_each(_specimens(backend), check)


def _questions(backend: Backend[Any], settings: Settings) -> Iterator[tuple[str, Query, float]]:
    """Names, queries, and the seconds for each."""
    for specimen in _specimens(backend):
        yield specimen.name, specimen.query, settings.time_for(specimen)
    for index, query in enumerate(settings.queries):
        if backend.supports(query):
            yield f"query {index}", query, settings.seconds


def _specimens(backend: Backend[Any]) -> list[Specimen]:
    """One in four, none tight, and all with several disjuncts; those over one input tensor."""
    found = [s for s in supported_zoo(backend) if not s.tight and "several inputs" not in s.tags]
    several = [s for s in found if s.tags & {"several clauses", "several polytopes", "linear"}]
    return [*several, *[s for s in found if s not in several][::4]]


def _verdict(backend: Backend[Any], query: Query, name: str, seconds: float, settings: Settings) -> Verdict:
    """The verdict; a witness that the model refutes counts for nothing."""
    ctx = context(query, seconds, dtype=settings.dtype)
    outcome = answer(backend, query, ctx, name, settings.grace)
    if outcome.verdict is Verdict.SAT:
        confirmed = outcome.witness is not None and query.source.replay(outcome.witness).valid
        return Verdict.SAT if confirmed else Verdict.UNKNOWN
    return outcome.verdict


def _halves(query: Query) -> list[Query]:
    """Every clause's box cut in two across its widest side."""
    sides: tuple[list[Clause], list[Clause]] = ([], [])
    for clause in query.clauses:
        region = clause.region
        axis = int((region.upper - region.lower).argmax())
        middle = (region.lower[axis] + region.upper[axis]) / 2
        low_upper, high_lower = region.upper.clone(), region.lower.clone()
        low_upper[axis] = high_lower[axis] = middle
        sides[0].append(Clause(region.within(region.lower, low_upper), clause.unsafe))
        sides[1].append(Clause(region.within(high_lower, region.upper), clause.unsafe))
    return [query.with_clauses(side) for side in sides]


def _scaled(clause: Clause) -> Clause:
    return Clause(clause.region, tuple(Polytope(p.A, p.b * FACTOR, p.strict) for p in clause.unsafe))


def _demand_consistent(name: str, part: str, whole: Verdict, parts: list[Verdict]) -> None:
    words = ", ".join(v.value for v in parts)
    if whole is Verdict.UNSAT:
        demand(Verdict.SAT not in parts, f"{name}: unsat as a whole, but a {part} is sat")
    if whole is Verdict.SAT:
        demand(
            any(v is not Verdict.UNSAT for v in parts), f"{name}: sat as a whole, but its parts are {words}"
        )


def _demand_equal(
    backend: Backend[Any], specimen: Specimen, other: Query, how: str, settings: Settings
) -> None:
    verdict = _verdict(backend, other, f"{specimen.name} {how}", settings.time_for(specimen), settings)
    demand(
        not verdict.decided or verdict is specimen.truth,
        f"{specimen.name} {how}: said {verdict.value}, but it is {specimen.truth.value}",
    )
