# SPDX-License-Identifier: Apache-2.0
"""Tighter intermediate bounds than one backward pass gives: slopes, and lines of every operator, optimised
for each open neuron by itself.

Three kinds of ascent, each where it pays: rows that are patches of an image choose the slopes of ReLUs for
themselves; whole rows of networks of ReLUs alone are a Lagrangian dual, which can split neurons as well;
whole rows of other networks optimise the lines of every operator.
"""

from __future__ import annotations

import contextlib
from functools import partial

import torch
from torch import Tensor

from vnnverify.bounds.influence import influence
from vnnverify.bounds.intermediate.by_dual import refine_by_dual
from vnnverify.bounds.intermediate.by_lines import optimise_ends
from vnnverify.bounds.intermediate.by_row_slopes import refine_by_row_slopes
from vnnverify.bounds.intermediate.cost import Margins, costliest, relaxation_costs
from vnnverify.bounds.intermediate.settings import RefinementSettings
from vnnverify.bounds.intervals import uncross
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.state import State
from vnnverify.deadline import Deadline, OutOfTime
from vnnverify.domains import interval
from vnnverify.ir import Affine, Value, flat
from vnnverify.ops.piecewise import Relu

__all__ = ["Refinement"]


class Refinement:
    """Refines the intermediate bounds of a state.

    Args:
        tool: what has bounded the state.
        state: bounds of every value; they are refined in place.
        margins: what the bounds are for. None: for the outputs as such.
        settings: None: the defaults.
    """

    def __init__(
        self,
        tool: Propagator,
        state: State,
        margins: Margins | None = None,
        settings: RefinementSettings | None = None,
    ) -> None:
        self.tool, self.state = tool, state
        self.settings = settings or RefinementSettings()
        self.margins = margins
        self.needed, self.costs = tool.influence, dict[Value, Tensor]()

    def run(self, steps: int, deadline: Deadline, splits: int = 0) -> bool:
        """Refine the bounds of every value from the inputs on. Past the deadline what was found stays, and
        only intervals and lines follow from it.

        Only elements are refined that outputs still depend on, and only where plain backward rows had been
        better than intervals.

        Args:
            steps: gradient steps for each bound; there are more of them where that is soon done, and with
                none these values alone are refined.
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
        self.costs = {}
        if self.margins is not None and self.narrow:
            self.costs = relaxation_costs(tool.graph, state, self.margins)
        refined = False
        for node in tool.graph.nodes:
            found = interval.domain.rule_for(node)(node.op, [state.interval[v] for v in node.inputs], node)
            known, value = state.interval[node.output], node.output
            state.interval[value] = uncross(torch.fmax(known[0], found[0]), torch.fmin(known[1], found[1]))
            state.note(node)
            if value not in tool.plan.refine or deadline.expired or not self._worthwhile(value):
                continue
            narrow = self._narrow(value) and (not splits or not tool.only_relus)
            if (
                narrow
                and self._expected(value) * (1 << splits) <= self.settings.patch_share * deadline.remaining()
            ):
                self._by_row_slopes(value, max(steps, self.settings.patch_steps), splits, deadline)
            elif not steps:
                continue
            elif narrow:
                self._by_row_slopes(value, steps, 0, deadline)
            elif tool.only_relus:
                self._by_dual(value, steps, splits, deadline)
            else:
                self._by_lines(value, steps, deadline)
            refined = True
        return refined

    def with_slopes(self, value: Value, steps: int, deadline: Deadline) -> bool:
        """Refine the bounds of one value, as `run` does, if its rows are patches all the way down, which is
        returned."""
        if not (self._narrow(value) and self._worthwhile(value)):
            return False
        self._by_row_slopes(value, steps, 0, deadline)
        return True

    @property
    def narrow(self) -> bool:
        """Whether rows over any value are patches all the way down."""
        return any(self._narrow(value) for value in self.tool.plan.refine)

    def _open(self, value: Value, lower: Tensor, upper: Tensor) -> Tensor:
        return self.tool.open_elements(value, lower, upper, self.needed)

    def _costliest(self, value: Value, lower: Tensor, upper: Tensor) -> Tensor:
        return costliest(self.costs.get(value), self._open(value, lower, upper), self.settings.costly_part)

    def _by_row_slopes(self, value: Value, steps: int, splits: int, deadline: Deadline) -> None:
        open_of = partial(self._costliest, value)
        refine_by_row_slopes(self.tool, self.state, value, open_of, steps, splits, deadline, self.settings)

    def _by_dual(self, value: Value, steps: int, splits: int, deadline: Deadline) -> None:
        open_of = partial(self._open, value)
        refine_by_dual(self.tool, self.state, value, open_of, steps, splits, deadline, self.settings)

    def _by_lines(self, value: Value, steps: int, deadline: Deadline) -> None:
        tool, state = self.tool, self.state
        graph = tool.plan.below[value]
        lower, upper = (flat(end).clone() for end in state.interval[value])
        open_ = self._open(value, lower, upper)
        with contextlib.suppress(OutOfTime):  # what was found by then is kept
            at_once = tool.rows_optimised(graph)
            optimise_ends(graph, value, state, (lower, upper), open_, at_once, steps, deadline, self.settings)
        shape = state.interval[value][0].shape
        state.interval[value] = uncross(lower.reshape(shape), upper.reshape(shape))

    def _worthwhile(self, value: Value) -> bool:
        pace = self.tool.pace.get(value)
        return pace is None or pace.gained

    def _expected(self, value: Value) -> float:
        """Seconds that many steps for a value should take, from how long its rows took."""
        pace = self.tool.pace.get(value)
        if pace is None:
            return 0.0
        lower, upper = (flat(end) for end in self.state.interval[value])
        count = 2 * int(self._costliest(value, lower, upper).sum())
        return pace.seconds * count * (1 + self.settings.patch_step_cost * self.settings.patch_steps)

    def _narrow(self, value: Value) -> bool:
        """Whether rows over a value are patches all the way down, through ReLUs alone."""
        pace, graph = self.tool.pace.get(value), self.tool.plan.below[value]
        if pace is None or not all(isinstance(node.op, Affine | Relu) for node in graph.nodes):
            return False
        largest = max(node.output.size for node in graph.nodes)
        return self.settings.patch_factor * pace.widest <= largest
