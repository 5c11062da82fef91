# SPDX-License-Identifier: Apache-2.0
"""Rows of a specification as rows over the outputs of a graph, and their bounds."""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.bounds.backward.rows import Linear, Rows
from vnnverify.bounds.backward.walk import lower_bounds
from vnnverify.bounds.specification import Specification
from vnnverify.bounds.state import State
from vnnverify.ir import Graph, Node, Value, flat
from vnnverify.numerics import relative_error

__all__ = ["margin_bounds", "margin_rows", "output_rows"]


def output_rows(graph: Graph, C: Tensor) -> dict[Value, Tensor]:
    """Rows C (R, m) over the joined outputs as coefficients (R, *shape) of each output."""
    rows: dict[Value, Tensor] = {}
    at = 0
    for value in graph.outputs:
        part = C[:, at : at + value.size].reshape(-1, *value.shape)
        rows[value] = rows[value] + part if value in rows else part
        at += value.size
    return rows


def margin_rows(graph: Graph, state: State, C: Tensor, d: Tensor) -> tuple[dict[Value, Tensor], Tensor]:
    """Coefficients of C y − d over each output, for rows C (R, m) with offsets d (R,), and the constants
    (R,), less what rounding C and d to their type has cost."""
    size = torch.cat([flat(state.magnitude(v)) for v in graph.outputs], 1).amax(dim=0)
    u = relative_error(C.dtype)
    return output_rows(graph, C), -d - u * (C.abs() @ size) - u * d.abs()


def margin_bounds(
    graph: Graph,
    state: State,
    spec: Specification,
    at_once: int | None = None,
    trace: dict[Node, Tensor] | None = None,
) -> Linear:
    """Linear lower bounds of the margins of `spec`: B boxes × S rows, box-major.

    Args:
        at_once: rows of one pass; None: all.
        trace: see `lower_bounds`; for one pass only.
    """
    B, S, m = spec.C.shape
    C, d = spec.C.reshape(B * S, m), spec.d.reshape(-1)
    if at_once is None or at_once >= B * S:
        start, const = margin_rows(graph, state, C, d)
        return lower_bounds(graph, state, start, Rows(B * S, per_box=S), const, trace)
    box = torch.arange(B, device=C.device).repeat_interleave(S)
    parts = []
    for rows in torch.split(torch.arange(B * S, device=C.device), at_once):
        start, const = margin_rows(graph, state, C[rows], d[rows])
        parts.append(lower_bounds(graph, state, start, Rows(rows.numel(), box=box[rows]), const))
    return Linear.joined(parts)
