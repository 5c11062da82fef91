# SPDX-License-Identifier: Apache-2.0
"""A state over each value's deviation from a point, so that float32 is enough for backward rows.

    Σ Λ_v (v − centre_v) + c  in place of  Σ Λ_v v + c

Let z = W x + b and centre_z = W centre_x + b. Then z − centre_z = W (x − centre_x): a row that is rounded to
Λ' = fl(Λ W) errs by (Λ W − Λ')(x − centre_x), which shrinks with the box, while without the centre it would
err by a part of |x| itself. Constants drop out. The centre is computed in float64; by how much it misses
W centre_x + b is counted. Lines and planes are moved with the centre.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vnnverify.bounds.state import State
from vnnverify.domains import relaxation
from vnnverify.domains.planes import Planes, offsets
from vnnverify.domains.relaxation import Lines
from vnnverify.ir import Affine, Elementwise, Graph, Node, Value, flat
from vnnverify.numerics import gamma, lower_as, round_down, round_up, upper_as
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.piecewise import Relu

__all__ = ["Deviations"]

Interval = tuple[Tensor, Tensor]


class Deviations:
    """Follows a float64 state node by node with a centred one in another float type.

    Args:
        graph: the graph of the state, in float64.
        twin: the same graph in the type of the centred state.
        state: what is known so far: its boxes.
        dtype: that type.
    """

    def __init__(self, graph: Graph, twin: Graph, state: State, dtype: torch.dtype) -> None:
        self.twin = dict(zip(graph.nodes, twin.nodes, strict=True))
        self.known, self.dtype = state, dtype
        middle = _middle((state.lower, state.upper))
        self.state = State.of(twin, *_deviation((state.lower, state.upper), middle, dtype))
        self.state.centre = graph.split_inputs(middle)
        self.lost = 0.0  # what products too small for the type can take from a bound in all

    def part(self, graph: Graph) -> Graph:
        """A part of the state's graph, in the type of the centred state."""
        return graph.with_nodes([self.twin[node] for node in graph.nodes])

    def follow(self, node: Node) -> None:
        """Take over what the float64 state knows of a node; the intervals of its inputs are final."""
        twin, state = self.twin[node], self.state
        state.centre[node.output] = self._centre(node)
        self.renew(node.output)
        if isinstance(node.op, Elementwise):
            state.note_lines(twin, node.op, self._lines(node, node.op))
        elif isinstance(node.op, Mul):
            state.note_planes(twin, self._planes(node))
        else:
            state.note(twin)
        self._note_underflow(node, twin)
        if isinstance(node.op, Affine) and node.inputs and twin in state.error:
            state.error[twin] = state.error[twin] + self._missed(node, node.op)

    def _note_underflow(self, node: Node, twin: Node) -> None:
        """Every product of a step, and every weight, may lose the smallest normal number if it is too small
        to be rounded relative to itself; what it is multiplied with later is a deviation."""
        if not node.inputs:
            return
        reach = torch.cat([flat(self.state.magnitude(v)).double() for v in node.inputs], 1).amax(dim=0)
        size = float(reach[torch.isfinite(reach)].sum()) * torch.finfo(self.dtype).tiny
        products = node.op.fan_out if isinstance(node.op, Affine) else node.output.size
        self.lost += 2 * (products + 1) * size
        if twin in self.state.error:
            self.state.error[twin] = round_up(self.state.error[twin] + size)

    def renew(self, value: Value) -> None:
        """Take over the interval of a value anew."""
        ends, centre = self.known.interval[value], self.state.centre[value]
        self.state.interval[value] = _deviation(ends, centre, self.dtype)

    def _centre(self, node: Node) -> Tensor:
        """What an affine node makes of its inputs' centres, and a ReLU's line below of its input's, so that
        the line goes through the origin here too; of other nodes, the middle of the interval."""
        if isinstance(node.op, Affine):
            B = self.known.batch
            return node.op(*(self.state.centre[v] for v in node.inputs)).expand(B, *node.output.shape)
        if isinstance(node.op, Relu):
            return self.known.lines[node].below_slope * self.state.centre[node.inputs[0]]
        return _middle(self.known.interval[node.output])

    def _missed(self, node: Node, op: Affine) -> Tensor:
        """By how much a centre can miss W centre_x + b: (out,), the largest over the boxes."""
        size = op.magnitude(*(self.state.centre[v].abs() for v in node.inputs))
        if op.offset is not None:
            size = size + op.offset.abs()
        missed = gamma(op.fan_in + 1, torch.float64) * (1 + 2 * gamma(op.fan_in, torch.float64)) * size
        return upper_as(flat(missed).amax(dim=0), self.dtype)

    def _lines(self, node: Node, op: Elementwise) -> Lines:
        """The state's lines with slopes that the other type has, moved with the centre."""
        dtype, ends = self.dtype, self.known.interval[node.inputs[0]]
        lines, x = self.known.lines[node], self.state.centre[node.inputs[0]]
        y = self.state.centre[node.output]
        under, over = lines.below_slope.to(dtype), lines.above_slope.to(dtype)
        low = relaxation.band(op, *ends, under.double())[0]
        high = relaxation.band(op, *ends, over.double())[1]
        moved, high_moved = _moved([(under, x)], low, y, dtype)[0], _moved([(over, x)], high, y, dtype)[1]
        return Lines(under, moved, over, high_moved)

    def _planes(self, node: Node) -> Planes:
        """The state's planes with slopes that the other type has, moved with the centre."""
        dtype, planes = self.dtype, self.known.planes[node]
        x, y = (self.known.interval[v] for v in node.inputs)
        at_x, at_y = (self.state.centre[v] for v in node.inputs)
        at = self.state.centre[node.output]
        under = planes.below_x.to(dtype), planes.below_y.to(dtype)
        over = planes.above_x.to(dtype), planes.above_y.to(dtype)
        low = offsets(x, y, *(s.double() for s in under))[0]
        high = offsets(x, y, *(s.double() for s in over))[1]
        low = _moved([(under[0], at_x), (under[1], at_y)], low, at, dtype)[0]
        high = _moved([(over[0], at_x), (over[1], at_y)], high, at, dtype)[1]
        return Planes(*under, low, *over, high)


def _middle(ends: Interval) -> Tensor:
    """A finite point of each interval."""
    middle = (ends[0] + ends[1]) / 2
    return torch.where(torch.isfinite(middle), middle, 0.0)


def _deviation(ends: Interval, centre: Tensor, dtype: torch.dtype) -> Interval:
    """The interval less its centre, rounded outward."""
    return lower_as(round_down(ends[0] - centre), dtype), upper_as(round_up(ends[1] - centre), dtype)


def _moved(
    terms: Sequence[tuple[Tensor, Tensor]], offset: Tensor, centre: Tensor, dtype: torch.dtype
) -> Interval:
    """Σ slope·x + offset − centre, rounded down and up, for terms (slope, x)."""
    total, size = offset - centre, offset.abs() + centre.abs()
    exact = offset == 0
    for slope, x in terms:
        part = slope.double() * x
        total, size = total + part, size + part.abs()
        exact = exact & ((slope == 0) | (slope == 1))
    error = 2 * gamma(len(terms) + 2, torch.float64) * size
    if len(terms) == 1:  # the difference of two numbers is zero only where they are the same
        error = error.masked_fill(exact & (total == 0), 0.0)
    return lower_as(total - error, dtype), upper_as(total + error, dtype)
