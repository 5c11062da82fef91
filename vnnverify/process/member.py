# SPDX-License-Identifier: Apache-2.0
"""What a member of a team does with a parcel."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import torch
from torch import Tensor

from vnnverify.plugin.backend import Backend, Context
from vnnverify.query import Query
from vnnverify.sharing.parcel import Parcel
from vnnverify.sharing.team import LAST_BATCH

__all__ = ["work_on"]

logger = logging.getLogger(__name__)


def work_on(text: str, query: Query, backend: Backend[Any], ctx: Context) -> dict[str, Any]:
    """Search the sub-problems of a parcel until the deadline.

    Returns:
        JSON-able: `left`, the text of the parcel of those still open; `witness`, the coordinates of an
        input that reaches an unsafe output, or None; `stats`, whole numbers the search has counted. After a
        failure `reason` alone.
    """
    parcel = Parcel.from_text(text)
    try:
        ctx = dataclasses.replace(ctx, parcel=parcel, last_batch=LAST_BATCH)
        outcome = backend.verify(query.with_clauses(parcel.clauses), ctx)
    except Exception as error:  # fence: a backend is somebody else's code
        logger.debug("working on a parcel failed", exc_info=True)
        return {"reason": f"{type(error).__name__}: {error}".splitlines()[0]}
    left = outcome.left
    if left is None:  # it works on whole clauses; one that is decided is so in every part
        if not outcome.verdict.decided:
            return {"reason": outcome.reason}
        left = parcel.about(())
    return {
        "left": dataclasses.replace(left, clauses=()).to_text(),  # the giver has them
        "witness": None if outcome.witness is None else _coordinates(outcome.witness),
        "stats": {name: value for name, value in outcome.stats.items() if type(value) is int},
    }


def _coordinates(x: Tensor) -> list[float]:
    found: list[float] = x.to(torch.float64).tolist()
    return found
