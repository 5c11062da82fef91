# SPDX-License-Identifier: Apache-2.0
"""How well the graph and onnxruntime agree on a model, as one number to be shown.

Nothing is refused by it: that is for `Comparison`, which reckons with what rounding may do at each point.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from vnnverify.guard.comparison import gap
from vnnverify.importer.model import Model
from vnnverify.importer.sessions import OnnxRunner
from vnnverify.numerics import AGREEMENT, HALF_AGREEMENT
from vnnverify.query import Layout, TensorSpec

__all__ = ["agreement_needed", "check_against_onnxruntime"]


def agreement_needed(layout: Layout) -> float:
    """The largest relative difference at which a model of these types counts as the same function."""
    half = any(spec.dtype == "float16" for spec in (*layout.inputs, *layout.outputs))
    return HALF_AGREEMENT if half else AGREEMENT


def check_against_onnxruntime(model: Model, x: Tensor) -> float:
    """The largest relative difference of the outputs at the points x (batch, n).

    Points are rounded to the model's input types first. A difference is relative to the largest
    output of its point, so that outputs near zero do not dominate; it is infinite where only one of the
    two is a number, or they are different infinities.
    """
    runner = OnnxRunner(model.data, model.layout)
    points = _rounded(x.to(torch.float64), model.layout.inputs)
    ours = model.graph(points)
    worst = 0.0
    for point, found in zip(points, ours, strict=True):
        theirs = torch.tensor(runner(point.tolist()), dtype=torch.float64)
        scale = torch.where(theirs.isfinite(), theirs.abs(), 0.0).amax().clamp(min=1e-12)
        worst = max(worst, float(gap(found, theirs).max() / scale))
    return worst


def _rounded(x: Tensor, inputs: Sequence[TensorSpec]) -> Tensor:
    """Each input's part of the points (batch, n) rounded to a number of its type."""
    sizes = [prod(spec.shape) for spec in inputs]
    parts = []
    for part, spec in zip(torch.split(x, sizes, dim=1), inputs, strict=True):
        kind = getattr(torch, spec.dtype, torch.float32)
        part = part if kind.is_floating_point else part.round()
        parts.append(part.to(kind).to(torch.float64))
    return torch.cat(parts, dim=1)
