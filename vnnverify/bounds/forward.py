# SPDX-License-Identifier: Apache-2.0
"""Forward linear bounds: two affine functions of the few inputs that vary, below and above each value.

    below(t) <= z <= above(t),   x = centre + radius·t,   t in [−1, 1]^k

Cheap when k is small; they find most neurons stable before any backward row is started.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.bounds.state import State
from vnnverify.domains import Domain
from vnnverify.ir import Affine, Elementwise, Graph, Maximum, Node, Value
from vnnverify.numerics import gamma, relative_error, round_down, round_up, rounded_outward
from vnnverify.ops.bilinear import Mul

__all__ = ["Form", "domain", "ends", "input_forms", "least_of_slopes"]


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """Slopes (B, k, *shape) and offsets (B, *shape) of the functions below and above a value."""

    below: Tensor
    below_offset: Tensor
    above: Tensor
    above_offset: Tensor

    def interval(self) -> tuple[Tensor, Tensor]:
        """Their least and largest value over t in [−1, 1]^k, rounded outward."""
        g = gamma(self.below.shape[1] + 2, self.below.dtype)
        low, high = self.below.abs().sum(dim=1), self.above.abs().sum(dim=1)
        lower = self.below_offset - low - g * (low + self.below_offset.abs())
        upper = self.above_offset + high + g * (high + self.above_offset.abs())
        return lower, upper

    def size(self) -> Tensor:
        """A bound of |below(t)| and |above(t)|: (B, *shape)."""
        low = self.below.abs().sum(dim=1) + self.below_offset.abs()
        return torch.maximum(low, self.above.abs().sum(dim=1) + self.above_offset.abs())


domain: Domain[[Sequence[Form | None], Node, State], Form | None] = Domain("forward linear bounds")


def ends(form: Form, state: State) -> tuple[Tensor, Tensor]:
    """The least and largest value of a form over the regions, rounded outward, for forms of all inputs."""
    lower, upper = form.interval()
    if state.region is None:
        return lower, upper
    shape, B = lower.shape, state.batch
    below, above = (slopes.flatten(2).transpose(1, 2) for slopes in (form.below, form.above))  # (B, N, n)
    low = form.below_offset.reshape(B, -1) + least_of_slopes(below, state)
    high = form.above_offset.reshape(B, -1) - least_of_slopes(-above, state)
    u = 2 * relative_error(low.dtype)
    low = (low - u * (low.abs() + form.below_offset.reshape(B, -1).abs())).reshape(shape)
    high = (high + u * (high.abs() + form.above_offset.reshape(B, -1).abs())).reshape(shape)
    return torch.fmax(lower, low), torch.fmin(upper, high)


def least_of_slopes(slopes: Tensor, state: State) -> Tensor:
    """The least value of slopes·t for t = (x − centre) / radius and x in the regions, rounded down: slopes
    (B, S, n) -> (B, S)."""
    assert state.region is not None
    centre, radius = scale(state)
    rows = slopes / torch.where(radius > 0, radius, 1.0)[:, None]
    least = state.region.least(rows).value - (rows @ centre[:, :, None])[:, :, 0]
    size = torch.maximum(state.lower.abs(), state.upper.abs()) + centre.abs()
    error = (rows.abs() @ size[:, :, None])[:, :, 0]
    return least - 2 * gamma(slopes.shape[2] + 4, slopes.dtype) * error


def scale(state: State) -> tuple[Tensor, Tensor]:
    """The centre and the radius (B, n) of each box, by which t is counted."""
    centre = (state.lower + state.upper) / 2
    return centre, round_up(torch.maximum(state.upper - centre, centre - state.lower))


def input_forms(graph: Graph, state: State, free: Tensor) -> dict[Value, Form]:
    """The identity on the inputs listed in `free` (k,); every other input is bounded by its ends."""
    B, n = state.lower.shape
    k = free.numel()
    centre, radius = scale(state)
    slopes = radius.new_zeros(B, k, n)
    slopes[:, torch.arange(k, device=free.device), free] = radius[:, free]
    low, high = state.lower.clone(), state.upper.clone()
    low[:, free] = high[:, free] = centre[:, free]
    lows, highs = graph.split_inputs(low), graph.split_inputs(high)
    forms, start = {}, 0
    for value in graph.inputs:
        part = slopes[:, :, start : start + value.size].reshape(B, k, *value.shape)
        forms[value] = Form(part, lows[value], part, highs[value])
        start += value.size
    return forms


def _columns(op: Affine, map_name: str, slopes: Sequence[Tensor], shape: tuple[int, ...]) -> Tensor:
    """Apply a linear map to every column of slopes (B, k, *in) -> (B, k, *out)."""
    B, k = slopes[0].shape[:2]
    flat = [s.reshape(B * k, *s.shape[2:]) for s in slopes]
    columns: Tensor = getattr(op, map_name)(*flat)
    return columns.reshape(B, k, *shape)


@domain.rule(Affine)
def _affine(op: Affine, inputs: Sequence[Form | None], node: Node, state: State) -> Form | None:
    """W⁺ below + W⁻ above = W mid − |W| half, with mid and half of the two functions."""
    if not inputs or any(form is None for form in inputs):
        return None
    forms = [form for form in inputs if form is not None]
    shape = node.output.shape
    if all(f.below is f.above for f in forms):
        below = above = _columns(op, "linear", [f.below for f in forms], shape)
    else:
        mid = _columns(op, "linear", [(f.below + f.above) / 2 for f in forms], shape)
        half = _columns(op, "magnitude", [(f.above - f.below) / 2 for f in forms], shape)
        below, above = mid - half, mid + half
    centre = op(*((f.below_offset + f.above_offset) / 2 for f in forms))
    half_offset = op.magnitude(*((f.above_offset - f.below_offset) / 2 for f in forms))
    if op.fan_in == 0:
        return Form(below, round_down(centre - half_offset), above, round_up(centre + half_offset))
    if not rounded_outward():
        return Form(below, centre - half_offset, above, centre + half_offset)
    g = gamma(op.fan_in + 4, below.dtype)
    loss = 2 * g * op.magnitude(*(f.size() for f in forms))
    if op.offset is not None:
        loss = loss + g * op.offset.abs()
    return Form(below, centre - half_offset - loss, above, centre + half_offset + loss)


@domain.rule(Elementwise)
def _elementwise(op: Elementwise, inputs: Sequence[Form | None], node: Node, state: State) -> Form | None:
    """The line below on whichever function makes it least, the line above on whichever makes it largest."""
    form = inputs[0]
    if form is None:
        return None
    lines = state.lines[node]
    u = relative_error(form.below.dtype)
    loss = 4 * u * torch.maximum(lines.below_slope.abs(), lines.above_slope.abs()) * form.size()
    below, below_offset = _on_line(form, lines.below_slope, lines.below_slope >= 0)
    above, above_offset = _on_line(form, lines.above_slope, lines.above_slope < 0)
    below_offset = below_offset + lines.below_offset
    above_offset = above_offset + lines.above_offset
    loss = loss + 2 * u * torch.maximum(below_offset.abs(), above_offset.abs())
    return Form(below, below_offset - loss, above, above_offset + loss)


def _on_line(form: Form, slope: Tensor, use_below: Tensor) -> tuple[Tensor, Tensor]:
    spread = slope[:, None]
    offset = slope * torch.where(use_below, form.below_offset, form.above_offset)
    if bool(use_below.all()):
        return spread * form.below, offset
    if not bool(use_below.any()):
        return spread * form.above, offset
    return spread * torch.where(use_below[:, None], form.below, form.above), offset


@domain.rule(Mul)
def _product(op: Mul, inputs: Sequence[Form | None], node: Node, state: State) -> Form | None:
    """The plane below on whichever functions make it least, the plane above on those that make it largest."""
    x, y = inputs
    if x is None or y is None:
        return None
    planes = state.planes[node]
    ends = []
    for along_x, along_y, offset, below in (
        (planes.below_x, planes.below_y, planes.below_offset, True),
        (planes.above_x, planes.above_y, planes.above_offset, False),
    ):
        (slope_x, offset_x), (slope_y, offset_y) = (
            _on_line(form, slope, (slope >= 0) == below) for form, slope in ((x, along_x), (y, along_y))
        )
        size = along_x.abs() * x.size() + along_y.abs() * y.size() + offset.abs()
        loss = 8 * relative_error(size.dtype) * size
        total = offset_x + offset_y + offset
        ends.append((slope_x + slope_y, total - loss if below else total + loss))
    (low, low_offset), (high, high_offset) = ends
    return Form(low, low_offset, high, high_offset)


@domain.rule(Maximum)
def _maximum(op: Maximum, inputs: Sequence[Form | None], node: Node, state: State) -> Form | None:
    """No linear functions are kept through a maximum; its interval bounds remain."""
    return None
