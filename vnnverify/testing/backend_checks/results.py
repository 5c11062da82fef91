# SPDX-License-Identifier: Apache-2.0
"""Results are plain data that every writer accepts."""

from __future__ import annotations

import json
from typing import Any

from vnnverify.engine.answer import Answer
from vnnverify.engine.runner import run
from vnnverify.plugin.backend import Backend
from vnnverify.plugin.manager import load_plugins
from vnnverify.results import Report, Witness, find_writer
from vnnverify.testing.records import CheckFailure, demand, for_each
from vnnverify.testing.subject import Settings, ask, context, supported_zoo
from vnnverify.testing.zoo import Specimen
from vnnverify.verdict import Guarantee, Verdict

__all__ = ["check_plain_results"]

FORMATS = ("vnncomp", "vnnlib2", "json", "text")


def check_plain_results(backend: Backend[Any], settings: Settings) -> None:
    """`stats` survives JSON, every writer takes the result, and a statistical proof is not called unsat."""
    extra = load_plugins().writers
    writers = [find_writer(name, extra) for name in (*FORMATS, *(w.name for w in extra))]

    def check(specimen: Specimen) -> None:
        """Statistics, verdict and every writer for one specimen."""
        seconds = settings.time_for(specimen)
        ctx = context(specimen.query, seconds, dtype=settings.dtype)
        outcome = ask(backend, specimen.query, ctx, specimen.name)
        try:
            text = json.dumps(dict(outcome.stats))
        except (TypeError, ValueError) as error:
            raise CheckFailure(f"{specimen.name}: stats do not survive JSON: {error}") from error
        demand(json.loads(text) == dict(outcome.stats), f"{specimen.name}: JSON changes the stats")
        ctx = context(specimen.query, seconds, dtype=settings.dtype)
        result = run(specimen.query, "checked", backend, ctx)
        demand(result.verdict is not Verdict.ERROR, f"{specimen.name}: {result.reason}")
        demand(
            result.verdict is not Verdict.UNSAT or backend.guarantee is not Guarantee.STATISTICAL,
            f"{specimen.name}: a statistical guarantee was reported as unsat",
        )
        for writer in writers:
            try:
                written = writer.write(_report(result))
            except Exception as error:  # somebody else's writer
                raise CheckFailure(f"{specimen.name}: writer {writer.name} failed: {error}") from error
            demand(isinstance(written, str), f"{specimen.name}: writer {writer.name} must return text")

    for_each(supported_zoo(backend)[::7], check)


def _report(result: Answer) -> Report:
    witness = result.witness
    return Report(
        model="model.onnx",
        query="query.vnnlib",
        verdict=result.verdict,
        reason=result.reason,
        witness=None if witness is None else Witness(witness.x, witness.y, witness.rounded),
        guarantee=result.guarantee,
        backend=result.backend,
        seconds=result.seconds,
        stats={result.backend: {"seconds": round(result.seconds, 3), **result.counters}},
    )
