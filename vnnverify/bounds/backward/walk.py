# SPDX-License-Identifier: Apache-2.0
"""The walk of rows from the outputs of a graph to its inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import prod

import torch
from torch import Tensor

from vnnverify.bounds.backward import patches
from vnnverify.bounds.backward.joint import add_joint_rows
from vnnverify.bounds.backward.patches import Patches
from vnnverify.bounds.backward.rows import Linear, Rows
from vnnverify.bounds.backward.rules import domain
from vnnverify.bounds.rounding import long_sum, split_error, sum_error
from vnnverify.bounds.state import State
from vnnverify.ir import Elementwise, Graph, Node, Value, flat
from vnnverify.numerics import gamma, relative_error
from vnnverify.ops.arrangement import Reshape, Select, Transpose
from vnnverify.ops.conv import Conv
from vnnverify.ops.piecewise import Relu
from vnnverify.query import Region

__all__ = ["lower_bounds"]


def lower_bounds(
    graph: Graph,
    state: State,
    start: Mapping[Value, Tensor | Patches],
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
        ends_only: nobody asks for A: where patches reach the inputs they are evaluated as they are, and what
            they hold is missing in A. Only over boxes.
    """
    pending = dict(start)
    error = torch.zeros_like(const)
    u = relative_error(const.dtype)
    widest = 1
    ends_only = ends_only and state.region is None  # patches over inputs are evaluated over boxes
    inputs = _rearranged_inputs(graph) if ends_only else frozenset()
    least = torch.zeros_like(const)  # of patches over inputs
    alone = not state.multiplier and not state.joint
    look = trace is None and alone  # whether whole rows may turn out to be patches
    for node in reversed(graph.nodes):
        coefficients = pending.pop(node.output, None)
        if coefficients is None:
            continue
        if look and isinstance(coefficients, Tensor) and _is_large_image(node):
            zeros_count = state.differentiated and coefficients.requires_grad  # they have gradients too
            narrow = None if zeros_count else patches.narrowed(coefficients, rows.boxes(coefficients.device))
            look = narrow is not None
            coefficients = coefficients if narrow is None else narrow
        widest = max(widest, _numbers(coefficients))
        if isinstance(coefficients, Patches) and node.output in inputs:
            part, more = coefficients.least(*state.interval[node.output])
            least, error = least + part, error + more
            continue
        back, add, loss = _step(coefficients, node, rows, state, trace)
        if loss is not None:
            error = error + loss
        if add is not None:
            const = const + add
            error = error + u * const.abs()
        for value, over in zip(node.inputs, back, strict=True):
            if over is None:
                continue
            if value in pending:
                size = flat(state.magnitude(value)).amax(dim=0)
                pending[value] = both = _added(pending[value], over)
                sizes = both.loss(size) if isinstance(both, Patches) else flat(both).abs() @ size
                error = error + u * sizes
            else:
                pending[value] = over
    left = {v: c for v, c in pending.items() if not (ends_only and isinstance(c, Patches))}
    for value, coefficients in pending.items():
        if isinstance(coefficients, Patches) and value not in left:
            part, loss = coefficients.least(*state.interval[value])
            least, error = least + part, error + loss
    A = _over_inputs(graph, left, const) if left or not ends_only else const.new_zeros(len(const), 0)
    return _concretize(A, const, least, error, rows, state, max(widest, A.shape[1]))


def _over_inputs(graph: Graph, rows: Mapping[Value, Tensor | Patches], const: Tensor) -> Tensor:
    """Whole rows over all inputs: (R, n)."""
    whole = {v: c.dense() if isinstance(c, Patches) else c for v, c in rows.items()}
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


def _numbers(rows: Tensor | Patches) -> int:
    """Numbers of one row."""
    data = rows.data if isinstance(rows, Patches) else rows
    return prod(data.shape[1:])


