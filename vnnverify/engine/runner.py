# SPDX-License-Identifier: Apache-2.0
"""Runs one backend on one query: clock, containment, witness replay."""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vnnverify.deadline import Deadline
from vnnverify.engine.answer import Answer
from vnnverify.errors import BackendError, UnsupportedOperator
from vnnverify.guard import Disagreement
from vnnverify.numerics import FLOAT32_REACH, rounding
from vnnverify.obstacle import Obstacle, ObstacleKind
from vnnverify.plugin.backend import Backend, Context, Outcome
from vnnverify.query import Query, Replay
from vnnverify.verdict import Guarantee, Verdict

__all__ = ["make_context", "replayed", "run"]

logger = logging.getLogger(__name__)


def make_context(
    query: Query,
    deadline: Deadline,
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> Context:
    """A context whose `confirm` replays a candidate in the query's original model.

    Where inputs are larger than `FLOAT32_REACH` its float type is float64: in float32 they overflow.
    """
    return Context(
        deadline=deadline,
        device=torch.device(device),
        dtype=torch.float64 if query.reach > FLOAT32_REACH else dtype,
        generator=torch.Generator(device=device).manual_seed(seed),
        logger=logging.getLogger("vnnverify.plugin.backend"),
        confirm=lambda x: query.source.replay(x).valid,
    )


def run(query: Query, name: str, backend: Backend[Any], ctx: Context) -> Answer:
    """The backend's answer, trusted no further than it can be checked.

    A witness that the original model does not confirm makes the verdict `unknown`, loudly. A
    statistical guarantee is never more than `unknown`, nor is what was found about a graph that is not the
    model. An exception becomes `error`.
    """
    started = time.monotonic()
    try:
        with rounding("sound"):
            answer = _checked(query, name, backend, backend.verify(query, ctx))
    except UnsupportedOperator as error:
        answer = _without(str(error), Obstacle.of(error), name, backend)
    except Disagreement as error:
        answer = _without(str(error), Obstacle(ObstacleKind.NOT_THE_MODEL), name, backend)
    except (Exception, SystemExit) as error:  # fence: a backend is somebody else's code
        logger.debug("backend %s failed", name, exc_info=True)
        answer = Answer(Verdict.ERROR, f"failed: {_line(error)}", backend=name, obstacle=_obstacle(error))
    return dataclasses.replace(answer, seconds=time.monotonic() - started)


def _without(reason: str, obstacle: Obstacle, name: str, backend: Backend[Any]) -> Answer:
    return Answer(Verdict.UNKNOWN, reason, guarantee=backend.guarantee, backend=name, obstacle=obstacle)


def _checked(query: Query, name: str, backend: Backend[Any], outcome: Outcome) -> Answer:
    """The outcome without what it cannot be trusted for."""
    if not isinstance(outcome, Outcome) or not isinstance(outcome.verdict, Verdict):
        raise BackendError(f"verify returned {outcome!r:.80}, not an Outcome")
    verdict, reason, witness, obstacle = outcome.verdict, outcome.reason, None, outcome.obstacle
    if verdict is Verdict.SAT:
        if not isinstance(outcome.witness, Tensor) or outcome.witness.shape != (query.graph.input_size,):
            raise BackendError(f"it said sat without a witness of shape ({query.graph.input_size},)")
        witness = replayed(query, outcome.witness)
        if not witness.valid:
            logger.warning("backend %s gave a witness that the model refutes: %s", name, witness.reason)
            verdict, reason, witness = Verdict.UNKNOWN, f"unconfirmed witness: {witness.reason}", None
            obstacle = Obstacle(ObstacleKind.REFUTED_WITNESS)
    elif verdict is Verdict.UNSAT and backend.guarantee is Guarantee.STATISTICAL:
        verdict, reason = Verdict.UNKNOWN, f"backend {name} gives statistical guarantees only"
        obstacle = Obstacle(ObstacleKind.STATISTICAL)
    return Answer(
        verdict=verdict,
        reason=reason,
        witness=witness,
        guarantee=backend.guarantee,
        backend=name,
        obstacle=obstacle,
        counters=_plain(outcome.stats),
        certificate=outcome.certificate if verdict is Verdict.UNSAT else None,
        residual=outcome.residual,
        left=None if verdict.decided else outcome.left,
    )


def replayed(query: Query, x: Tensor) -> Replay:
    """What the judge says of x (n,); a model that does not run confirms nothing."""
    try:
        return query.source.replay(x)
    except Exception as error:  # fence: onnxruntime has exceptions of its own
        logger.debug("replay failed", exc_info=True)
        return Replay(False, f"the model does not run: {_line(error)}", (), ())


def _obstacle(error: BaseException) -> Obstacle:
    """What an exception stands for. torch has a type of its own for memory that a GPU lacks, but none for the
    CPU's: there the allocator's name stands in the message."""
    on_cpu = isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    if on_cpu or isinstance(error, torch.OutOfMemoryError):
        return Obstacle(ObstacleKind.OUT_OF_MEMORY)
    return Obstacle.of(error)


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _plain(stats: Mapping[str, Any]) -> dict[str, Any]:
    """The statistics as JSON can hold them; what it cannot, infinities too, becomes text."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(stats), default=str), parse_constant=str)
    return plain
