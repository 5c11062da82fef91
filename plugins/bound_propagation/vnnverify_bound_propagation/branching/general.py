# SPDX-License-Identifier: Apache-2.0
"""Subproblems with splits on the argument of any elementwise operator: sigmoids, exponentials, sines, ReLUs.

A split at a kink makes a piecewise linear operator linear on either side; a split elsewhere makes a curve
flatter. Intervals are pushed through the network anew for each subproblem, lines are chosen where they have
shrunk, and optimised together with the multipliers of the splits.

Source: Shi et al., arXiv:2405.21063 (branching on general nonlinearities).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vnnverify import Context
from vnnverify.bounds import backward
from vnnverify.bounds.backward.margins import margin_rows
from vnnverify.bounds.optimise.lines import Splits, each_box, optimise
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.state import State, in_type
from vnnverify.domains import interval, relaxation
from vnnverify.domains.planes import mccormick
from vnnverify.domains.relaxation import Lines
from vnnverify.ir import Elementwise, Node, Value, flat
from vnnverify.ops.bilinear import Mul
from vnnverify.search import ActivationBounds, Branches, bound_in_threads
from vnnverify_bound_propagation.branching.specifications import UnsafePolytope, reached, stacked
from vnnverify_bound_propagation.schedule.settings import Settings

__all__ = ["LineBounder"]


class LineBounder:
    """Bounds of subproblems in float64, with lines sought in float32.

    Args:
        tool: bounds the graph in float64.
        root: one box for each polytope, with lines chosen for it.
        rows: (polytopes,) which row of its polytope the lines of each polytope were chosen for.
    """

    def __init__(
        self,
        tool: Propagator,
        root: State,
        polytopes: Sequence[UnsafePolytope],
        rows: Tensor,
        ctx: Context,
        settings: Settings,
    ) -> None:
        self.tool, self.root, self.ctx, self.settings = tool, root, ctx, settings
        self.nodes = [n for n in tool.graph.nodes if isinstance(n.op, Elementwise)]
        sizes = [n.output.size for n in self.nodes]
        self.size = sum(sizes)
        self.parts = list(zip(self.nodes, torch.tensor([0, *sizes]).cumsum(0).tolist(), sizes, strict=False))
        device = root.lower.device
        self.C, self.d, self.strict, self.real = (
            t.to(device) for t in stacked(polytopes, tool.graph.output_size)
        )
        at = torch.arange(len(polytopes), device=device)
        self.A, self.b = self.C[at, rows], self.d[at, rows]

    def start(self) -> tuple[Branches, ActivationBounds]:
        """The polytopes without splits."""
        branches = Branches.roots(len(self.b), self.b.device, torch.float64)
        return branches, self.bound(branches)

    def bound(self, branches: Branches) -> ActivationBounds:
        """Sound bounds; subproblems in parts that fit the memory."""
        return bound_in_threads(self._in_parts, branches, self.tool.widest)

    def _in_parts(self, branches: Branches) -> ActivationBounds:
        size = max(1, 2 * self.tool.rows_optimised(self.tool.graph) // torch.get_num_threads())
        index = torch.arange(len(branches), device=branches.polytope.device)
        return ActivationBounds.joined(
            [self._bound(branches.take(part)) for part in torch.split(index, size)]
        )

    def violated(self, polytope: Tensor, x: Tensor) -> Tensor:
        rows = self.C[polytope], self.d[polytope]
        return reached(*rows, self.strict[polytope], self.real[polytope], self.tool.graph(x))

    def _bound(self, branches: Branches) -> ActivationBounds:
        self.ctx.deadline.check()
        state, splits = self._with_splits(branches)
        graph = self.tool.graph
        part, fast = in_type(torch.float32, graph, state)
        start, const = margin_rows(
            self.tool.graph, state, self.A[branches.polytope], self.b[branches.polytope]
        )
        own = torch.arange(len(branches), device=const.device)
        steps, deadline = self.settings.curve_steps, self.ctx.deadline
        found = optimise(
            (graph, part), (state, fast), start, const, own, steps, deadline, splits, self.settings
        )
        lower = torch.where(torch.isfinite(found.lower), found.lower, -float("inf"))
        point = torch.where(found.linear.A > 0, state.lower, state.upper)
        element, threshold = self._candidates(found.state, start, const)
        multiplier = self._multipliers(found.state, branches)
        first = torch.zeros(*element.shape, 2, dtype=torch.float64, device=element.device)
        return ActivationBounds(lower, multiplier, {}, point, element, threshold, first)

    def _with_splits(self, branches: Branches) -> tuple[State, dict[Value, Splits]]:
        """What is known of each subproblem: intervals, and lines where these have shrunk."""
        root = each_box(self.root, branches.polytope)
        state = State(root.lower, root.upper, dict(root.interval), error=root.error)
        splits: dict[Value, Splits] = {}
        for node, at, size in self.parts:
            here = (branches.element >= at) & (branches.element < at + size) & (branches.side != 0)
            if bool(here.any()):
                splits[node.output] = self._split(state, branches, node, at, here)
        for node in self.tool.graph.nodes:
            value = node.output
            found = interval.domain.rule_for(node)(node.op, [state.interval[v] for v in node.inputs], node)
            low, high = (
                torch.fmax(state.interval[value][0], found[0]),
                torch.fmin(state.interval[value][1], found[1]),
            )
            state.interval[value] = torch.minimum(low, high), torch.maximum(low, high)
            if isinstance(node.op, Elementwise):
                self._note(node, node.op, root, state)
            elif isinstance(node.op, Mul):
                x, y = node.inputs
                shrunk = any(_shrunk(root, state, v) for v in (x, y))
                fresh = mccormick(state.interval[x], state.interval[y])
                state.note_slopes(node, fresh if shrunk else root.planes[node])
        return state, splits

    def _split(self, state: State, branches: Branches, node: Node, at: int, here: Tensor) -> Splits:
        """A node's argument cut by the splits `here` (N, T), in place; their sides and multipliers."""
        value = node.inputs[0]
        lower, upper = (flat(end).clone() for end in state.interval[value])
        side, multiplier = torch.zeros_like(lower), torch.zeros_like(lower)
        row, t = here.nonzero(as_tuple=True)
        e, threshold = branches.element[row, t] - at, branches.threshold[row, t]
        up = branches.side[row, t] > 0
        lower.view(-1).scatter_reduce_(0, (row * lower.shape[1] + e)[up], threshold[up], reduce="amax")
        upper.view(-1).scatter_reduce_(0, (row * upper.shape[1] + e)[~up], threshold[~up], reduce="amin")
        side[row, e] = torch.where(up, 1.0, -1.0).to(side)
        multiplier[row, e] = branches.multiplier[row, t]
        shape = (len(branches), *value.shape)
        low, high = torch.minimum(lower, upper), torch.maximum(lower, upper)
        state.interval[value] = low.reshape(shape), high.reshape(shape)
        multiplier = torch.where(multiplier * side > 0, multiplier, 0.0)
        return Splits(side.reshape(shape), multiplier.reshape(shape))

    def _note(self, node: Node, op: Elementwise, root: State, state: State) -> None:
        """The root's slopes where the argument's interval is the root's, the operator's own elsewhere."""
        known, value = root.lines[node], node.inputs[0]
        if not _shrunk(root, state, value):
            state.note_slopes(node, known)
            return
        fresh = relaxation.lines(op, *state.interval[value])
        ends = zip(state.interval[value], root.interval[value], strict=True)
        same = torch.stack([a == b for a, b in ends]).all(dim=0)
        below = torch.where(same, known.below_slope, fresh.below_slope)
        above = torch.where(same, known.above_slope, fresh.above_slope)
        state.note_slopes(node, Lines(below, fresh.below_offset, above, fresh.above_offset))

    def _candidates(self, state: State, start: dict[Value, Tensor], const: Tensor) -> tuple[Tensor, Tensor]:
        """Elements (N, k) whose lines cost the bound most, -1 where none is open, and where to split them."""
        trace: dict[Node, Tensor] = {}
        rows = backward.Rows(const.numel(), per_box=1)
        backward.lower_bounds(self.tool.graph, state, start, rows, const, trace)
        scores, thresholds = [], []
        for node, _, size in self.parts:
            lower, upper = (flat(end) for end in state.interval[node.inputs[0]])
            middle = (lower + upper) / 2
            op = node.op
            assert isinstance(op, Elementwise)
            for kink in op.kinks or ():
                middle = torch.where((lower < kink) & (upper > kink), kink, middle)
            thresholds.append(middle)
            if node in trace:
                loss = flat(trace[node]).abs() * flat(state.middle_gap(node))
                can = (middle > lower) & (middle < upper) & torch.isfinite(loss) & (loss > 0)
                scores.append(torch.where(can, loss, -1.0))
            else:
                scores.append(torch.full((const.numel(), size), -1.0, dtype=const.dtype, device=const.device))
        value, element = torch.cat(scores, 1).topk(min(self.settings.curve_candidates, self.size), dim=1)
        return torch.where(value >= 0, element, -1), torch.cat(thresholds, 1).gather(1, element)

    def _multipliers(self, state: State, branches: Branches) -> Tensor:
        """The multiplier that the ascent found for each split: (N, T)."""
        every = []
        for node, _, size in self.parts:
            found = state.multiplier.get(node)
            none = branches.multiplier.new_zeros(len(branches), size)
            every.append(none if found is None else flat(found))
        return torch.cat(every, 1).gather(1, branches.element.clamp(min=0)).to(branches.multiplier.dtype)


def _shrunk(root: State, state: State, value: Value) -> bool:
    ends = zip(state.interval[value], root.interval[value], strict=True)
    return any(a is not b and not torch.equal(a, b) for a, b in ends)
