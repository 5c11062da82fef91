# SPDX-License-Identifier: Apache-2.0
"""Lines below and above a scalar function on an interval, valid as computed.

Everything follows from one fact an operator states: where f(x) − s·x can turn. For a slope s the
extremes of f(x) − s·x over [l, u] lie at the ends or at those points, so the best offsets are a
minimum and a maximum over a few candidates. Slopes may come from anywhere (a heuristic, an
optimiser): only the offsets carry soundness.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

import torch
from torch import Tensor

from vnnverify.ir.op import Elementwise
from vnnverify.numerics import (
    FUNCTION_ULPS,
    lower_as,
    relative_error,
    round_down,
    round_up,
    unit_roundoff,
    upper_as,
)
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.requantized import Lookup, NearestWhole

__all__ = ["Lines", "band", "contact", "lines", "value_range", "with_flat_where_unknown"]


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """below_slope·x + below_offset <= f(x) <= above_slope·x + above_offset, elementwise on [l, u]."""

    below_slope: Tensor
    below_offset: Tensor
    above_slope: Tensor
    above_offset: Tensor


@singledispatch
def band(op: Elementwise, lower: Tensor, upper: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Offsets (low, high) with slope·x + low <= f(x) <= slope·x + high for all x in [lower, upper].

    All tensors have the same shape. low is rounded down and high up by an estimate of the error of
    computing f, the product and the difference, and of placing the turning points.
    """
    u = relative_error(lower.dtype)
    smooth = op.kinks is None
    low = torch.full_like(lower, float("inf"))
    high = torch.full_like(lower, -float("inf"))
    for index, point in enumerate((lower, upper, *_turning_points(op, slope, lower, upper))):
        inside = (point >= lower) & (point <= upper)
        x = torch.where(inside, point, lower)
        f, line = op(x), slope * x
        g = f - line
        slack = u * ((op.ulps + 2) * f.abs() + 3 * line.abs() + op.absolute)
        if smooth and index >= 2:  # the turning point itself is rounded: a second-order error
            slack = slack + FUNCTION_ULPS * u * (1 + f.abs() + line.abs())
            slack = slack + op.curvature / 2 * (FUNCTION_ULPS * u * x).square()
        low = torch.minimum(low, torch.where(inside, g - slack, low))
        high = torch.maximum(high, torch.where(inside, g + slack, high))
        bad = torch.isnan(g) | ~torch.isfinite(slack)
        low, high = low.masked_fill(bad, -float("inf")), high.masked_fill(bad, float("inf"))
    return low, high


def _turning_points(op: Elementwise, slope: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, ...]:
    """The operator's turning points as constants. That is what they are to a gradient: f(x) − slope·x is flat
    there, or the point is a kink, which does not move. What an operator places at an end of the interval, for
    want of a turning point inside, moves with that end."""
    with torch.no_grad():
        points = op.turning_points(slope, lower, upper)
    if op.kinks is not None or not torch.is_grad_enabled():
        return points
    room = 4 * unit_roundoff(lower.dtype) ** 0.5
    if not (lower.requires_grad or upper.requires_grad):
        return points
    moved = [end - end.detach() for end in (lower, upper)]  # zero
    found = []
    for point in points:
        at_lower, at_upper = ((point - end).abs() <= room * (1 + end.abs()) for end in (lower, upper))
        found.append(point + torch.where(at_lower, moved[0], torch.where(at_upper, moved[1], 0)))
    return tuple(found)


def contact(op: Elementwise, lower: Tensor, upper: Tensor, slope: Tensor, *, least: bool) -> Tensor:
    """Where f(x) − slope·x is least (or largest) on [lower, upper], as computed; finite. For optimisers: no
    bound rests on it."""
    best = torch.full_like(lower, float("inf"))
    at = lower
    for point in (lower, upper, *_turning_points(op, slope, lower, upper)):
        x = torch.where((point >= lower) & (point <= upper), point, lower)
        value = op(x) - slope * x
        value = value if least else -value
        better = value < best
        best, at = torch.where(better, value, best), torch.where(better, x, at)
    return torch.nan_to_num(at, posinf=0.0, neginf=0.0)


