# SPDX-License-Identifier: Apache-2.0
"""Backward linear bounds (CROWN, DeepPoly): a row over some value is rewritten, node by node, into a
row over the inputs that is nowhere larger.

    Λ z + c  >=  Λ' x + c' − error      for all x in the row's box

Every row belongs to one box of the batch and brings its own running bound of the rounding error.

Source: Zhang et al., arXiv:1811.00866; Singh et al., POPL 2019 (DeepPoly).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from vnnverify.domains import Domain
from vnnverify.ir import Affine, Elementwise, Enclosed, Graph, Maximum, Node, Value, flat
from vnnverify.numerics import gamma, unit_roundoff
from vnnverify.ops.arrangement import Reshape, Select, Transpose
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.conv import Conv
from vnnverify.ops.piecewise import Relu
from vnnverify_bound_propagation import windows
from vnnverify_bound_propagation.state import State, long_sum, split_error, sum_error
from vnnverify_bound_propagation.windows import Window

__all__ = ["Linear", "Rows", "domain", "lower_bounds"]

domain: Domain[Tensor] = Domain("backward linear bounds")


@dataclass(slots=True)
class Rows:
    """Which box each of R rows belongs to. Either `box` says it, or each box owns `per_box` rows in turn."""

    count: int
    box: Tensor | None = None  # (R,)
    per_box: int = 0

    def group(self, rows: Tensor) -> Tensor:
        """Rows (R, *shape) in the layout that `spread` broadcasts against."""
        return rows if self.box is not None else rows.reshape(-1, self.per_box, *rows.shape[1:])

    def boxes(self, device: torch.device) -> Tensor:
        """The box of each row: (R,)."""
        if self.box is not None:
            return self.box
        return torch.arange(self.count, device=device) // self.per_box

    def spread(self, t: Tensor) -> Tensor:
        """Per-box data (B, *shape) for every row, as a view where possible."""
        return t[self.box] if self.box is not None else t[:, None]


@dataclass(frozen=True, slots=True)
class Linear:
    """Linear lower bounds A x + c of R rows over their boxes, and what they come to."""

    A: Tensor  # (R, n)
    c: Tensor  # (R,) rounding error already subtracted
    lower: Tensor  # (R,) sound lower bound over the box
    error: Tensor  # (R,) the rounding error allowed for
    widest: int  # numbers that a row has had at most on the way


def lower_bounds(
    graph: Graph,
    state: State,
    start: Mapping[Value, Tensor | Window],
    rows: Rows,
    const: Tensor,
    trace: dict[Node, Tensor] | None = None,
    *,
    ends_only: bool = False,
) -> Linear:
    """Lower bounds of Σ_v start[v]·v + const over each row's box.

    `graph` must be prepared for `domain`, and `state` must know every node below the start values.

    Args:
        start: coefficients (R, *shape) over some values of the graph.
        rows: the boxes the rows belong to.
        const: (R,) constant terms.
        trace: if given, receives the coefficients (R, *shape) that arrive at each elementwise node.
        ends_only: nobody asks for A: where windows reach the inputs they are evaluated as they are, and what
            they hold is missing in A.
    """
    pending = dict(start)
    error = torch.zeros_like(const)
    u = unit_roundoff(const.dtype)
    widest = 1
    inputs = _rearranged_inputs(graph) if ends_only else frozenset()
    least = torch.zeros_like(const)  # of windows over inputs
    look = trace is None and not state.multiplier  # whether whole rows may turn out to be windows
    for node in reversed(graph.nodes):
        coefficients = pending.pop(node.output, None)
        if coefficients is None:
            continue
        if look and isinstance(coefficients, Tensor) and _is_large_image(node):
            narrow = windows.narrowed(coefficients, rows.boxes(coefficients.device))
            look = narrow is not None
            coefficients = coefficients if narrow is None else narrow
        widest = max(widest, _numbers(coefficients))
        if isinstance(coefficients, Window) and node.output in inputs:
            part, loss = coefficients.least(*state.interval[node.output])
            least, error = least + part, error + loss
            continue
        back, add, loss = _step(coefficients, node, rows, state, trace)
        if loss is not None:
            error = error + loss
        if add is not None:
            const = const + add
            error = error + u * const.abs()
        for value, part in zip(node.inputs, back, strict=True):
            if part is None:
                continue
            if value in pending:
                size = flat(state.magnitude(value)).amax(dim=0)
                pending[value] = part = _added(pending[value], part)
                more = part.loss(size) if isinstance(part, Window) else flat(part).abs() @ size
                error = error + u * more
            else:
                pending[value] = part
    left = {v: c for v, c in pending.items() if not (ends_only and isinstance(c, Window))}
    for value, coefficients in pending.items():
        if isinstance(coefficients, Window) and value not in left:
            part, loss = coefficients.least(*state.interval[value])
            least, error = least + part, error + loss
    A = _over_inputs(graph, left, const) if left or not ends_only else const.new_zeros(len(const), 0)
    return _concretize(A, const, least, error, rows, state, max(widest, A.shape[1]))


def _over_inputs(graph: Graph, rows: Mapping[Value, Tensor | Window], const: Tensor) -> Tensor:
    """Whole rows over all inputs: (R, n)."""
    whole = {v: c.dense() if isinstance(c, Window) else c for v, c in rows.items()}
    zero = const.new_zeros(len(const), 1)
    return torch.cat([flat(whole[v]) if v in whole else zero.expand(-1, v.size) for v in graph.inputs], 1)


def _rearranged_inputs(graph: Graph) -> frozenset[Value]:
    """Values that hold each input at most once, and that alone reach all that depends on these: bounds of
    them are as good as bounds of the inputs."""
    users = Counter(v for node in graph.nodes for v in set(node.inputs))
    found = set(graph.inputs)
    for node in graph.nodes:
        (first,) = node.inputs if len(node.inputs) == 1 else (None,)
        moved = isinstance(node.op, Reshape | Transpose | Select) and node.op.fan_out == 0
        if moved and first in found and users[first] == 1:
            found.add(node.output)
    return frozenset(found)


def _numbers(rows: Tensor | Window) -> int:
    """Numbers of one row."""
    data = rows.data if isinstance(rows, Window) else rows
    return prod(data.shape[1:])


def _step(
    coefficients: Tensor | Window, node: Node, rows: Rows, state: State, trace: dict[Node, Tensor] | None
) -> tuple[tuple[Tensor | Window | None, ...], Tensor | None, Tensor | None]:
    """Rows over a node's inputs, what is added to their constants, and what roundings cost (R,)."""
    if isinstance(coefficients, Window):
        if trace is None and node not in state.multiplier and coefficients.small():
            found = windows.step(coefficients, node, state)
            if found is not None:
                return found
        coefficients = coefficients.dense()
    if trace is not None and isinstance(node.op, Elementwise):
        trace[node] = coefficients
    back, add = domain.rule_for(node)(node.op, coefficients, node, rows, state)
    loss = flat(coefficients).abs() @ state.error[node] if node in state.error else None
    if node in state.multiplier:
        back, add, more = _lagrange(back, add, node, rows, state)
        loss = more if loss is None else loss + more
    elif state.row_slopes is not None and isinstance(node.op, Relu):
        taken = state.row_slopes.multiplier(node.output, coefficients)
        if taken is not None:
            size = rows.spread(state.magnitude(node.inputs[0])).expand_as(rows.group(taken))
            more = split_error(back[0], taken, size.reshape(taken.shape))
            back, loss = (back[0] - taken,), more if loss is None else loss + more
    return back, add, loss


