# SPDX-License-Identifier: Apache-2.0
"""Does the graph compute what onnxruntime computes?"""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.importer.model import Model
from vnnverify.validate import OnnxRunner

__all__ = ["check_against_onnxruntime"]


def check_against_onnxruntime(model: Model, x: Tensor) -> float:
    """The largest relative difference of the outputs at the points x (batch, n).

    Points are rounded to the model's input type first. A difference is relative to the largest
    output of its point, so that outputs near zero do not dominate.
    """
    runner = OnnxRunner(model.data, model.layout)
    half = all(spec.dtype != "float64" for spec in model.layout.inputs)
    points = x.to(torch.float32).to(torch.float64) if half else x.to(torch.float64)
    ours = model.graph(points)
    worst = 0.0
    for point, found in zip(points, ours, strict=True):
        theirs = torch.tensor(runner(point.tolist()), dtype=torch.float64)
        scale = max(float(theirs.abs().max()), 1e-12)
        worst = max(worst, float((found - theirs).abs().max()) / scale)
    return worst
