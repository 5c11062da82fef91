# SPDX-License-Identifier: Apache-2.0
"""Deadlines are kept, and what comes too late is an answer, not an exception."""

from __future__ import annotations

from typing import Any

import torch

from vnnverify.plugin.backend import Backend
from vnnverify.query import Clause, Query
from vnnverify.testing.network import Network
from vnnverify.testing.records import CheckSkipped, demand, for_each
from vnnverify.testing.source import query_of
from vnnverify.testing.subject import Settings, answer, context, supported_zoo
from vnnverify.testing.zoo import Specimen, box, halfspaces
from vnnverify.verdict import Verdict

__all__ = ["check_expired_deadline", "check_short_deadline", "hard_query"]

SHORT = 0.5
HARD = "the hard query"


def hard_query() -> Query:
    """Ten inputs, three layers of forty ReLUs, and a level that sampling does not reach but bounds do."""
    network = Network.random((10, 40, 40, 40, 1), seed=11)
    query = query_of(network.to_onnx(), (Clause(box([-1.0] * 10, [1.0] * 10), (halfspaces(([-1.0], 0.0)),)),))
    x = query.clauses[0].region.sample(4096, torch.Generator().manual_seed(0))
    level = 3.0 * float(query.graph(x).max())
    clauses = (Clause(query.clauses[0].region, (halfspaces(([-1.0], -level)),)),)
    return query_of(network.to_onnx(), clauses)


def check_expired_deadline(backend: Backend[Any], settings: Settings) -> None:
    """With no time left, an answer comes at once, and without an exception."""

    def check(specimen: Specimen) -> None:
        """One specimen."""
        ctx = context(specimen.query, 0.0, dtype=settings.dtype)
        outcome = answer(backend, specimen.query, ctx, specimen.name, settings.grace)
        demand(
            not outcome.verdict.decided or outcome.verdict is specimen.truth or specimen.tight,
            f"{specimen.name}: said {outcome.verdict.value} in no time, wrongly",
        )

    for_each(supported_zoo(backend)[::6], check)
    query = hard_query()
    if backend.supports(query):
        answer(backend, query, context(query, 0.0, dtype=settings.dtype), HARD, settings.grace)


def check_short_deadline(backend: Backend[Any], settings: Settings) -> None:
    """Half a second on a hard query ends within the grace; undecided then means timeout or unknown."""
    query = hard_query()
    support = backend.supports(query)
    if not support:
        raise CheckSkipped(support.reason)
    ctx = context(query, SHORT, dtype=settings.dtype)
    outcome = answer(backend, query, ctx, HARD, settings.grace)
    demand(outcome.verdict is not Verdict.ERROR, "a backend raises, it does not answer `error`")
