# SPDX-License-Identifier: Apache-2.0
"""What is known about a batch of boxes while bounds are pushed through a graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from vnnverify.bounds.relaxation import LEAST_AREA, JointRows, SlopeRule
from vnnverify.bounds.rounding import line_error, sum_error
from vnnverify.domains import relaxation
from vnnverify.domains.planes import Planes, mccormick, offsets
from vnnverify.domains.relaxation import Lines
from vnnverify.ir import Affine, Elementwise, Enclosed, Graph, Maximum, Node, Value, flat
from vnnverify.numerics import (
    gamma,
    lower_as,
    relative_error,
    round_down,
    round_up,
    rounded_outward,
    upper_as,
)
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.piecewise import Relu
from vnnverify.query import Region

__all__ = ["SlopeChoice", "State", "in_type"]


class SlopeChoice(Protocol):
    """Slopes below ReLUs, and splits of them, that rows have chosen for themselves."""

    def of(
        self, value: Value, rows: Tensor, below: Tensor, above: Tensor, offset: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Slopes below and above and the offset above of the ReLUs with output `value`, in the shape of
        `rows`, with what was chosen."""
        ...

    def multiplier(self, value: Value, rows: Tensor) -> Tensor | None:
        """What is taken from the coefficients of a ReLU's argument, if any of them is split."""
        ...