def _is_large_image(node: Node) -> bool:
    shape = node.output.shape
    return (
        isinstance(node.op, Conv) and windows.is_image(shape) and shape[2] * shape[3] >= windows.SMALL_IMAGE
    )


def _added(a: Tensor | Window, b: Tensor | Window) -> Tensor | Window:
    if isinstance(a, Window) and isinstance(b, Window):
        both = windows.added(a, b)
        if both is not None:
            return both
    return (a.dense() if isinstance(a, Window) else a) + (b.dense() if isinstance(b, Window) else b)


def _lagrange(
    back: tuple[Tensor | None, ...], add: Tensor | None, node: Node, rows: Rows, state: State
) -> tuple[tuple[Tensor | None, ...], Tensor, Tensor]:
    """−β⁺ (z − lower) − β⁻ (z − upper) added to a row, which only lowers it where lower <= z <= upper."""
    beta = state.multiplier[node]
    lower, upper = state.interval[node.inputs[0]]
    part = back[0]
    assert part is not None and add is not None
    shifted = rows.group(part) - rows.spread(beta)
    size = torch.maximum(lower.abs(), upper.abs())
    worth = flat(beta.clamp(min=0) * lower + beta.clamp(max=0) * upper).sum(dim=1)
    u = unit_roundoff(add.dtype)
    loss = u * (flat(shifted.abs() * rows.spread(size)).reshape(add.shape[0], -1).sum(dim=1))
    loss = loss * (1 + 2 * gamma(node.output.size, add.dtype)) + u * add.abs()
    more = gamma(node.output.size + 4, add.dtype) * flat(beta.abs() * size).sum(dim=1)
    worth_rows = rows.spread(worth).expand(rows.group(add).shape).reshape(-1)
    more_rows = rows.spread(more).expand(rows.group(add).shape).reshape(-1)
    return (shifted.reshape(part.shape),), add + worth_rows, loss + more_rows


