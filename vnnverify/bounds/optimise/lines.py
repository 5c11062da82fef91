# SPDX-License-Identifier: Apache-2.0
"""Linear lower bounds with optimised lines and planes of every nonlinear operator, for each row by itself.

    max over the slopes of  min over x in the box of  A x + c

Any slope gives a valid bound, since its offset is the best one (`domains.relaxation`, `domains.planes`). So
the ascent computes in plain floating point, and its best slopes are evaluated once more with every rounding
error counted. An offset is a minimum over points of f(x) − s·x: its derivative is −x at the point that
attains it (Danskin), so nothing has to be differentiated through the choice of that point.

Source: Xu et al., arXiv:2011.13824, whose slopes of ReLUs these generalise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from vnnverify.bounds import backward
from vnnverify.bounds.optimise.ascent import Differentiated, ascend
from vnnverify.bounds.optimise.settings import LineSettings
from vnnverify.bounds.state import State
from vnnverify.deadline import Deadline
from vnnverify.domains import relaxation
from vnnverify.domains.planes import Ends, Planes
from vnnverify.domains.relaxation import Lines
from vnnverify.ir import Elementwise, Graph, Node, Value
from vnnverify.ops.bilinear import Mul

__all__ = ["Optimised", "Splits", "each_box", "optimise"]


@dataclass(frozen=True, slots=True, eq=False)
class Optimised:
    """What an ascent has found for R rows."""

    linear: backward.Linear  # sound bounds
    state: State  # one box a row, with the lines that attain them, and the multipliers

    @property
    def lower(self) -> Tensor:
        """The bounds: (R,)."""
        return self.linear.lower


@dataclass(frozen=True, slots=True, eq=False)
class Splits:
    """Splits on the argument of one elementwise operator, whose intervals hold them already."""

    side: Tensor  # (R, *shape): 1 where it was split to be >= lower, −1 to be <= upper, else 0
    multiplier: Tensor  # (R, *shape) what to start from, of the same sign


class _Choice:
    """The slopes of one node's lines below and above: s = middle + radius·p with p in [−1, 1]."""

    def __init__(self, node: Node, state: State) -> None:
        self.node = node
        self.ends = [state.interval[v] for v in node.inputs]
        if isinstance(node.op, Mul):  # between McCormick's two planes, from halfway on
            zero = torch.zeros_like(self.ends[0][0])
            self.middle, self.radius, start = (zero, zero), (zero + 1, zero + 1), (zero, zero)
        else:
            assert isinstance(node.op, Elementwise)
            own = state.lines[node]
            self.middle, self.radius = _range(node.op, *self.ends[0], own)
            slopes = own.below_slope, own.above_slope
            below, above = (
                torch.where(r > 0, (s - m) / r.clamp(min=1e-30), 0.0)
                for s, m, r in zip(slopes, self.middle, self.radius, strict=True)
            )
            start = below, above
        self.below, self.above = (
            p.clone().requires_grad_(bool((r > 0).any())) for p, r in zip(start, self.radius, strict=True)
        )

    domain = (-1.0, 1.0)

    @property
    def parameters(self) -> list[Tensor]:
        return [p for p in (self.below, self.above) if p.requires_grad]

    def place(self, state: State) -> None:
        """Write the lines at the current parameters into the state of the ascent."""
        lines = self.lines()
        if isinstance(lines, Planes):
            state.planes[self.node] = lines
        else:
            state.lines[self.node] = lines

    def certify(self, state: State, node: Node) -> None:
        """The chosen slopes with offsets of the exact type, for the same node there. Lines that are best
        everywhere stay as they are."""
        chosen = self.lines()
        if isinstance(chosen, Lines):
            own = state.lines[node]
            below = torch.where(self.radius[0] > 0, chosen.below_slope.to(own.below_slope), own.below_slope)
            above = torch.where(self.radius[1] > 0, chosen.above_slope.to(own.above_slope), own.above_slope)
            chosen = Lines(below, chosen.below_offset, above, chosen.above_offset)
        state.note_slopes(node, chosen)

    def lines(self) -> Lines | Planes:
        """The lines or planes at the current parameters, differentiable in them."""
        if isinstance(self.node.op, Mul):
            return self._planes()
        assert isinstance(self.node.op, Elementwise)
        below = self.middle[0] + self.radius[0] * self.below
        above = self.middle[1] + self.radius[1] * self.above
        low = _offset(self.node.op, self.ends[0], below, least=True)
        high = _offset(self.node.op, self.ends[0], above, least=False)
        return Lines(below, low, above, high)

    def _planes(self) -> Planes:
        """Between McCormick's two planes on either side; a mean of two valid planes is one."""
        (lx, ux), (ly, uy) = self.ends
        known = torch.isfinite(ux - lx) & torch.isfinite(uy - ly)

        def between(a: Tensor, b: Tensor, p: Tensor, unknown: float = 0.0) -> Tensor:
            return torch.where(known, (a + b) / 2 + (b - a) / 2 * p, unknown)

        inf = float("inf")
        below = between(ly, uy, self.below), between(lx, ux, self.below)
        above = between(uy, ly, self.above), between(lx, ux, self.above)
        low = between(-lx * ly, -ux * uy, self.below, -inf)
        high = between(-lx * uy, -ux * ly, self.above, inf)
        return Planes(*below, low, *above, high)


