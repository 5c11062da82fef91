# SPDX-License-Identifier: Apache-2.0
"""Never wrong: the zoo's truth is not contradicted, and every witness replays."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from vnnverify.plugin.backend import Backend, Outcome
from vnnverify.testing.exact import reachable
from vnnverify.testing.records import demand, for_each
from vnnverify.testing.subject import Settings, answer, context, supported_zoo
from vnnverify.testing.zoo import Specimen
from vnnverify.verdict import Verdict

__all__ = ["check_easy_decided", "check_never_wrong", "check_residuals"]


def check_never_wrong(backend: Backend[Any], settings: Settings) -> None:
    """`unsat` is only said where it is true, `sat` only with a witness that the model confirms."""
    for_each(supported_zoo(backend), lambda s: _demand_true(s, _run(backend, s, settings)))


def check_easy_decided(backend: Backend[Any], settings: Settings) -> None:
    """The specimens that count as easy for this backend are decided."""

    def check(specimen: Specimen) -> None:
        """The outcome of one specimen against what is known of it."""
        outcome = _run(backend, specimen, settings)
        said = f"{outcome.verdict.value} ({outcome.reason})"
        demand(
            outcome.verdict is specimen.truth,
            f"{specimen.name}: should be decided as {specimen.truth.value}, got {said}",
        )

    for_each(filter(settings.requires, supported_zoo(backend)), check)


def check_residuals(backend: Backend[Any], settings: Settings) -> None:
    """What is left of an undecided query is still sat if the query was; undecided comes with a reason."""

    def check(specimen: Specimen) -> None:
        """The outcome of one specimen against what is known of it."""
        outcome = _run(backend, specimen, settings)
        if outcome.verdict is Verdict.UNKNOWN:
            demand(bool(outcome.reason), f"{specimen.name}: unknown without a reason")
        if outcome.verdict.decided or outcome.residual is None or specimen.truth is Verdict.UNSAT:
            return
        demand(
            reachable(specimen.network, outcome.residual.clauses) is not None,
            f"{specimen.name}: the residual query has lost the counterexample x = {_shown(specimen)}",
        )

    for_each(supported_zoo(backend), check)


def _run(backend: Backend[Any], specimen: Specimen, settings: Settings) -> Outcome:
    answers = _answers(backend, settings)
    if specimen not in answers:
        ctx = context(specimen.query, settings.time_for(specimen), dtype=settings.dtype)
        answers[specimen] = answer(backend, specimen.query, ctx, specimen.name, settings.grace)
    return answers[specimen]


@lru_cache(maxsize=1)
def _answers(backend: Backend[Any], settings: Settings) -> dict[Specimen, Outcome]:
    """What the backend has answered so far: these checks come one after another and judge the same."""
    return {}


def _demand_true(specimen: Specimen, outcome: Outcome) -> None:
    name = specimen.name
    demand(outcome.verdict is not Verdict.ERROR, f"{name}: a backend raises, it does not answer `error`")
    if outcome.verdict is Verdict.UNSAT:
        demand(
            specimen.truth is Verdict.UNSAT,
            f"{name}: said unsat, but x = {_shown(specimen)} is a counterexample",
        )
    if outcome.verdict is Verdict.SAT:
        demand(outcome.witness is not None, f"{name}: said sat without a witness")
        assert outcome.witness is not None  # for the type checker
        n = specimen.query.graph.input_size
        demand(
            outcome.witness.shape == (n,),
            f"{name}: the witness has shape {tuple(outcome.witness.shape)}, not ({n},)",
        )
        replay = specimen.query.source.replay(outcome.witness)
        demand(replay.valid, f"{name}: said sat, but the model refutes the witness: {replay.reason}")
        demand(
            specimen.truth is Verdict.SAT or specimen.tight,
            f"{name}: said sat, but there is no counterexample",
        )


def _shown(specimen: Specimen) -> str:
    return f"({', '.join(map(str, specimen.point or ()))})"