@band.register
def _(op: Relu, lower: Tensor, upper: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """relu(x) − s·x is convex: largest at an end, smallest at zero or, for s outside [0, 1], at an end."""
    at_lower = torch.relu(lower) - slope * lower
    at_upper = torch.relu(upper) - slope * upper
    crossing = (lower < 0) & (upper > 0)
    high = torch.maximum(at_lower, at_upper)
    low = torch.minimum(at_lower, at_upper)
    low = torch.where(crossing & (slope >= 0) & (slope <= 1), torch.zeros_like(low), low)
    exact = ((slope == 1) & (lower >= 0)) | ((slope == 0) & (upper <= 0))
    low = torch.where(exact | (low == 0), low, _below(low, slope, lower, upper))
    high = torch.where(exact, high, _above(high, slope, lower, upper))
    return low, high


@band.register
def _(op: NearestWhole, lower: Tensor, upper: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """f rises and stays near x: f(x) − s·x is between the ends of (1 − s)·x and of the range less those of
    s·x, whichever is nearer."""
    least, most = op.between(lower, upper)
    size = torch.maximum(lower.abs(), upper.abs())
    away = op.distance(size)
    ends = (1 - slope) * lower, (1 - slope) * upper
    lines = slope * lower, slope * upper
    low = torch.maximum(torch.minimum(*ends) - away, least - torch.maximum(*lines))
    high = torch.minimum(torch.maximum(*ends) + away, most - torch.minimum(*lines))
    room = 8 * relative_error(lower.dtype) * ((1 + slope.abs()) * size + away)
    bad = torch.isnan(low) | torch.isnan(high) | ~torch.isfinite(room)
    low, high = round_down(low - room), round_up(high + room)
    return low.masked_fill(bad, -float("inf")), high.masked_fill(bad, float("inf"))


@band.register
def _(op: Lookup, lower: Tensor, upper: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """The function is straight but at whole numbers: all of them, cut to the interval, at once."""
    low, high = _over_table(op, lower, upper, slope)
    size = float(op.values.abs().amax()) + slope.abs() * torch.maximum(lower.abs(), upper.abs())
    slack = relative_error(lower.dtype) * ((op.ulps + 5) * size + op.absolute)
    bad = torch.isnan(low) | torch.isnan(high) | ~torch.isfinite(slack)
    return (low - slack).masked_fill(bad, -float("inf")), (high + slack).masked_fill(bad, float("inf"))


def _over_table(op: Lookup, lower: Tensor, upper: Tensor, slope: Tensor | float) -> tuple[Tensor, Tensor]:
    """The least and the largest f(x) − slope·x, as computed, at the ends and at the whole numbers between."""
    low, high = op(lower) - slope * lower, op(upper) - slope * upper
    low, high = torch.minimum(low, high), torch.maximum(low, high)
    bends = op.bends.to(lower)
    for part in torch.split(bends, max(1, TABLE_PART // max(1, lower.numel()))):
        x = torch.minimum(torch.maximum(part, lower[..., None]), upper[..., None])
        g = op(x) - (slope[..., None] if isinstance(slope, Tensor) else slope) * x
        low, high = torch.minimum(low, g.amin(dim=-1)), torch.maximum(high, g.amax(dim=-1))
    return low, high


TABLE_PART = 1 << 21
"""Elements times entries of a table that are looked at together."""


def _below(low: Tensor, slope: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    return round_down(low - _product_error(slope, lower, upper))


def _above(high: Tensor, slope: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    return round_up(high + _product_error(slope, lower, upper))


def _product_error(slope: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Two roundings of slope·x and two of the difference, at the larger end."""
    size = torch.maximum(lower.abs(), upper.abs())
    return 2 * relative_error(lower.dtype) * (1 + slope.abs()) * size


def lines(op: Elementwise, lower: Tensor, upper: Tensor) -> Lines:
    """The best of the operator's own lines and of those along the function's slope at the middle and at
    either end.

    Below f on [lower, upper] that is the one which is highest at the middle, above f the lowest there: of
    all lines with such slopes these enclose the smallest area. Where no line is known (an end is infinite,
    say), flat ones at the ends of the range.
    """
    own_below, own_above = op.slopes(lower, upper)
    low, high = band(op, lower, upper, own_below)
    if own_above is not own_below:
        _, high = band(op, lower, upper, own_above)
    best = Lines(own_below, low, own_above, high)
    if isinstance(op, Relu):
        return best
    middle = (lower + upper) / 2
    for point in (middle, lower, upper):
        slope = op.derivative(point)
        slope = torch.where(torch.isfinite(slope), slope, own_below)
        low, high = band(op, lower, upper, slope)
        below = slope * middle + low > best.below_slope * middle + best.below_offset
        above = slope * middle + high < best.above_slope * middle + best.above_offset
        best = Lines(
            torch.where(below, slope, best.below_slope),
            torch.where(below, low, best.below_offset),
            torch.where(above, slope, best.above_slope),
            torch.where(above, high, best.above_offset),
        )
    return with_flat_where_unknown(op, lower, upper, best)


def with_flat_where_unknown(op: Elementwise, lower: Tensor, upper: Tensor, best: Lines) -> Lines:
    """The lines, or where an offset is infinite the ends of the range of f on [lower, upper]."""
    no_below, no_above = torch.isinf(best.below_offset), torch.isinf(best.above_offset)
    if not bool((no_below | no_above).any()):
        return best
    least, most = value_range(op, lower, upper)
    return Lines(
        best.below_slope.masked_fill(no_below, 0),
        torch.where(no_below, least, best.below_offset),
        best.above_slope.masked_fill(no_above, 0),
        torch.where(no_above, most, best.above_offset),
    )


def value_range(op: Elementwise, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest and largest value of f on [lower, upper], rounded outward: at the ends, for a function that
    only grows or only falls, else there or at one of the points where it turns."""
    if isinstance(op, Relu):
        return torch.relu(lower), torch.relu(upper)
    if isinstance(op, NearestWhole):
        least, most = op.between(lower, upper)
        return least.nan_to_num(-float("inf"), float("inf"), -float("inf")), most.nan_to_num(
            float("inf"), float("inf"), -float("inf")
        )
    if isinstance(op, Lookup):
        low, high = _over_table(op, lower, upper, 0.0)
        slack = _value_error(op, op.values.abs().amax().to(lower), lower, turning=False)
        unknown = torch.isnan(low) | torch.isnan(high)
        low, high = (
            (low - slack).clamp(*_image(op, lower.dtype)),
            (high + slack).clamp(*_image(op, lower.dtype)),
        )
        return low.masked_fill(unknown, -float("inf")), high.masked_fill(unknown, float("inf"))
    largest = torch.finfo(lower.dtype).max
    low = torch.full_like(lower, float("inf"))
    high = torch.full_like(lower, -float("inf"))
    unknown = torch.zeros_like(lower, dtype=torch.bool)
    falls, grows = op.steepness[1] <= 0, op.steepness[0] >= 0
    turns = () if falls or grows else _turning_points(op, torch.zeros_like(lower), lower, upper)
    for index, point in enumerate((lower, upper, *turns)):
        inside = (point >= lower) & (point <= upper)
        x = torch.where(inside, point, lower)
        f = op(x)
        finite = f.clamp(-largest, largest)  # what overflows is at least so large
        slack = _value_error(op, finite, x, turning=index >= 2)
        unknown |= f.isnan()
        low = torch.minimum(low, torch.where(f == -float("inf"), f, finite - slack))
        high = torch.maximum(high, torch.where(f == float("inf"), f, finite + slack))
    cap = largest**0.5  # a looser end, so that a sum of such ends does not overflow
    low, high = low.clamp(max=cap), high.clamp(min=-cap)
    image = _image(op, lower.dtype)
    low, high = low.clamp(*image), high.clamp(*image)
    return low.masked_fill(unknown, -float("inf")), high.masked_fill(unknown, float("inf"))


def _image(op: Elementwise, dtype: torch.dtype) -> tuple[float, float]:
    """The operator's image, rounded outward to numbers of that type."""
    least, most = (torch.tensor(end, dtype=torch.float64) for end in op.image)
    return float(lower_as(least, dtype)), float(upper_as(most, dtype))


def _value_error(op: Elementwise, f: Tensor, x: Tensor, *, turning: bool) -> Tensor:
    """Error of computing f(x), and for a turning point of placing it.

    None for f(0) where that is computed as zero: the error is relative, and nothing underflows there.
    """
    u = relative_error(f.dtype)
    if op.ulps == 0:
        return torch.zeros_like(f)
    slack = u * (op.ulps + 2) * f.abs() + u * op.absolute + torch.finfo(f.dtype).tiny
    if turning and op.kinks is None:
        slack = slack + FUNCTION_ULPS * u * (1 + f.abs())
        slack = slack + torch.nan_to_num(op.curvature / 2 * (FUNCTION_ULPS * u * x).square())
    if not turning and op.absolute == 0:
        slack = slack.masked_fill((x == 0) & (f == 0), 0.0)
    return slack