@dataclass(slots=True)
class State:
    """Bounds of every value seen so far over B boxes; grows node by node in topological order.

    A state may be centred (see `Deviations`): then boxes, intervals, lines and planes are those of each
    value's deviation from its `centre`.
    """

    lower: Tensor  # (B, n) the boxes
    upper: Tensor  # (B, n)
    interval: dict[Value, tuple[Tensor, Tensor]] = field(default_factory=dict)  # (B, *shape) each
    lines: dict[Node, Lines] = field(default_factory=dict)  # of elementwise nodes, (B, *shape) each
    planes: dict[Node, Planes] = field(default_factory=dict)  # of products, (B, *shape) each
    slopes: dict[Value, Tensor] = field(
        default_factory=dict
    )  # (B, k, *shape) of forward forms, for branching
    error: dict[Node, Tensor] = field(default_factory=dict)  # (out,) see `note_affine`, `note_lines`
    multiplier: dict[Node, Tensor] = field(
        default_factory=dict
    )  # (B, *shape) of elementwise nodes; positive: of input >= lower, negative: of input <= upper
    joint: dict[Node, JointRows] = field(default_factory=dict)  # over several neurons of elementwise nodes
    centre: dict[Value, Tensor] = field(default_factory=dict)  # (B, *shape) float64, if centred
    rule: SlopeRule = LEAST_AREA  # how lines get their slopes
    region: Region | None = None  # where inputs range, if that is less than the boxes
    differentiated: bool = False  # whether gradients of bounds are asked for, so that none may be left out
    row_slopes: SlopeChoice | None = None  # slopes that rows have chosen for themselves
    images: dict[Node, tuple[Lines | None, Tensor | None, tuple[Tensor, ...]]] = field(
        default_factory=dict
    )  # lines and error of nodes, and what `patches` makes of them

    @classmethod
    def of(
        cls,
        graph: Graph,
        lower: Tensor,
        upper: Tensor,
        rule: SlopeRule = LEAST_AREA,
        region: Region | None = None,
    ) -> State:
        """The state that knows only the input boxes, and regions (B, n) of the same float type in them."""
        lows, ups = graph.split_inputs(lower), graph.split_inputs(upper)
        return cls(lower, upper, {v: (lows[v], ups[v]) for v in graph.inputs}, rule=rule, region=region)

    @property
    def batch(self) -> int:
        """B: number of boxes."""
        return self.lower.shape[0]

    def to(self, dtype: torch.dtype) -> State:
        """The boxes and intervals in another float type, rounded outward; nothing else."""
        region = None if self.region is None else self.region.to(self.lower.device, dtype)
        ends = lower_as(self.lower, dtype), upper_as(self.upper, dtype)
        state = State(*ends, rule=self.rule, region=region)
        pairs = self.interval.items()
        state.interval = {v: (lower_as(low, dtype), upper_as(high, dtype)) for v, (low, high) in pairs}
        return state

    def of_box(self, box: int) -> State:
        """What is known of one box, for bounding rows over it."""
        if self.batch == 1:
            return self
        one = slice(box, box + 1)
        region = None if self.region is None else self.region.take(one)
        ends = self.lower[one], self.upper[one]
        state = State(*ends, error=self.error, rule=self.rule, region=region)
        state.interval = {v: (low[one], high[one]) for v, (low, high) in self.interval.items()}
        for node, lines in self.lines.items():
            state.lines[node] = Lines(*(getattr(lines, name)[one] for name in lines.__slots__))
        for node, planes in self.planes.items():
            state.planes[node] = Planes(*(getattr(planes, name)[one] for name in planes.__slots__))
        return state

    @classmethod
    def stacked(cls, boxes: Sequence[State]) -> State:
        """The boxes of several states of one graph in one; a rounding error that holds for all of them.
        Regions that cannot be joined become their boxes."""

        def join(parts: Sequence[Tensor]) -> Tensor:
            return torch.cat(list(parts))

        first = boxes[0]
        regions = [s.region for s in boxes if s.region is not None]
        region = regions[0].joined(regions[1:]) if len(regions) == len(boxes) else None
        ends = join([s.lower for s in boxes]), join([s.upper for s in boxes])
        state = cls(*ends, rule=first.rule, region=region)
        for value in first.interval:
            low, high = zip(*(s.interval[value] for s in boxes), strict=True)
            state.interval[value] = join(low), join(high)
        for node, lines in first.lines.items():
            names = lines.__slots__
            state.lines[node] = Lines(*(join([getattr(s.lines[node], n) for s in boxes]) for n in names))
        for node, planes in first.planes.items():
            slots = planes.__slots__
            state.planes[node] = Planes(*(join([getattr(s.planes[node], n) for s in boxes]) for n in slots))
        for node in first.error:
            state.error[node] = torch.stack([s.error[node] for s in boxes]).amax(dim=0)
        return state

    def magnitude(self, value: Value) -> Tensor:
        """The largest |element| over each box: (B, *shape)."""
        lower, upper = self.interval[value]
        return torch.maximum(lower.abs(), upper.abs())

    def offset(self, op: Affine) -> Tensor | None:
        """What an affine operator adds: nothing to deviations."""
        return None if self.centre else op.offset

    def gap(self, node: Node) -> Tensor:
        """How far apart the two lines of an elementwise node get over each box: (B, *shape)."""
        lines = self.lines[node]
        slope = lines.above_slope - lines.below_slope
        offset = lines.above_offset - lines.below_offset
        lower, upper = self.interval[node.inputs[0]]
        return torch.maximum(slope * lower + offset, slope * upper + offset).clamp(min=0)

    def middle_gap(self, node: Node) -> Tensor:
        """How far apart the lines of an elementwise node are in the middle of each interval: (B, *shape)."""
        lines = self.lines[node]
        lower, upper = self.interval[node.inputs[0]]
        middle = (lower + upper) / 2
        offset = lines.above_offset - lines.below_offset
        return ((lines.above_slope - lines.below_slope) * middle + offset).clamp(min=0)

    def note(self, node: Node) -> None:
        """What a backward step through `node` needs: lines, and the error of its own rounding. The
        intervals of the node's inputs and output must be known."""
        if isinstance(node.op, Elementwise):
            self.note_lines(node, node.op, self.rule.lines(node.op, *self.interval[node.inputs[0]]))
        elif isinstance(node.op, Affine) and node.inputs:
            self.note_affine(node, node.op)
        elif isinstance(node.op, Maximum):
            self.note_maximum(node, node.op)
        elif isinstance(node.op, Mul):
            x, y = node.inputs
            self.note_planes(node, mccormick(self.interval[x], self.interval[y]))
        elif isinstance(node.op, Enclosed) and rounded_outward():
            loss = sum_error(node.output.size, self.lower.dtype) * self.magnitude(node.output)
            self.error[node] = flat(loss).amax(dim=0)

    def chosen(self, node: Node, op: Maximum) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What bounds each maximum: the member with the largest lower bound; whether it beats all others, so
        that it bounds from above as well; and what is added to it below, and to it or to nothing above.

        Returns:
            member: (B, out) index into the flattened inputs.
            wins: (B, out) bool.
            floor: (B, out) added below, rounded down.
            ceiling: (B, out) added above, rounded up: without a winner the largest upper bound.
        """
        groups = op.groups(*(v.shape for v in node.inputs)).to(self.lower.device)  # (out, k)
        lower, upper = (torch.cat([flat(self.interval[v][end]) for v in node.inputs], 1) for end in (0, 1))
        if self.centre:
            centre = torch.cat([flat(self.centre[v]) for v in node.inputs], 1)
            lower, upper = round_down(lower + centre), round_up(upper + centre)
        low, high = lower[:, groups], upper[:, groups]  # (B, out, k)
        best = low.argmax(dim=2, keepdim=True)
        member = groups.expand(low.shape[0], -1, -1).gather(2, best)[:, :, 0]
        is_best = groups[None] == member[:, :, None]  # a repeated member is the same member
        rival = torch.where(is_best, -float("inf"), high).amax(dim=2)
        wins = rival <= low.gather(2, best)[:, :, 0]
        floor = torch.zeros_like(rival)
        ceiling = torch.where(wins, floor, high.amax(dim=2))
        if self.centre:
            own, to = centre.gather(1, member), flat(self.centre[node.output])
            floor, ceiling = round_down(own - to), round_up(torch.where(wins, own, ceiling) - to)
        dtype = self.lower.dtype
        return member, wins, lower_as(floor, dtype), upper_as(ceiling, dtype)

    def note_maximum(self, node: Node, op: Maximum) -> None:
        """Rounding error of one backward step through a maximum: the long sum over the constants, and the
        sums of what several groups hand to one member. Members are measured at the largest of the group."""
        if not rounded_outward():
            return
        groups = op.groups(*(v.shape for v in node.inputs)).to(self.lower.device)
        size = torch.cat([flat(self.magnitude(v)) for v in node.inputs], 1)[:, groups].amax(dim=2)
        _, _, floor, ceiling = self.chosen(node, op)
        added = torch.maximum(floor.abs(), ceiling.abs())
        shared = int(torch.bincount(groups.flatten()).amax())
        dtype = self.lower.dtype
        loss = sum_error(node.output.size, dtype) * added + gamma(shared, dtype) * size
        self.error[node] = loss.amax(dim=0)

    def note_affine(self, node: Node, op: Affine) -> None:
        """Rounding error of one backward step through an affine node.

        A row Λ over the output becomes fl(Λ W) and fl(Λ b). The bound changes by at most
        |Λ|·(g |W| |x| + h |b|) with g for the sums of the adjoint and h for the long sum over b.
        `error[node]` holds the bracket, the largest over the boxes of the batch, so that one product
        |Λ| @ error bounds the loss of every row. Deviations have no b.
        """
        offset = self.offset(op)
        if (op.fan_out == 0 and op.offset is None) or not rounded_outward():
            return
        dtype = self.lower.dtype
        g = gamma(op.fan_out, dtype)
        loss = g * op.magnitude(*(self.magnitude(v) for v in node.inputs))
        if offset is not None:
            loss = loss + sum_error(node.output.size, dtype) * offset.abs()
        self.error[node] = (1 + 4 * gamma(op.fan_in, dtype)) * flat(loss).amax(dim=0)

    def note_lines(self, node: Node, op: Elementwise, lines: Lines) -> None:
        """Lines of an elementwise node, and the rounding error of one backward step through it."""
        self.lines[node] = lines
        if not rounded_outward():
            return
        loss = line_error(lines, self.magnitude(node.inputs[0]), node.output.size)
        self.error[node] = flat(loss).amax(dim=0)

    def note_planes(self, node: Node, planes: Planes) -> None:
        """Planes of a product, and the rounding error of one backward step through it.

        Products with the slopes are rounded once; the sum with the offsets is a long one.
        """
        self.planes[node] = planes
        if not rounded_outward():
            return
        dtype = self.lower.dtype
        slope_x = torch.maximum(planes.below_x.abs(), planes.above_x.abs())
        slope_y = torch.maximum(planes.below_y.abs(), planes.above_y.abs())
        offset = torch.maximum(planes.below_offset.abs(), planes.above_offset.abs())
        x, y = (self.magnitude(v) for v in node.inputs)
        loss = 2 * relative_error(dtype) * (slope_x * x + slope_y * y)
        loss = loss + sum_error(node.output.size, dtype) * offset
        self.error[node] = flat(loss).amax(dim=0)

    def for_any_slopes(self) -> State:
        """The same knowledge, with errors that hold for all slopes in [0, 1] below ReLUs."""
        other = dataclasses.replace(self, error=dict(self.error), images={})
        for node, lines in self.lines.items():
            if isinstance(node.op, Relu) and node in self.error:
                steep = dataclasses.replace(lines, below_slope=torch.ones_like(lines.below_slope))
                loss = line_error(steep, self.magnitude(node.inputs[0]), node.output.size)
                other.error[node] = flat(loss).amax(dim=0)
        return other

    def with_row_slopes(self, slopes: SlopeChoice) -> State:
        """The same knowledge, for rows that have chosen slopes."""
        return dataclasses.replace(self, row_slopes=slopes)

    def note_slopes(self, node: Node, chosen: Lines | Planes) -> None:
        """Lines or planes with slopes chosen elsewhere, perhaps in another float type, and offsets that hold
        over this state's boxes."""
        dtype = self.lower.dtype
        if isinstance(chosen, Planes):
            x, y = (self.interval[v] for v in node.inputs)
            below = chosen.below_x.to(dtype), chosen.below_y.to(dtype)
            above = chosen.above_x.to(dtype), chosen.above_y.to(dtype)
            low, high = offsets(x, y, *below)[0], offsets(x, y, *above)[1]
            self.note_planes(node, Planes(*below, low, *above, high))
            return
        assert isinstance(node.op, Elementwise)
        ends = self.interval[node.inputs[0]]
        under, over = chosen.below_slope.to(dtype), chosen.above_slope.to(dtype)
        low, high = relaxation.band(node.op, *ends, under)[0], relaxation.band(node.op, *ends, over)[1]
        self.note_lines(node, node.op, Lines(under, low, over, high))


def in_type(dtype: torch.dtype, graph: Graph, state: State) -> tuple[Graph, State]:
    """The graph, and what is known of its boxes, in another float type: the intervals rounded outward, and
    for every nonlinear node the slopes that `state` has for it, if any."""
    other = graph.to(state.lower.device, dtype)
    found = state.to(dtype)
    for node, was in zip(other.nodes, graph.nodes, strict=True):
        lines = state.lines.get(was) or state.planes.get(was)
        if lines is None:
            found.note(node)
        else:
            found.note_slopes(node, lines)
    return other, found