def _concretize(
    A: Tensor, const: Tensor, least: Tensor, error: Tensor, rows: Rows, state: State, widest: int
) -> Linear:
    """min of A x over the box, beside what windows have come to: positive slopes at its lower end, negative
    at its upper end. The errors are sums of at most `widest` terms, and rounded themselves."""
    n = A.shape[1]
    g = sum_error(n + 4, A.dtype)
    error = error + g * const.abs()
    if n:
        size = torch.maximum(state.lower.abs(), state.upper.abs()).amax(dim=0)
        error = error + g * (A.abs() @ size)
        grouped = rows.group(A)
        ends = torch.where(grouped > 0, rows.spread(state.lower), rows.spread(state.upper))
        least = least + long_sum((grouped * ends).reshape(A.shape))
    error = error * (1 + 2 * gamma(widest, A.dtype))
    c = const - error
    lower = least + c
    return Linear(A, c, torch.where(torch.isfinite(lower), lower, -float("inf")), error, widest)


@domain.rule(Affine)
def _affine(
    op: Affine, coefficients: Tensor, node: Node, rows: Rows, state: State
) -> tuple[tuple[Tensor | None, ...], Tensor | None]:
    add = None
    offset = state.offset(op)
    if not node.inputs:
        return (), None if state.centre else long_sum(coefficients * op()[0])
    if offset is not None:
        add = long_sum(coefficients * offset)
    return op.adjoint(coefficients, *(v.shape for v in node.inputs)), add


@domain.rule(Elementwise)
def _elementwise(
    op: Elementwise, coefficients: Tensor, node: Node, rows: Rows, state: State
) -> tuple[tuple[Tensor | None, ...], Tensor | None]:
    """A positive coefficient takes the line below, a negative one the line above."""
    lines = state.lines[node]
    grouped = rows.group(coefficients)
    positive, negative = grouped.clamp(min=0), grouped.clamp(max=0)
    back = positive * rows.spread(lines.below_slope) + negative * rows.spread(lines.above_slope)
    add = positive * rows.spread(lines.below_offset) + negative * rows.spread(lines.above_offset)
    return (back.reshape(coefficients.shape),), long_sum(add.reshape(coefficients.shape))


@domain.rule(Relu)
def _relu(
    op: Relu, coefficients: Tensor, node: Node, rows: Rows, state: State
) -> tuple[tuple[Tensor | None, ...], Tensor | None]:
    """As above, knowing that the line below goes through the origin."""
    if state.centre and bool(state.lines[node].below_offset.any()):
        return _elementwise(op, coefficients, node, rows, state)
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
    positive, negative = grouped.clamp(min=0), grouped.clamp(max=0)
    add = long_sum((negative * above_offset).reshape(coefficients.shape))
    back = torch.addcmul(positive * below, negative, above)
    return (back.reshape(coefficients.shape),), add


@domain.rule(Maximum)
def _maximum(
    op: Maximum, coefficients: Tensor, node: Node, rows: Rows, state: State
) -> tuple[tuple[Tensor | None, ...], Tensor | None]:
    """Below: the member with the largest lower bound. Above: that member if it beats all others,
    else the constant max of the upper bounds."""
    index, wins, floor, ceiling = state.chosen(node, op)
    grouped = rows.group(flat(coefficients))
    positive, negative = grouped.clamp(min=0), grouped.clamp(max=0)
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
def _product(
    op: Mul, coefficients: Tensor, node: Node, rows: Rows, state: State
) -> tuple[tuple[Tensor | None, ...], Tensor | None]:
    """A positive coefficient takes the plane below, a negative one the plane above."""
    planes = state.planes[node]
    grouped = rows.group(coefficients)
    positive, negative = grouped.clamp(min=0), grouped.clamp(max=0)

    def along(below: Tensor, above: Tensor) -> Tensor:
        return (positive * rows.spread(below) + negative * rows.spread(above)).reshape(coefficients.shape)

    back = along(planes.below_x, planes.above_x), along(planes.below_y, planes.above_y)
    return back, long_sum(along(planes.below_offset, planes.above_offset))


@domain.rule(Enclosed)
def _enclosed(
    op: Enclosed, coefficients: Tensor, node: Node, rows: Rows, state: State
) -> tuple[tuple[Tensor | None, ...], Tensor | None]:
    """Constant bounds: the value's interval."""
    lower, upper = state.interval[node.output]
    grouped = rows.group(coefficients)
    add = grouped.clamp(min=0) * rows.spread(lower) + grouped.clamp(max=0) * rows.spread(upper)
    return (None,) * len(node.inputs), long_sum(add.reshape(coefficients.shape))
