# SPDX-License-Identifier: Apache-2.0
"""Runs one backend on one query: clock, containment, witness replay."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from typing import Any

import torch

from vnnverify.backend import Backend, Context, Outcome, Result
from vnnverify.deadline import Deadline
from vnnverify.errors import UnsupportedOperator
from vnnverify.query import Query
from vnnverify.verdict import Guarantee, Verdict

__all__ = ["make_context", "run"]

logger = logging.getLogger(__name__)


def make_context(
    query: Query,
    deadline: Deadline,
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> Context:
    """A context whose `confirm` replays a candidate in the query's original model."""
    return Context(
        deadline=deadline,
        device=torch.device(device),
        dtype=dtype,
        generator=torch.Generator(device=device).manual_seed(seed),
        logger=logging.getLogger("vnnverify.backend"),
        confirm=lambda x: query.source.replay(x).valid,
    )


def run(query: Query, name: str, backend: Backend[Any], ctx: Context) -> Result:
    """The backend's answer, trusted no further than it can be checked.

    A witness that the original model does not confirm makes the verdict `unknown`, loudly. A
    statistical guarantee is never more than `unknown`. An exception becomes `error` with the
    backend's name.
    """
    started = time.monotonic()
    try:
        outcome = backend.verify(query, ctx)
    except UnsupportedOperator as error:
        outcome = Outcome.unknown(str(error))
    except Exception as error:  # fence: a backend is somebody else's code
        logger.debug("backend %s failed", name, exc_info=True)
        reason = f"backend {name} failed: {type(error).__name__}: {error}".splitlines()[0]
        return Result(Verdict.ERROR, reason, backend=name, seconds=time.monotonic() - started)
    verdict, reason, witness = outcome.verdict, outcome.reason, None
    if verdict is Verdict.SAT:
        if outcome.witness is None:
            verdict, reason = Verdict.ERROR, f"backend {name} said sat without a witness"
        else:
            witness = query.source.replay(outcome.witness)
            if not witness.valid:
                logger.warning("backend %s gave a witness that the model refutes: %s", name, witness.reason)
                verdict, reason, witness = Verdict.UNKNOWN, f"unconfirmed witness: {witness.reason}", None
    elif verdict is Verdict.UNSAT and backend.guarantee is Guarantee.STATISTICAL:
        verdict, reason = Verdict.UNKNOWN, f"backend {name} gives statistical guarantees only"
    return Result(
        verdict=verdict,
        reason=reason,
        witness=witness,
        guarantee=backend.guarantee,
        backend=name,
        seconds=time.monotonic() - started,
        stats=_plain(outcome.stats),
        residual=outcome.residual,
    )


def _plain(stats: Mapping[str, Any]) -> dict[str, Any]:
    """The statistics as JSON can hold them; what it cannot becomes text."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(stats), default=str))
    return plain