class _Multiplier:
    """The multipliers of one node's splits, in units of the largest coefficient of its row."""

    def __init__(self, node: Node, splits: Splits, coefficients: Tensor, most: float) -> None:
        self.node = node
        axes = tuple(range(1, coefficients.dim()))
        size = coefficients.abs().amax(dim=axes, keepdim=True).clamp(min=1e-30)
        self.unit = splits.side.to(size.dtype) * size
        start = (splits.multiplier.abs().to(size.dtype) / size).clamp(max=most)
        self.domain = (0.0, most)
        self.relative = torch.where(splits.side != 0, start, 0.0).requires_grad_()

    @property
    def parameters(self) -> list[Tensor]:
        return [self.relative]

    def place(self, state: State) -> None:
        """Write the multipliers into the state of the ascent."""
        state.multiplier[self.node] = self.unit * self.relative

    def certify(self, state: State, node: Node) -> None:
        """Write them into the exact state, for the same node there."""
        state.multiplier[node] = (self.unit * self.relative).to(state.lower.dtype)


def _range(
    op: Elementwise, lower: Tensor, upper: Tensor, own: Lines
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Middle and radius of the slopes worth looking at, below and above: those between the derivatives at the
    ends and in the middle. No others where a line touches f at both ends, for then it is best everywhere."""
    derivatives = (op.derivative(x) for x in (lower, (lower + upper) / 2, upper))
    known = [torch.where(torch.isfinite(s), s, own.below_slope) for s in derivatives]
    slopes = torch.stack([*known, own.below_slope, own.above_slope])
    low, high = slopes.amin(dim=0), slopes.amax(dim=0)
    at = torch.stack([lower, upper])
    value = op(at)
    size = value.abs().amax(dim=0) + (value[1] - value[0]).abs()
    middles, radii = [], []
    for slope, offset in ((own.below_slope, own.below_offset), (own.above_slope, own.above_offset)):
        gap = (value - slope * at - offset).abs().amax(dim=0)
        moves = (gap > 1e-5 * size) & torch.isfinite(gap) & torch.isfinite(high - low) & (upper > lower)
        middles.append(torch.where(moves, (low + high) / 2, slope))
        radii.append(torch.where(moves, (high - low) / 2, 0.0))
    return (middles[0], middles[1]), (radii[0], radii[1])


def _offset(op: Elementwise, ends: Ends, slope: Tensor, *, least: bool) -> Tensor:
    with torch.no_grad():
        fixed = slope.detach()
        offset = relaxation.band(op, *ends, fixed)[0 if least else 1]
        point = relaxation.contact(op, *ends, fixed, least=least)
    return offset - (slope - fixed) * point


def each_box(state: State, box: Tensor) -> State:
    """The state of every row's box: intervals, lines and planes (R, …)."""

    def take(t: Tensor) -> Tensor:
        return t.expand(box.numel(), *t.shape[1:]) if state.batch == 1 else t[box]

    region = None if state.region is None else state.region.take(box)
    ends = take(state.lower), take(state.upper)
    rows = State(*ends, error=dict(state.error), rule=state.rule, region=region)
    rows.interval = {v: (take(low), take(high)) for v, (low, high) in state.interval.items()}
    rows.lines = {n: Lines(*(take(getattr(s, f.name)) for f in fields(s))) for n, s in state.lines.items()}
    rows.planes = {n: Planes(*(take(getattr(s, f.name)) for f in fields(s))) for n, s in state.planes.items()}
    return rows


def optimise(
    graphs: tuple[Graph, Graph],
    states: tuple[State, State],
    start: Mapping[Value, Tensor],
    const: Tensor,
    box: Tensor,
    steps: int,
    deadline: Deadline,
    splits: Mapping[Value, Splits] | None = None,
    settings: LineSettings | None = None,
) -> Optimised:
    """Lower bounds of Σ_v start[v]·v + const over each row's box.

    Args:
        graphs: the same prepared graph in float64 and in the type of the ascent.
        states: what is known of the boxes, in either type, with lines and planes of every nonlinear node.
        start: coefficients (R, *shape) in float64.
        const: (R,) in float64.
        box: (R,) the box of each row.
        splits: by the output of the operator; their multipliers are optimised as well.
        settings: of the ascent. None: the defaults.

    Raises:
        OutOfTime: the deadline came before there was a bound.
    """
    settings = settings or LineSettings()
    exact, fast = graphs
    R = const.numel()
    rows = backward.Rows(R, per_box=1)
    work, proof = each_box(states[1], box), each_box(states[0], box)
    work.error = {}
    nodes = {n.output: n for n in exact.nodes}
    choices: list[_Choice | _Multiplier] = [
        _Choice(n, work) for n in fast.nodes if isinstance(n.op, Elementwise | Mul)
    ]
    dtype = work.lower.dtype
    rough = {v: t.to(dtype) for v, t in start.items()}
    if splits:
        trace: dict[Node, Tensor] = {}
        backward.lower_bounds(fast, work, rough, rows, const.to(dtype), trace)
        choices += [
            _Multiplier(n, splits[n.output], trace[n], settings.line_most)
            for n in fast.nodes
            if n.output in splits and n in trace
        ]
    parameters = [p for choice in choices for p in choice.parameters]

    def bound() -> Tensor:
        """The rows' bounds at the current parameters."""
        for choice in choices:
            choice.place(work)
        return backward.lower_bounds(fast, work, rough, rows, const.to(dtype)).lower

    def project() -> None:
        """Back to what is allowed."""
        for choice in choices:
            for p in choice.parameters:
                p.clamp_(*choice.domain)

    best = ascend(
        Differentiated(bound, lambda: parameters, project),
        steps,
        deadline,
        rate=settings.line_rate,
        decay=settings.line_decay,
        until_proved=False,
    )
    deadline.check()
    with torch.no_grad():
        for old, new in zip(best.columns, parameters, strict=True):
            new.copy_(old)
        for choice in choices:
            deadline.check()
            choice.certify(proof, nodes[choice.node.output])
        return Optimised(backward.lower_bounds(exact, proof, start, rows, const), proof)
