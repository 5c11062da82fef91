# SPDX-License-Identifier: Apache-2.0
"""What the relaxation of each neuron costs the margins: which intermediate bounds are worth time."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.bounds import backward
from vnnverify.bounds.backward.margins import margin_rows
from vnnverify.bounds.state import State, in_type
from vnnverify.ir import Graph, Value, flat
from vnnverify.numerics import subnormals_flushed
from vnnverify.ops.piecewise import Relu

__all__ = ["Margins", "costliest", "relaxation_costs"]


@dataclass(frozen=True, slots=True)
class Margins:
    """Lower bounds A y − b of R rows over their boxes, all of which are wanted."""

    A: Tensor  # (R, m)
    b: Tensor  # (R,)
    box: Tensor  # (R,)


def relaxation_costs(graph: Graph, state: State, margins: Margins) -> dict[Value, Tensor]:
    """What the relaxation of each ReLU costs the margins, (B, size) by its argument: the offset of the
    line above times the coefficients it was multiplied with, which are the derivative."""
    start, const = margin_rows(graph, state, margins.A, margins.b)
    part, fast = in_type(torch.float32, graph, state)
    fast.error = {}
    offsets: dict[Value, Tensor] = {}
    for node, lines in fast.lines.items():
        if isinstance(node.op, Relu):
            offset = lines.above_offset.clone().requires_grad_()
            fast.lines[node] = dataclasses.replace(lines, above_offset=offset)
            offsets[node.inputs[0]] = offset
    if not offsets:
        return {}
    rows = backward.Rows(const.numel(), box=margins.box)
    rough = {v: t.float() for v, t in start.items()}
    with torch.enable_grad(), subnormals_flushed():
        total = backward.lower_bounds(part, fast, rough, rows, const.float(), ends_only=True).lower.sum()
        slopes = torch.autograd.grad(total, list(offsets.values()), allow_unused=True)
    pairs = zip(offsets.items(), slopes, strict=True)
    return {v: flat(-torch.nan_to_num(d * o.detach())) for (v, o), d in pairs if d is not None}


def costliest(cost: Tensor | None, open_: Tensor, part: float) -> Tensor:
    """Those of the open elements (B, size) that cost the margins this part of what all of them do.

    Args:
        cost: of each element (B, size). None: it is not known, and all are taken.
    """
    if cost is None:
        return open_
    cost = cost.masked_fill(~open_, 0.0).clamp(min=0).to(torch.float64)
    ordered = cost.flatten().sort(descending=True).values
    spent = ordered.cumsum(0)
    count = int((spent < part * spent[-1]).sum())
    return open_ & (cost >= ordered[count]) & (cost > 0)
