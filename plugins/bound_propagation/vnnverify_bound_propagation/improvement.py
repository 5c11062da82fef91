# SPDX-License-Identifier: Apache-2.0
"""Better bounds inside the network than plain backward rows give: slopes, and lines of every operator,
optimised for each open neuron by itself.

Three kinds of ascent, each where it pays: rows that are windows of an image choose the slopes of ReLUs for
themselves; whole rows of networks of ReLUs alone are a Lagrangian dual, which can split neurons as well;
whole rows of other networks optimise the lines of every operator.
"""

from __future__ import annotations

import torch

from vnnverify import Deadline
from vnnverify.domains import interval
from vnnverify.ir import Affine, Value, flat
from vnnverify.ops.piecewise import Relu
from vnnverify_bound_propagation.bounds import Ends, Propagator, uncross, unit_bounds
from vnnverify_bound_propagation.dual import Dual
from vnnverify_bound_propagation.influence import influence
from vnnverify_bound_propagation.lines import optimise
from vnnverify_bound_propagation.pruning import without_dead
from vnnverify_bound_propagation.row_slopes import ascend
from vnnverify_bound_propagation.splits import bound_by_cases
from vnnverify_bound_propagation.state import State

__all__ = ["Improvement"]

NARROW = 4
"""How many times as many numbers as a window the largest value must have for windows to be taken."""
ASCENT, STEP_COST = 2, 3
"""How many times as many numbers a window has while its slopes are optimised, and how many times as long a
gradient step takes as a bound."""