def _step(
    coefficients: Tensor | Patches, node: Node, rows: Rows, state: State, trace: dict[Node, Tensor] | None
) -> tuple[tuple[Tensor | Patches | None, ...], Tensor | None, Tensor | None]:
    """Rows over a node's inputs, what is added to their constants, and what roundings cost (R,)."""
    if isinstance(coefficients, Patches):
        alone = node not in state.multiplier and node not in state.joint
        if trace is None and alone and coefficients.small():
            found = patches.step(coefficients, node, state)
            if found is not None:
                return found
        coefficients = coefficients.dense()
    if trace is not None and isinstance(node.op, Elementwise):
        trace[node] = coefficients
    if node in state.joint:
        coefficients, over, extra, more = add_joint_rows(state.joint[node], coefficients, node, rows, state)
    back, add = domain.rule_for(node)(node.op, coefficients, node, rows, state)
    loss = flat(coefficients).abs() @ state.error[node] if node in state.error else None
    if node in state.joint:
        part = back[0]
        assert part is not None
        size = flat(state.magnitude(node.inputs[0])).amax(dim=0)
        more = more + 2 * relative_error(part.dtype) * (flat(part).abs() @ size + extra.abs())
        back, add = (part + over,), extra if add is None else add + extra
        loss = more if loss is None else loss + more
    if node in state.multiplier:
        back, add, more = _lagrange(back, add, node, rows, state)
        loss = more if loss is None else loss + more
    elif state.row_slopes is not None and isinstance(node.op, Relu):
        taken = state.row_slopes.multiplier(node.output, coefficients)
        if taken is not None:
            size = rows.spread(state.magnitude(node.inputs[0])).expand_as(rows.group(taken))
            part = back[0]
            assert part is not None
            more = split_error(part, taken, size.reshape(taken.shape))
            back, loss = (part - taken,), more if loss is None else loss + more
    return back, add, loss


def _is_large_image(node: Node) -> bool:
    shape = node.output.shape
    return (
        isinstance(node.op, Conv) and patches.is_image(shape) and shape[2] * shape[3] >= patches.SMALL_IMAGE
    )


def _added(a: Tensor | Patches, b: Tensor | Patches) -> Tensor | Patches:
    if isinstance(a, Patches) and isinstance(b, Patches):
        both = patches.added(a, b)
        if both is not None:
            return both
    return (a.dense() if isinstance(a, Patches) else a) + (b.dense() if isinstance(b, Patches) else b)


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
    added = flat(beta.clamp(min=0) * lower + beta.clamp(max=0) * upper).sum(dim=1)
    u = relative_error(add.dtype)
    loss = u * (flat(shifted.abs() * rows.spread(size)).reshape(add.shape[0], -1).sum(dim=1))
    loss = loss * (1 + 2 * gamma(node.output.size, add.dtype)) + u * add.abs()
    more = gamma(node.output.size + 4, add.dtype) * flat(beta.abs() * size).sum(dim=1)
    added_rows = rows.spread(added).expand(rows.group(add).shape).reshape(-1)
    more_rows = rows.spread(more).expand(rows.group(add).shape).reshape(-1)
    return (shifted.reshape(part.shape),), add + added_rows, loss + more_rows


def _concretize(
    A: Tensor, const: Tensor, least: Tensor, error: Tensor, rows: Rows, state: State, widest: int
) -> Linear:
    """min of A x over the box, beside what patches have come to: positive slopes at its lower end, negative
    at its upper end. The errors are sums of at most `widest` terms, rounded themselves, and constants where
    gradients are asked for."""
    if state.region is not None:
        return _least_in_region(A, const, error, rows, state.region, widest)
    n = A.shape[1]
    g = sum_error(n + 4, A.dtype)
    error = error + g * const.abs()
    if n:
        size = torch.maximum(state.lower.abs(), state.upper.abs()).amax(dim=0)
        error = error + g * (A.abs() @ size)
        grouped = rows.group(A)
        ends = torch.where(grouped > 0, rows.spread(state.lower), rows.spread(state.upper))
        least = least + long_sum((grouped * ends).reshape(A.shape))
    error = (error * (1 + 2 * gamma(widest, A.dtype))).detach()
    c = const - error
    lower = least + c
    return Linear(A, c, torch.where(torch.isfinite(lower), lower, -float("inf")), error, widest)


def _least_in_region(
    A: Tensor, const: Tensor, error: Tensor, rows: Rows, region: Region, widest: int
) -> Linear:
    """min of A x over a region that is no box: the region knows it, and has rounded it."""
    here = region if rows.box is None else region.take(rows.box)
    found = here.least(rows.group(A) if rows.box is None else A[:, None])  # rows (B, S, n)
    u = relative_error(A.dtype)
    error = ((error + 4 * u * const.abs()) * (1 + 2 * gamma(widest, A.dtype))).detach()
    c = const - error
    lower = found.value.reshape(-1) + c
    lower = lower - 2 * u * lower.detach().abs()
    return Linear(
        A,
        c,
        torch.where(torch.isfinite(lower), lower, -float("inf")),
        error + found.error.reshape(-1),
        widest,
    )
