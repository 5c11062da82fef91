# SPDX-License-Identifier: Apache-2.0
"""How rows over a node's output become rows over its inputs: one rule for each trait."""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.bounds.backward.rows import Rows, by_sign
from vnnverify.bounds.rounding import long_sum
from vnnverify.bounds.state import State
from vnnverify.domains import Domain
from vnnverify.ir import Affine, Elementwise, Enclosed, Maximum, Node, flat
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.piecewise import Relu

__all__ = ["domain"]

Step = tuple[tuple[Tensor | None, ...], Tensor | None]
"""Rows over the inputs of a node, None where an input has no part in it, and what is added to their constants
(R,)."""

domain: Domain[[Tensor, Node, Rows, State], Step] = Domain("backward linear bounds")


@domain.rule(Affine)
def _affine(op: Affine, coefficients: Tensor, node: Node, rows: Rows, state: State) -> Step:
    add = None
    offset = state.offset(op)
    if not node.inputs:
        return (), None if state.centre else long_sum(coefficients * op()[0])
    if offset is not None:
        add = long_sum(coefficients * offset)
    return op.adjoint(coefficients, *(v.shape for v in node.inputs)), add


@domain.rule(Elementwise)
def _elementwise(op: Elementwise, coefficients: Tensor, node: Node, rows: Rows, state: State) -> Step:
    return _along_lines(coefficients, node, rows, state)


def _along_lines(coefficients: Tensor, node: Node, rows: Rows, state: State) -> Step:
    """A positive coefficient takes the line below, a negative one the line above."""
    lines = state.lines[node]
    grouped = rows.group(coefficients)
    positive, negative = by_sign(grouped)
    back = positive * rows.spread(lines.below_slope) + negative * rows.spread(lines.above_slope)
    add = positive * rows.spread(lines.below_offset) + negative * rows.spread(lines.above_offset)
    return (back.reshape(coefficients.shape),), long_sum(add.reshape(coefficients.shape))


@domain.rule(Relu)
def _relu(op: Relu, coefficients: Tensor, node: Node, rows: Rows, state: State) -> Step:
    """As above, with less work where the lines below go through the origin."""
    if bool(state.lines[node].below_offset.any()):
        return _along_lines(coefficients, node, rows, state)
    lines = state.lines[node]
    grouped = rows.group(coefficients)
    below, above = rows.spread(lines.below_slope), rows.spread(lines.above_slope)
    above_offset = rows.spread(lines.above_offset)
    if state.row_slopes is not None:
        lines_of_rows = (
            t.expand_as(grouped).reshape(coefficients.shape) for t in (below, above, above_offset)
        )
        below, above, above_offset = state.row_slopes.of(node.output, coefficients, *lines_of_rows)
        grouped = coefficients
    positive, negative = by_sign(grouped)
    add = long_sum((negative * above_offset).reshape(coefficients.shape))
    back = torch.addcmul(positive * below, negative, above)
    return (back.reshape(coefficients.shape),), add


@domain.rule(Maximum)
def _maximum(op: Maximum, coefficients: Tensor, node: Node, rows: Rows, state: State) -> Step:
    """Below: the member with the largest lower bound. Above: that member if it beats all others,
    else the constant max of the upper bounds."""
    index, wins, floor, ceiling = state.chosen(node, op)
    grouped = rows.group(flat(coefficients))
    positive, negative = by_sign(grouped)
    kept = positive + negative * rows.spread(wins.to(grouped.dtype))
    added = positive * rows.spread(floor) + negative * rows.spread(ceiling)
    add = long_sum(added.reshape(coefficients.shape))
    total = sum(v.size for v in node.inputs)
    joined = coefficients.new_zeros(coefficients.shape[0], total)
    target = rows.spread(index).expand(kept.shape).reshape(coefficients.shape[0], -1)
    joined.scatter_add_(1, target, kept.reshape(coefficients.shape[0], -1))
    parts = torch.split(joined, [v.size for v in node.inputs], dim=1)
    return tuple(p.reshape(-1, *v.shape) for p, v in zip(parts, node.inputs, strict=True)), add


@domain.rule(Mul)
def _product(op: Mul, coefficients: Tensor, node: Node, rows: Rows, state: State) -> Step:
    """A positive coefficient takes the plane below, a negative one the plane above."""
    planes = state.planes[node]
    grouped = rows.group(coefficients)
    positive, negative = by_sign(grouped)

    def along(below: Tensor, above: Tensor) -> Tensor:
        return (positive * rows.spread(below) + negative * rows.spread(above)).reshape(coefficients.shape)

    back = along(planes.below_x, planes.above_x), along(planes.below_y, planes.above_y)
    return back, long_sum(along(planes.below_offset, planes.above_offset))


@domain.rule(Enclosed)
def _enclosed(op: Enclosed, coefficients: Tensor, node: Node, rows: Rows, state: State) -> Step:
    """Constant bounds: the value's interval."""
    lower, upper = state.interval[node.output]
    grouped = rows.group(coefficients)
    positive, negative = by_sign(grouped)
    add = positive * rows.spread(lower) + negative * rows.spread(upper)
    return (None,) * len(node.inputs), long_sum(add.reshape(coefficients.shape))
