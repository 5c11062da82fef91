# SPDX-License-Identifier: Apache-2.0
"""The engine's answer as the record that a worker sends."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from vnnverify import __version__
from vnnverify.engine.answer import Answer
from vnnverify.obstacle import ObstacleKind
from vnnverify.query import Query
from vnnverify.results import Witness
from vnnverify.verdict import Verdict

__all__ = ["record_of"]


def record_of(query: Query, answer: Answer, hashes: Mapping[str, str]) -> dict[str, Any]:
    """JSON-able, but for a certificate that is not.

    Args:
        hashes: checksums of the files, by what they are.
    """
    found = answer.witness
    witness = None if found is None else Witness(found.x, found.y, found.rounded, query.layout.tensors)
    return {
        "verdict": answer.verdict.value,
        "reason": answer.reason,
        "witness": None if witness is None else witness.to_record(),
        "guarantee": answer.guarantee.value,
        "backend": answer.backend,
        "stats": {name: [turn.to_record() for turn in each] for name, each in answer.turns.items()},
        "certificate": answer.certificate,
        "cause": _cause(answer),
        "layout": {
            "inputs": [dataclasses.asdict(spec) for spec in query.layout.inputs],
            "outputs": [dataclasses.asdict(spec) for spec in query.layout.outputs],
        },
        "sha256": dict(hashes),
        "versions": {"vnnverify": __version__, "torch": torch.__version__},
    }


def _cause(answer: Answer) -> str:
    """What an `error` comes from; empty for any other verdict."""
    if answer.verdict is not Verdict.ERROR:
        return ""
    met = [turn.obstacle for each in answer.turns.values() for turn in each]
    kinds = {obstacle.kind for obstacle in met if obstacle is not None}
    return "memory" if ObstacleKind.OUT_OF_MEMORY in kinds else "backend"
