# SPDX-License-Identifier: Apache-2.0
"""What is known about a batch of boxes while bounds are pushed through a graph."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from vnnverify.domains.relaxation import Lines
from vnnverify.ir import Affine, Elementwise, Graph, Node, Value, flat
from vnnverify.numerics import gamma, lower_as, unit_roundoff, upper_as

__all__ = ["State"]


@dataclass(slots=True)
class State:
    """Bounds of every value seen so far over B boxes; grows node by node in topological order."""

    lower: Tensor  # (B, n) the boxes
    upper: Tensor  # (B, n)
    interval: dict[Value, tuple[Tensor, Tensor]] = field(default_factory=dict)  # (B, *shape) each
    lines: dict[Node, Lines] = field(default_factory=dict)  # of elementwise nodes, (B, *shape) each
    slopes: dict[Value, Tensor] = field(
        default_factory=dict
    )  # (B, k, *shape) of forward forms, for branching
    error: dict[Node, Tensor] = field(default_factory=dict)  # (out,) see `note_affine`, `note_lines`
    multiplier: dict[Node, Tensor] = field(
        default_factory=dict
    )  # (B, *shape) of elementwise nodes; positive: of input >= lower, negative: of input <= upper

    @classmethod
    def of(cls, graph: Graph, lower: Tensor, upper: Tensor) -> State:
        """The state that knows only the input boxes."""
        lows, ups = graph.split_inputs(lower), graph.split_inputs(upper)
        return cls(lower, upper, {v: (lows[v], ups[v]) for v in graph.inputs})

    @property
    def batch(self) -> int:
        """B: number of boxes."""
        return self.lower.shape[0]

    def to(self, dtype: torch.dtype) -> State:
        """The boxes and intervals in another float type, rounded outward; nothing else."""
        state = State(lower_as(self.lower, dtype), upper_as(self.upper, dtype))
        pairs = self.interval.items()
        state.interval = {v: (lower_as(low, dtype), upper_as(high, dtype)) for v, (low, high) in pairs}
        return state

    def of_box(self, box: int) -> State:
        """What is known of one box, for bounding rows over it."""
        if self.batch == 1:
            return self
        one = slice(box, box + 1)
        state = State(self.lower[one], self.upper[one], error=self.error)
        state.interval = {v: (low[one], high[one]) for v, (low, high) in self.interval.items()}
        for node, lines in self.lines.items():
            state.lines[node] = Lines(*(getattr(lines, name)[one] for name in lines.__slots__))
        return state

    def magnitude(self, value: Value) -> Tensor:
        """The largest |element| over each box: (B, *shape)."""
        lower, upper = self.interval[value]
        return torch.maximum(lower.abs(), upper.abs())

    def gap(self, node: Node) -> Tensor:
        """How far apart the two lines of an elementwise node get over each box: (B, *shape)."""
        lines = self.lines[node]
        slope = lines.above_slope - lines.below_slope
        offset = lines.above_offset - lines.below_offset
        lower, upper = self.interval[node.inputs[0]]
        return torch.maximum(slope * lower + offset, slope * upper + offset).clamp(min=0)

    def note_affine(self, node: Node, op: Affine) -> None:
        """Rounding error of one backward step through an affine node.

        A row Λ over the output becomes fl(Λ W) and fl(Λ b). The bound changes by at most
        gamma·|Λ|·(|W| |x| + |b|), and `error[node]` holds gamma·(|W| |x| + |b|), the largest over
        the boxes of the batch, so that one product |Λ| @ error bounds the loss of every row.
        """
        if op.fan_out == 0 and op.offset is None:
            return
        g = gamma(max(op.fan_out, node.output.size), self.lower.dtype)
        size = op.magnitude(*(self.magnitude(v) for v in node.inputs))
        if op.offset is not None:
            size = size + op.offset.abs()
        self.error[node] = g * (1 + 2 * g) * flat(size).amax(dim=0)

    def note_lines(self, node: Node, op: Elementwise, lines: Lines) -> None:
        """Lines of an elementwise node, and the rounding error of one backward step through it.

        Products with the slopes are rounded once, the sum with the offsets `size` times.
        """
        self.lines[node] = lines
        dtype = self.lower.dtype
        slope = torch.maximum(lines.below_slope.abs(), lines.above_slope.abs())
        offset = torch.maximum(lines.below_offset.abs(), lines.above_offset.abs())
        loss = 2 * unit_roundoff(dtype) * slope * self.magnitude(node.inputs[0])
        loss = loss + gamma(node.output.size, dtype) * offset
        self.error[node] = flat(loss).amax(dim=0)