class Improvement:
    """Betters what a state knows.

    Args:
        tool: what has bounded the state.
        state: bounds of every value; they are bettered in place.
    """

    def __init__(self, tool: Propagator, state: State) -> None:
        self.tool, self.state = tool, state

    def run(self, steps: int, deadline: Deadline, splits: int = 0, most: float | None = None) -> None:
        """Better bounds of every value from the inputs on. Past the deadline what was found stays, and only
        intervals and lines follow from it.

        Only elements are bettered that outputs still depend on.

        Args:
            steps: gradient steps for each bound.
            splits: so many earlier neurons are split for each bound, those that cost it most.
            most: seconds that a value may be expected to take; those that would take longer are left alone.
        """
        tool, state = self.tool, self.state
        outputs = tool.outputs
        if outputs is None:
            outputs = torch.ones(tool.graph.output_size, dtype=torch.bool, device=state.lower.device)
        exact = tool.graph.to(state.lower.device, torch.float64)
        self.needed = influence(exact, outputs, state.interval)
        for node in tool.graph.nodes:
            found = interval.domain.rule_for(node)(node.op, [state.interval[v] for v in node.inputs], node)
            known, value = state.interval[node.output], node.output
            state.interval[value] = uncross(torch.fmax(known[0], found[0]), torch.fmin(known[1], found[1]))
            state.note(node)
            if value not in tool.plan.refine or deadline.expired:
                continue
            if most is not None and self._expected(value, steps) > most:
                continue
            if self._narrow(value) and not splits:
                self._choose_slopes(value, steps, deadline)
            elif tool.only_relus:
                self._ascend(value, steps, deadline, splits)
            else:
                self._optimise(value, steps, deadline)

    def _open(self, value: Value, lower: torch.Tensor, upper: torch.Tensor) -> torch.Tensor:
        return self.tool.open_elements(value, lower, upper, self.needed)

    def _expected(self, value: Value, steps: int) -> float:
        """Seconds that bettering a value should take, from how long its rows took."""
        pace = self.tool.pace.get(value)
        if pace is None:
            return 0.0
        lower, upper = (flat(end) for end in self.state.interval[value])
        count = 2 * int(self._open(value, lower, upper).sum())
        return pace.seconds * count * (1 + STEP_COST * steps)

    def _narrow(self, value: Value) -> bool:
        """Whether rows over a value are windows all the way down, through ReLUs alone."""
        pace, graph = self.tool.pace.get(value), self.tool.plan.below[value]
        if pace is None or not all(isinstance(node.op, Affine | Relu) for node in graph.nodes):
            return False
        largest = max(node.output.size for node in graph.nodes)
        return NARROW * pace.widest <= largest

    def _choose_slopes(self, value: Value, steps: int, deadline: Deadline) -> None:
        """Bounds with slopes of ReLUs that each row chooses for itself; the end nearer to zero first."""
        tool, state = self.tool, self.state
        graph = tool.plan.below[value]
        part, fast = tool.in_type(torch.float32, graph, state)
        fast.error = {}
        proof = state.for_any_slopes()

        def bounds_of(rows: Ends) -> tuple[torch.Tensor, int]:
            rough = rows[0], rows[1], rows[2].float()
            slopes, widest = ascend(
                lambda s: unit_bounds(part, value, fast.with_row_slopes(s), rough),
                steps,
                deadline,
            )
            return unit_bounds(graph, value, proof.with_row_slopes(slopes), rows).lower, ASCENT * widest

        shape = state.interval[value][0].shape
        lower, upper = (flat(end).clone() for end in state.interval[value])
        open_ = self._open(value, lower, upper)
        near = torch.where(-lower < upper, 1.0, -1.0).to(lower.dtype)
        for side in (near, -near):
            box, element = open_.nonzero(as_tuple=True)
            tool.refine_ends(value, (lower, upper), (box, element, side[box, element]), bounds_of, deadline)
            open_ &= self._open(value, lower, upper)
        state.interval[value] = uncross(lower.reshape(shape), upper.reshape(shape))

    def _ascend(self, value: Value, steps: int, deadline: Deadline, splits: int) -> None:
        """Bounds with optimised slopes for the elements whose sign is still open."""
        tool, state = self.tool, self.state
        exact = Dual(*without_dead(tool.plan.below[value], state))
        if exact.size == 0:
            return
        fast = Dual(*tool.in_type(torch.float32, exact.graph, exact.root))
        lower, upper = (flat(end).clone() for end in state.interval[value])
        box, element = self._open(value, lower, upper).nonzero(as_tuple=True)
        step = max(1, tool.rows_at_once(lower.device) // 2)
        for start in range(0, box.numel(), step):
            if deadline.expired:
                break
            b, e = box[start : start + step].repeat(2), element[start : start + step].repeat(2)
            unit = torch.zeros(b.numel(), 1, value.size, device=b.device)
            sign = torch.ones(b.numel(), device=b.device)
            sign[b.numel() // 2 :] = -1.0
            unit[torch.arange(b.numel(), device=b.device), 0, e] = sign
            problems = fast.problems(b, unit, unit.new_zeros(b.numel(), 1))
            found = bound_by_cases(fast, exact, problems, steps, splits, deadline)
            below, above = found.chunk(2)
            b, e = b[: below.numel()], e[: below.numel()]
            lower[b, e] = torch.fmax(lower[b, e], below)
            upper[b, e] = torch.fmin(upper[b, e], -above)
        shape = state.interval[value][0].shape
        state.interval[value] = uncross(lower.reshape(shape), upper.reshape(shape))

    def _optimise(self, value: Value, steps: int, deadline: Deadline) -> None:
        """Bounds with optimised lines of every operator for the elements that are not known well enough."""
        tool, state = self.tool, self.state
        graph = tool.plan.below[value]
        part, fast = tool.in_type(torch.float32, graph, state)
        lower, upper = (flat(end).clone() for end in state.interval[value])
        box, element = self._open(value, lower, upper).nonzero(as_tuple=True)
        step = tool.rows_optimised(graph)
        for start in range(0, box.numel(), step):
            if deadline.expired:
                break
            b, e = box[start : start + step], element[start : start + step]
            count = b.numel()
            unit = lower.new_zeros(2 * count, value.size)
            unit[torch.arange(2 * count), e.repeat(2)] = (
                torch.tensor([1.0, -1.0]).repeat_interleave(count).to(unit)
            )
            rows = {value: unit.reshape(-1, *value.shape)}
            found = optimise(
                (graph, part), (state, fast), rows, unit.new_zeros(2 * count), b.repeat(2), steps, deadline
            ).lower
            lower[b, e] = torch.fmax(lower[b, e], found[:count])
            upper[b, e] = torch.fmin(upper[b, e], -found[count:])
        shape = state.interval[value][0].shape
        state.interval[value] = uncross(lower.reshape(shape), upper.reshape(shape))
