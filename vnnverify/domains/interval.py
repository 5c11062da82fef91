# SPDX-License-Identifier: Apache-2.0
"""The interval domain: one lower and one upper bound per element, rounded outward.

The table below is the domain. An element is a pair (lower, upper), each (batch, *shape).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

from vnnverify.domains import products, relaxation
from vnnverify.domains.domain import Domain, propagate
from vnnverify.errors import UnsupportedOperator
from vnnverify.ir.graph import Graph, Node, Value
from vnnverify.ir.op import Affine, Elementwise, Enclosed, Maximum, flat
from vnnverify.numerics import (
    gamma,
    lower_as,
    product_and_error,
    round_down,
    round_up,
    rounded_outward,
    sum_and_error,
    upper_as,
)
from vnnverify.ops.bilinear import MatMul, Mul
from vnnverify.ops.choice import Choice
from vnnverify.ops.scale import Scale
from vnnverify.ops.sums import ReduceSum, Sum
from vnnverify.query import Region
from vnnverify.verdict import Support

__all__ = ["Interval", "bounds", "bounds_of_values", "domain", "supports"]

Interval = tuple[Tensor, Tensor]
domain: Domain[[Sequence[Interval], Node], Interval] = Domain("interval")


@domain.rule(Affine)
def _affine(op: Affine, inputs: Sequence[Interval], node: Node) -> Interval:
    """W c + b ± |W| r for boxes c ± r, plus gamma·(|W||x| + |b|) for the rounding of both."""
    if not inputs:
        z = op()
        return z, z
    if op.fan_in == 0:
        return op(*(lower for lower, _ in inputs)), op(*(upper for _, upper in inputs))
    g = gamma(op.fan_in, inputs[0][0].dtype)
    centres, radii = [], []
    for lower, upper in inputs:
        c = (lower + upper) / 2
        r = round_up(torch.maximum(upper - c, c - lower))
        centres.append(c)
        radii.append(r + g * (c.abs() + r) if g else r)
    z = op(*centres)
    radius = op.magnitude(*radii)
    if g:
        radius = radius * (1 + 2 * g)
    if g and op.offset is not None:
        radius = radius + g * op.offset.abs()
    lost = ~torch.isfinite(z)  # a sum that overflows on the way is not as large as that
    low, high = round_down(z - radius), round_up(z + radius)
    known = _without_nan(low.masked_fill(lost, -torch.inf), high.masked_fill(lost, torch.inf))
    return _beyond_zero(op, inputs, *known)


def _beyond_zero(op: Affine, inputs: Sequence[Interval], lower: Tensor, upper: Tensor) -> Interval:
    """The bounds, cut at zero where no term of a sum is below it, or none above: an offset and products of
    values with weights that are >= 0. Roundings of a sum may cross zero, its exact value cannot."""
    increasing = op.increasing
    if not torch.as_tensor(increasing).any():
        return lower, upper
    for end, bound in enumerate((lower, upper)):
        sign = 1 - 2 * end
        settled = reduce(torch.minimum, ((sign * flat(pair[end])).amin(dim=1) for pair in inputs)) >= 0
        if not bool(settled.any()):
            continue
        cut = settled.reshape(-1, *(1,) * (bound.dim() - 1))
        cut = cut & torch.as_tensor(increasing, device=bound.device)
        if op.offset is not None:
            cut = cut & _has_sign(op.offset, sign)
        if sign > 0:
            lower = torch.where(cut, lower.clamp(min=0), lower)
        else:
            upper = torch.where(cut, upper.clamp(max=0), upper)
    return lower, upper


def _has_sign(offset: Tensor, sign: int) -> Tensor:
    """Where an offset is >= 0, or <= 0 for a negative sign, before it was cast to float32: what is zero
    there may have been a smaller number of the sign that the zero has."""
    if offset.dtype == torch.float64:
        return sign * offset >= 0
    return torch.signbit(offset) if sign < 0 else ~torch.signbit(offset)


@domain.rule(Scale, Sum, ReduceSum)
def _end_by_end(op: Scale | Sum | ReduceSum, inputs: Sequence[Interval], node: Node) -> Interval:
    """Each end of the result comes from one end of each input, so that one infinite end leaves the other.

    An end that is computed without rounding, or by a rounding that has moved it outward, stays where it is:
    so zero, and where a function such as a ReLU or a Clip ends, are passed on exactly by shifts, by factors
    such as −1 and by differences. Otherwise it is moved by the bound of all roundings.
    """
    least, most = zip(*(_ends_for(op, k, pair) for k, pair in enumerate(inputs)), strict=True)
    if not rounded_outward():
        return _without_nan(op(*least), op(*most))
    g = gamma(op.fan_in, least[0].dtype)
    sizes = (op.magnitude(*(x.abs() for x in ends)) for ends in (least, most))
    add = 0.0 if op.offset is None else op.offset.abs()
    error_low, error_high = (g * (size + add) * (1 + 2 * g) for size in sizes)
    low, high = op(*least), op(*most)
    low, high = low.masked_fill(low == torch.inf, -torch.inf), high.masked_fill(high == -torch.inf, torch.inf)
    lower, upper = round_down(low - error_low), round_up(high + error_high)
    exact_low, exact_high = _with_error(op, least), _with_error(op, most)
    if exact_low is not None and exact_high is not None:
        lower = torch.where(exact_low[1] >= 0, exact_low[0], lower)
        upper = torch.where(exact_high[1] <= 0, exact_high[0], upper)
    return _beyond_zero(op, inputs, *_without_nan(lower, upper))


def _with_error(op: Scale | Sum | ReduceSum, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor] | None:
    """The operator's value in float64, and a number with the sign of what the exact value is beyond it, NaN
    where that is not known. None where constants are rounded: those of a `Scale` that says so, and all in
    float32."""
    if inputs[0].dtype != torch.float64:
        return None
    if isinstance(op, Sum):
        total = inputs[0] if op.signs[0] > 0 else -inputs[0]
        error = torch.zeros_like(total)
        for sign, x in zip(op.signs[1:], inputs[1:], strict=True):
            total, more = sum_and_error(total, x if sign > 0 else -x)
            error = _same_sign(error, more)
        return total, error
    if isinstance(op, Scale) and op.source is None:
        (total,) = inputs
        error = torch.zeros_like(total)
        if op.scale is not None:
            total, error = product_and_error(total, op.scale.expand_as(total))
        if op.shift is not None:
            total, more = sum_and_error(total, op.shift.expand_as(total))
            error = _same_sign(error, more)
        return total, error
    return None


def _same_sign(a: Tensor, b: Tensor) -> Tensor:
    """A number with the sign of both, which one of them may lack; NaN where they contradict each other."""
    return torch.where(torch.sign(a) * torch.sign(b) < 0, float("nan"), a + b)


def _ends_for(op: Scale | Sum | ReduceSum, index: int, pair: Interval) -> Interval:
    """The ends of input `index` that make the result least and most."""
    lower, upper = pair
    match op:
        case Scale(scale=scale):
            if scale is None:
                return lower, upper
            return torch.where(scale >= 0, lower, upper), torch.where(scale >= 0, upper, lower)
        case Sum(signs=signs):
            falling = signs[index] < 0
        case ReduceSum(factor=factor):
            falling = factor < 0
    return (upper, lower) if falling else (lower, upper)


@domain.rule(Elementwise)
def _elementwise(op: Elementwise, inputs: Sequence[Interval], node: Node) -> Interval:
    return relaxation.value_range(op, *inputs[0])


@domain.rule(Maximum)
def _maximum(op: Maximum, inputs: Sequence[Interval], node: Node) -> Interval:
    """The maximum is monotone: the largest lower and the largest upper bound of each group."""
    groups = op.groups(*(tuple(lower.shape[1:]) for lower, _ in inputs))
    ends = (torch.cat([flat(pair[end]) for pair in inputs], dim=1) for end in (0, 1))
    lower, upper = (flat[:, groups].amax(dim=2).reshape(-1, *node.output.shape) for flat in ends)
    return lower, upper


@domain.rule(Mul)
def _product(op: Mul, inputs: Sequence[Interval], node: Node) -> Interval:
    if node.inputs[0] is node.inputs[1]:
        return products.square(inputs[0])
    return products.product(*inputs)


@domain.rule(MatMul)
def _matrix_product(op: MatMul, inputs: Sequence[Interval], node: Node) -> Interval:
    return products.matrix_product(*inputs)


@domain.rule(Enclosed)
def _enclosed(op: Enclosed, inputs: Sequence[Interval], node: Node) -> Interval:
    return _without_nan(*op.enclosure(*inputs))


@domain.rule(Choice)
def _choice(op: Choice, inputs: Sequence[Interval], node: Node) -> Interval:
    """The chosen branch where the condition is sure, else both."""
    (least, most), a, b = inputs
    low, high = torch.minimum(a[0], b[0]), torch.maximum(a[1], b[1])
    yes, no = least > 0.5, most <= 0.5
    return (
        torch.where(yes, a[0], torch.where(no, b[0], low)),
        torch.where(yes, a[1], torch.where(no, b[1], high)),
    )


def _without_nan(lower: Tensor, upper: Tensor) -> Interval:
    """NaN (as from ∞ − ∞) means nothing is known."""
    inf = float("inf")
    return torch.nan_to_num(lower, nan=-inf, posinf=inf, neginf=-inf), torch.nan_to_num(
        upper, nan=inf, posinf=inf, neginf=-inf
    )


def supports(graph: Graph) -> Support:
    """Whether intervals can be pushed through every operator of the graph."""
    try:
        domain.prepare(graph)
    except UnsupportedOperator as error:
        return Support.lacking(error)
    return Support.yes()


def bounds_of_values(graph: Graph, lower: Tensor, upper: Tensor) -> dict[Value, Interval]:
    """Bounds (batch, *shape) of every value over the boxes [lower, upper], each (batch, n).

    Raises:
        UnsupportedOperator: an operator has neither an interval rule nor parts.
    """
    lowers, uppers = graph.split_inputs(lower), graph.split_inputs(upper)
    known = {v: (lowers[v], uppers[v]) for v in graph.inputs}
    found = propagate(domain, domain.prepare(graph), known)
    batch = lower.shape[0]
    return {v: (a.expand(batch, *v.shape), b.expand(batch, *v.shape)) for v, (a, b) in found.items()}


def bounds(graph: Graph, region: Region) -> Interval:
    """Bounds (m,) of the flat outputs over a region's box, rounded outward, in the graph's dtype."""
    dtype = graph_dtype(graph)
    lower, upper = lower_as(region.lower, dtype)[None], upper_as(region.upper, dtype)[None]
    found = bounds_of_values(graph, lower, upper)
    ends = ({v: found[v][end] for v in graph.outputs} for end in (0, 1))
    low, high = (graph.join_outputs(values)[0] for values in ends)
    return low, high


def graph_dtype(graph: Graph) -> torch.dtype:
    """The floating-point type of the graph's parameters; float64 if it has none."""
    import dataclasses

    for node in graph.nodes:
        for field in dataclasses.fields(node.op):
            value = getattr(node.op, field.name)
            if isinstance(value, Tensor) and value.is_floating_point():
                return value.dtype
    return torch.float64
