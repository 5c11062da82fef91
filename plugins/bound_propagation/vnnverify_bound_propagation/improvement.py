# SPDX-License-Identifier: Apache-2.0
"""Better bounds inside the network than plain backward rows give: slopes, and lines of every operator,
optimised for each open neuron by itself.

Three kinds of ascent, each where it pays: rows that are patches of an image choose the slopes of ReLUs for
themselves; whole rows of networks of ReLUs alone are a Lagrangian dual, which can split neurons as well;
whole rows of other networks optimise the lines of every operator.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify import Deadline
from vnnverify.bounds import backward
from vnnverify.bounds.backward.margins import margin_rows
from vnnverify.bounds.backward.units import Ends, unit_bounds
from vnnverify.bounds.influence import influence
from vnnverify.bounds.intervals import uncross
from vnnverify.bounds.optimise.lines import optimise
from vnnverify.bounds.optimise.row_slopes import RowSlopes, ascend, best_cases
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.state import State, in_type
from vnnverify.bounds.threads import in_threads, worthwhile_threads
from vnnverify.deadline import OutOfTime
from vnnverify.domains import interval
from vnnverify.ir import Affine, Value, flat
from vnnverify.numerics import subnormals_flushed
from vnnverify.ops.piecewise import Relu
from vnnverify_bound_propagation.dual import Dual
from vnnverify_bound_propagation.pruning import without_dead
from vnnverify_bound_propagation.splits import bound_by_cases, case_bytes

__all__ = ["Improvement", "Margins"]

NARROW = 4
"""How many times as many numbers as a patch the largest value must have for patches to be taken."""
ASCENT_COPIES, STEP_COST = 8, 3
"""Copies of a row that are alive while its slopes are optimised, and how many times as long a gradient step
takes as a bound."""
NEARLY_ALL = 0.95
"""Only neurons are bettered that cost the margins this part of what all neurons of their layer do."""
MANY_STEPS, QUICK = 8, 0.15
"""Gradient steps after which slopes hardly change, and the part of the time left that a value may take for
them."""


@dataclass(frozen=True, slots=True)
class Margins:
    """Lower bounds A y − b of R rows over their boxes, all of which are wanted."""

    A: Tensor  # (R, m)
    b: Tensor  # (R,)
    box: Tensor  # (R,)


class Improvement:
    """Betters what a state knows.

    Args:
        tool: what has bounded the state.
        state: bounds of every value; they are bettered in place.
        margins: what the bounds are for. None: for the outputs as such.
    """

    def __init__(self, tool: Propagator, state: State, margins: Margins | None = None) -> None:
        self.tool, self.state = tool, state
        self.margins = margins
        self.needed, self.loss = tool.influence, dict[Value, Tensor]()

    def run(self, steps: int, deadline: Deadline, splits: int = 0) -> bool:
        """Better bounds of every value from the inputs on. Past the deadline what was found stays, and only
        intervals and lines follow from it.

        Only elements are bettered that outputs still depend on, and only where plain backward rows had been
        better than intervals.

        Args:
            steps: gradient steps for each bound; there are more of them where that is soon done, and with
                none these values alone are bettered.
            splits: so many earlier neurons are split for each bound, those that cost it most; only where
                that is soon done, if there are more operators than ReLUs.

        Returns:
            Whether there was anything to do.
        """
        tool, state = self.tool, self.state
        outputs = tool.outputs
        if outputs is None:
            outputs = torch.ones(tool.graph.output_size, dtype=torch.bool, device=state.lower.device)
        exact = tool.graph.to(state.lower.device, torch.float64)
        self.needed = influence(exact, outputs, state.interval)
        self.loss = self._losses()
        bettered = False
        for node in tool.graph.nodes:
            found = interval.domain.rule_for(node)(node.op, [state.interval[v] for v in node.inputs], node)
            known, value = state.interval[node.output], node.output
            state.interval[value] = uncross(torch.fmax(known[0], found[0]), torch.fmin(known[1], found[1]))
            state.note(node)
            if value not in tool.plan.refine or deadline.expired or not self._worthwhile(value):
                continue
            narrow = self._narrow(value) and (not splits or not tool.only_relus)
            if narrow and self._expected(value) * (1 << splits) <= QUICK * deadline.remaining():
                self._choose_slopes(value, max(steps, MANY_STEPS), deadline, splits)
            elif not steps:
                continue
            elif narrow:
                self._choose_slopes(value, steps, deadline, 0)
            elif tool.only_relus:
                self._ascend(value, steps, deadline, splits)
            else:
                self._optimise(value, steps, deadline)
            bettered = True
        return bettered

    def with_slopes(self, value: Value, steps: int, deadline: Deadline) -> bool:
        """Better bounds of one value, as `run` does, if its rows are patches all the way down, which is
        returned."""
        if not (self._narrow(value) and self._worthwhile(value)):
            return False
        self._choose_slopes(value, steps, deadline, 0)
        return True

    @property
    def narrow(self) -> bool:
        """Whether rows over any value are patches all the way down."""
        return any(self._narrow(value) for value in self.tool.plan.refine)

    def _open(self, value: Value, lower: Tensor, upper: Tensor) -> Tensor:
        return self.tool.open_elements(value, lower, upper, self.needed)

    def _losses(self) -> dict[Value, Tensor]:
        """What the relaxation of each ReLU costs the margins, (B, size) by its argument: the offset of the
        line above times the coefficients it was multiplied with, which are the derivative."""
        if self.margins is None or not self.narrow:
            return {}
        start, const = margin_rows(self.tool.graph, self.state, self.margins.A, self.margins.b)
        part, fast = in_type(torch.float32, self.tool.graph, self.state)
        fast.error = {}
        offsets: dict[Value, Tensor] = {}
        for node, lines in fast.lines.items():
            if isinstance(node.op, Relu):
                offset = lines.above_offset.clone().requires_grad_()
                fast.lines[node] = dataclasses.replace(lines, above_offset=offset)
                offsets[node.inputs[0]] = offset
        if not offsets:
            return {}
        rows = backward.Rows(const.numel(), box=self.margins.box)
        rough = {v: t.float() for v, t in start.items()}
        with torch.enable_grad(), subnormals_flushed():
            total = backward.lower_bounds(part, fast, rough, rows, const.float(), ends_only=True).lower.sum()
            slopes = torch.autograd.grad(total, list(offsets.values()), allow_unused=True)
        pairs = zip(offsets.items(), slopes, strict=True)
        return {v: flat(-torch.nan_to_num(d * o.detach())) for (v, o), d in pairs if d is not None}

    def _costly(self, value: Value, open_: Tensor) -> Tensor:
        """Those of the open elements (B, size) that cost the margins nearly all of what all of them do."""
        loss = self.loss.get(value)
        if loss is None:
            return open_
        cost = loss.masked_fill(~open_, 0.0).clamp(min=0).to(torch.float64)
        ordered = cost.flatten().sort(descending=True).values
        spent = ordered.cumsum(0)
        count = int((spent < NEARLY_ALL * spent[-1]).sum())
        return open_ & (cost >= ordered[count]) & (cost > 0)

    def _worthwhile(self, value: Value) -> bool:
        pace = self.tool.pace.get(value)
        return pace is None or pace.gained

    def _expected(self, value: Value) -> float:
        """Seconds that many steps for a value should take, from how long its rows took."""
        pace = self.tool.pace.get(value)
        if pace is None:
            return 0.0
        lower, upper = (flat(end) for end in self.state.interval[value])
        count = 2 * int(self._costly(value, self._open(value, lower, upper)).sum())
        return pace.seconds * count * (1 + STEP_COST * MANY_STEPS)

    def _narrow(self, value: Value) -> bool:
        """Whether rows over a value are patches all the way down, through ReLUs alone."""
        pace, graph = self.tool.pace.get(value), self.tool.plan.below[value]
        if pace is None or not all(isinstance(node.op, Affine | Relu) for node in graph.nodes):
            return False
        largest = max(node.output.size for node in graph.nodes)
        return NARROW * pace.widest <= largest

    def _choose_slopes(self, value: Value, steps: int, deadline: Deadline, splits: int) -> None:
        """Bounds with slopes of ReLUs that each row chooses for itself, and the best of its cases; the end
        nearer to zero first."""
        tool, state = self.tool, self.state
        graph = tool.plan.below[value]
        part, fast = in_type(torch.float32, graph, state)
        fast.error = {}
        proof = state.for_any_slopes()

        def rough(rows: Ends) -> Callable[[RowSlopes], backward.Linear]:
            box, element, sign = rows
            return lambda c: unit_bounds(part, value, fast.with_row_slopes(c), (box, element, sign.float()))

        def bounds_of(rows: Ends) -> tuple[Tensor, int]:
            """Lower bounds of these rows, and the numbers that one of them had at most."""
            choice, last = ascend(rough(rows), steps, deadline)
            found = unit_bounds(graph, value, proof.with_row_slopes(choice), rows).lower
            if splits and not deadline.expired:
                box, element, sign = (r.repeat_interleave(1 << splits) for r in rows)
                cases = box, element, sign
                chosen = best_cases(rough(rows), rough(cases), choice, splits, steps, deadline)
                if chosen is not None:
                    each = unit_bounds(graph, value, proof.with_row_slopes(chosen), cases).lower
                    found = torch.fmax(found, each.reshape(len(found), -1).amin(dim=1))
            return found, last.widest << splits

        shape = state.interval[value][0].shape
        lower, upper = (flat(end).clone() for end in state.interval[value])
        open_ = self._costly(value, self._open(value, lower, upper))
        near = torch.where(-lower < upper, 1.0, -1.0).to(lower.dtype)
        for side in (near, -near):
            box, element = open_.nonzero(as_tuple=True)
            rows = box, element, side[box, element]
            tool.refine_ends(value, (lower, upper), rows, bounds_of, deadline, ASCENT_COPIES)
            open_ &= self._open(value, lower, upper)
        state.interval[value] = uncross(lower.reshape(shape), upper.reshape(shape))

    def _ascend(self, value: Value, steps: int, deadline: Deadline, splits: int) -> None:
        """Bounds with optimised slopes for the elements whose sign is still open."""
        tool, state = self.tool, self.state
        exact = Dual(*without_dead(tool.plan.below[value], state))
        if exact.size == 0:
            return
        fast = Dual(*in_type(torch.float32, exact.graph, exact.root))
        lower, upper = (flat(end).clone() for end in state.interval[value])
        box, element = self._open(value, lower, upper).nonzero(as_tuple=True)
        if not box.numel():
            return
        threads = worthwhile_threads(2 * box.numel(), exact.size, lower.device)
        at_once = max(1, tool.rows_at_once(lower.device) // 2)
        fit = max(1, tool.memory // (2 * threads * case_bytes(fast, splits)))
        step = max(1, min(at_once, fit, -(-box.numel() // threads)))

        def work(part: tuple[Tensor, Tensor]) -> None:
            """Better both ends of these elements."""
            if deadline.expired:
                return
            b, e = (t.repeat(2) for t in part)
            unit = torch.zeros(b.numel(), 1, value.size, device=b.device)
            sign = torch.ones(b.numel(), device=b.device)
            sign[b.numel() // 2 :] = -1.0
            unit[torch.arange(b.numel(), device=b.device), 0, e] = sign
            problems = fast.problems(b, unit, unit.new_zeros(b.numel(), 1))
            found, _ = bound_by_cases(fast, exact, problems, steps, splits, at_once, deadline)
            below, above = found.chunk(2)
            lower[part] = torch.fmax(lower[part], below)
            upper[part] = torch.fmin(upper[part], -above)

        parts = list(zip(box.split(step), element.split(step), strict=True))
        in_threads(work, parts, at_most=None if lower.device.type == "cpu" else 1)
        shape = state.interval[value][0].shape
        state.interval[value] = uncross(lower.reshape(shape), upper.reshape(shape))

    def _optimise(self, value: Value, steps: int, deadline: Deadline) -> None:
        """Bounds with optimised lines of every operator for the elements that are not known well enough."""
        tool, state = self.tool, self.state
        graph = tool.plan.below[value]
        part, fast = in_type(torch.float32, graph, state)
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
            const = unit.new_zeros(2 * count)
            try:
                found = optimise(
                    (graph, part), (state, fast), rows, const, b.repeat(2), steps, deadline
                ).lower
            except OutOfTime:
                break
            lower[b, e] = torch.fmax(lower[b, e], found[:count])
            upper[b, e] = torch.fmin(upper[b, e], -found[count:])
        shape = state.interval[value][0].shape
        state.interval[value] = uncross(lower.reshape(shape), upper.reshape(shape))
