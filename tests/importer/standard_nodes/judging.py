# SPDX-License-Identifier: Apache-2.0
"""What becomes of one of the tests of the standard in the importer, held against onnxruntime."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, numpy_helper

from standard_nodes.variant import Variant, variants
from vnnverify.domains import interval
from vnnverify.errors import ModelError, UnsupportedOperator
from vnnverify.importer import Model, read_model
from vnnverify.importer.builder import REMEDY

__all__ = ["Outcome", "outcomes"]

AGREES, WRONG, REFUSED, UNRUN = "agrees", "wrong", "refused", "unrun"
TOLERANCE, HALF_TOLERANCE = 1e-4, 2e-2
"""Relative to the element, a tenth of it relative to the largest one."""
BESIDE = 1e-6
"""How far off, relative to each input, a step may lie that float32 takes earlier or later."""


@dataclass(frozen=True)
class Outcome:
    """How a test fared, and why."""

    variant: Variant
    kind: str  # "agrees", "wrong", "refused"; "unrun" if neither onnxruntime nor the importer reads it
    why: str = ""


@cache
def outcomes() -> tuple[Outcome, ...]:
    """Of all tests; what crashes is wrong."""
    return tuple(_judged(variant) for variant in variants())


def _judged(variant: Variant) -> Outcome:
    data, points = variant.lowered, list(variant.points(1 if variant.index else 2))
    expected = _by_onnxruntime(data, points)
    runs = expected is not None
    if expected is None:  # what the test itself wants to see is held against
        data, points = variant.model.SerializeToString(), [variant.given]
        expected = [_flat(variant.expected)]
    try:
        model = read_model(data)
        why = _difference(model, points, expected) or _outside(model, points[-1])
    except ModelError as error:
        return Outcome(variant, REFUSED if runs else UNRUN, _reason(error))
    except Exception as error:
        return Outcome(variant, WRONG, f"{variant.id}: crashes with {error!r}")
    return Outcome(variant, WRONG if why else AGREES, f"{variant.id}: {why}" if why else "")


def _reason(error: ModelError) -> str:
    """The message without the node's name and the remedy, which are the same for all."""
    text = str(error).removesuffix(f"; {REMEDY}")
    return re.sub(r"^node '[^']*'( \(\w+\))?: ", "", text)


def _by_onnxruntime(data: bytes, points: Sequence[np.ndarray]) -> list[np.ndarray] | None:
    """The outputs at each point; None where it does not run the model."""
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 4
    try:
        session: Any = onnxruntime.InferenceSession(data, settings, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return [_flat(session.run(None, {name: point})) for point in points]
    except Exception:  # it raises types of its own, and bare ones
        return None


def _flat(outputs: Iterable[Any]) -> np.ndarray:
    parts = [numpy_helper.to_array(y) if isinstance(y, TensorProto) else np.asarray(y) for y in outputs]
    return np.concatenate([part.astype(np.float64).reshape(-1) for part in parts])


def _difference(model: Model, points: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> str:
    """Where the graph computes something else, also just beside the point; nothing if it does not."""
    half = any(spec.dtype == "float16" for spec in (*model.layout.inputs, *model.layout.outputs))
    tolerance = HALF_TOLERANCE if half else TOLERANCE
    for point, theirs in zip(points, expected, strict=True):
        x = torch.from_numpy(point.astype(np.float64).reshape(1, -1))
        ours = model.graph(x)[0].numpy()
        if ours.shape != theirs.shape:
            return f"has {ours.size} outputs, not {theirs.size}"
        bad = ~_close(ours, theirs, tolerance)
        generator = torch.Generator().manual_seed(1)
        for _ in range(4 if bad.any() else 0):  # a step may lie within rounding
            side = BESIDE * (2 * torch.rand(x.shape, generator=generator, dtype=torch.float64) - 1)
            bad &= ~_close(model.graph(x * (1 + side))[0].numpy(), theirs, tolerance)
        if bad.any():
            k = int(bad.argmax())
            return f"output {k} is {ours[k]}, onnxruntime computes {theirs[k]}"
    return ""


def _close(ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> np.ndarray:
    """Element by element; NaN and infinities must be the same."""
    finite = np.isfinite(theirs)
    scale = np.abs(theirs[finite]).max(initial=0.0)
    with np.errstate(invalid="ignore"):
        near = np.abs(ours - theirs) <= tolerance * (np.abs(theirs) + 0.1 * scale)
    return np.where(finite, near, (ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))


def _outside(model: Model, point: np.ndarray) -> str:
    """Which output leaves its interval bounds over a small box, if one does."""
    centre = torch.from_numpy(point.astype(np.float64).reshape(1, -1))
    radius = 1e-3 * (1 + centre.abs())
    generator = torch.Generator().manual_seed(3)
    spread = 2 * torch.rand(8, centre.shape[1], generator=generator, dtype=torch.float64) - 1
    try:
        ends = interval.bounds_of_values(model.graph, centre - radius, centre + radius)
    except UnsupportedOperator:
        return ""
    graph = model.graph
    least, most = (graph.join_outputs({v: ends[v][k] for v in graph.outputs}) for k in (0, 1))
    y = graph(centre + radius * spread)
    if bool(((y < least) | (y > most)).any()):
        k = int(((y < least) | (y > most)).any(dim=0).nonzero()[0, 0])
        return f"output {k} lies outside [{least[0, k]}, {most[0, k]}]"
    return ""
