# SPDX-License-Identifier: Apache-2.0
"""What a stored witness is worth by the competition's rules of 2026.

The point is cast to the model's type and run in onnxruntime on the CPU; the outputs that a tool states are
ignored. Constraints on outputs get no tolerance. A bound on an input is compared as the model reads it: with
no tolerance the witness is correct, and refutes any `unsat`; with 1e-4 it is correct up to tolerance.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from vnnverify.errors import SpecError, VnnverifyError
from vnnverify.results.report import Witness
from vnnverify.suites.instances import Instance

__all__ = ["TOLERANCE", "Standing", "judge"]

TOLERANCE = 1e-4
"""How far an input may lie outside its bounds; absolute. Source: scoring of VNN-COMP 2026."""


class Standing(Enum):
    """What speaks for a `sat`."""

    CORRECT = "correct"
    TOLERANCE = "correct up to tolerance"
    INVALID = "refuted"
    MISSING = "no witness"
    UNJUDGED = "the judge cannot run it"
    UNCHECKED = "files not at hand"


def judge(witness: Witness, instance: Instance) -> tuple[Standing, str]:
    """The witness's standing, and why."""
    try:
        return _judge(witness, instance)
    except (VnnverifyError, OSError) as error:
        return Standing.UNJUDGED, str(error)
    except Exception as error:  # fence: onnxruntime has exceptions of its own
        return Standing.UNJUDGED, f"{type(error).__name__}: {error}".splitlines()[0]


def _judge(witness: Witness, instance: Instance) -> tuple[Standing, str]:
    from vnnverify.vnnlib import load_property

    prop = load_property(instance.query_path)
    if prop.networks:
        return _judge_networks(witness, instance)
    if not isinstance(instance.networks, str):
        return Standing.UNJUDGED, "several networks for a property of VNN-LIB 1.0"
    if len(witness.x) != prop.inputs:
        return Standing.INVALID, f"{len(witness.x)} inputs, the property has {prop.inputs}"

    import numpy as np

    from vnnverify.importer.model import read_layout
    from vnnverify.importer.sessions import OnnxRunner
    from vnnverify.inputs.external import read_model_file
    from vnnverify.report.pictures import box_of

    data, layout = read_layout(read_model_file(instance.networks).data, prop.inputs)
    types = {spec.dtype for spec in layout.inputs}
    if len(types) != 1:
        return Standing.UNJUDGED, "inputs of several types"
    dtype = types.pop()
    x = np.asarray(witness.x, dtype=np.float64).astype(dtype).astype(np.float64)
    y = OnnxRunner(data, layout)(x.tolist())

    def holds(at: np.ndarray) -> tuple[bool, str]:
        return prop.holds_at(at.tolist(), y, frozenset(range(prop.inputs)), dtype)

    exact, reason = holds(x)
    if exact:
        return Standing.CORRECT, ""
    box = box_of(Path(instance.query_path), x.tolist())
    if box is not None:
        inside = np.clip(x, *(end.astype(dtype).astype(np.float64) for end in box))
        away = float(np.abs(x - inside).max(initial=0.0))
        if 0 < away <= TOLERANCE and holds(inside)[0]:
            return Standing.TOLERANCE, f"outside its bounds by {away:.3g}"
        if away > TOLERANCE:
            return Standing.INVALID, f"outside its bounds by {away:.3g}"
    return Standing.INVALID, reason


def _judge_networks(witness: Witness, instance: Instance) -> tuple[Standing, str]:
    """The same for a property of VNN-LIB 2.0. A point up to the tolerance outside is judged by the nearest
    one inside."""
    import torch

    from vnnverify.loading.loader import load_query
    from vnnverify.results.vnnlib2 import assigned

    query = load_query(instance.networks, instance.query_path, opaque=True)
    if witness.tensors and not witness.y:
        try:
            witness = assigned(witness, query.layout.tensors)
        except SpecError as error:
            return Standing.INVALID, str(error)
    replay = query.source.replay(torch.tensor(witness.x, dtype=torch.float64))
    if not replay.valid:
        return Standing.INVALID, replay.reason
    away = _distance(replay.x, witness.x)
    if away == 0.0:
        return Standing.CORRECT, ""
    if away <= TOLERANCE:
        return Standing.TOLERANCE, f"outside its bounds by {away:.3g}"
    return Standing.INVALID, f"outside its bounds by {away:.3g}"


def _distance(a: Sequence[float], b: Sequence[float]) -> float:
    if len(a) != len(b):
        return float("inf")
    return max((abs(p - q) for p, q in zip(a, b, strict=True)), default=0.0)
