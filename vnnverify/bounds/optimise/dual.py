# SPDX-License-Identifier: Apache-2.0
"""Linear lower bounds with optimised slopes and split multipliers, one row per subproblem.

    max over α, β, λ of  min over x in the box of  A(α, β, λ) x + c(α, β, λ)

α: slope below each open ReLU, in [0, 1]; β: multipliers of z_j >= l_j (positive) or z_j <= u_j (negative),
where the ends hold what is known of a value and the splits made on it; λ: weights of the rows of an
unsafe polytope. Any values give a valid bound, so the ascent computes in plain
floating point and `Dual.certify` evaluates the best values once more with every rounding error counted.

The gradient needs no automatic differentiation: at the minimising x the linearised network is run
forwards, and each parameter's derivative is a product of a backward coefficient and a forward value
(Danskin). The forward values are also the bound's own primal solution.

Source: Xu et al., arXiv:2011.13824 (α); Wang et al., arXiv:2103.06624 (β).
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from vnnverify.bounds import backward
from vnnverify.bounds.backward.margins import output_rows
from vnnverify.bounds.optimise.ascent import ascend
from vnnverify.bounds.optimise.dual_pass import DualWork, OpenRelus
from vnnverify.bounds.optimise.lines import each_box
from vnnverify.bounds.optimise.settings import DualSettings
from vnnverify.bounds.optimise.subproblems import DualSolution, Subproblems
from vnnverify.bounds.rounding import line_error
from vnnverify.bounds.state import State
from vnnverify.deadline import Deadline
from vnnverify.domains import relaxation
from vnnverify.domains.relaxation import Lines
from vnnverify.ir import Graph, Node, Value, flat
from vnnverify.ops.piecewise import Relu

__all__ = ["Dual"]


class Dual:
    """Bounds rows over the outputs of `graph` for subproblems of the boxes of `root`.

    Args:
        graph: prepared; its outputs are the targets of the rows.
        root: bounds and lines of every nonlinear node below the targets.
        settings: of the ascent. None: the defaults.
    """

    def __init__(self, graph: Graph, root: State, settings: DualSettings | None = None) -> None:
        self.graph = graph
        self.root = root
        self.settings = settings or DualSettings()
        self.units: dict[Node, OpenRelus] = {}
        start = 0
        lowers, uppers, alphas = [], [], []
        for node in graph.nodes:
            if not isinstance(node.op, Relu):
                continue
            lower, upper = (flat(end) for end in root.interval[node.inputs[0]])
            columns = ((lower < 0) & (upper > 0)).any(dim=0).nonzero()[:, 0]
            part = slice(start, start + columns.numel())
            self.units[node] = OpenRelus.of(node, columns, part, (lower >= 0).to(lower.dtype))
            start = part.stop
            lowers.append(lower[:, columns])
            uppers.append(upper[:, columns])
            alphas.append(flat(root.lines[node].below_slope)[:, columns])
        none = root.lower.new_zeros(root.batch, 0)
        self.lower = torch.cat([none, *lowers], 1)  # (B, U)
        self.upper = torch.cat([none, *uppers], 1)
        self.alpha = torch.cat([none, *alphas], 1)
        self.size = start

    def also_toward(self, value: Value) -> Dual:
        """The same open elements; the targets are `value`, then the outputs."""
        other = copy.copy(self)
        other.graph = self.graph.with_nodes(self.graph.nodes, [value, *self.graph.outputs])
        return other

    def problems(self, box: Tensor, rows: Tensor, offset: Tensor) -> Subproblems:
        """Subproblems without splits, at the root's slopes, with all weight on the first row."""
        D, P = offset.shape
        zero = rows.new_zeros(D, self.size)
        weight = rows.new_zeros(D, P)
        weight[:, 0] = 1
        ends = self.lower[box], self.upper[box]
        return Subproblems(box, rows, offset, *ends, self.alpha[box], zero, weight)

    def ascend(
        self, problems: Subproblems, steps: int, deadline: Deadline, *, decay: float | None = None
    ) -> DualSolution:
        """Improve the parameters of all subproblems in place; stops when every bound is positive.

        Args:
            steps: gradient steps; with 0 the given parameters are evaluated.
            decay: what remains of a step size after a step. None: as the settings have it.
        """
        settings = self.settings
        best = ascend(
            self._work(problems),
            steps,
            deadline,
            rate=settings.dual_rate,
            decay=settings.dual_decay if decay is None else decay,
            until_proved=problems.scale is None,
        )
        problems.alpha, problems.beta, problems.weight, *solution = best.columns
        return DualSolution(best.lower, *solution)

    def settle(self, problems: Subproblems, deadline: Deadline) -> DualSolution:
        """As `ascend`, where every sign is settled: a linear program, worth solving well."""
        settings = self.settings
        return self.ascend(problems, settings.dual_leaf_steps, deadline, decay=settings.dual_leaf_decay)

    def evaluate(self, problems: Subproblems) -> Tensor:
        """The bound of each subproblem at its parameters, in plain arithmetic: (D,)."""
        return self._work(problems).backward().bound

    def certify(self, problems: Subproblems) -> backward.Linear:
        """The bound of each subproblem at its parameters, every rounding error counted: (D,)."""
        state = self.proof(problems)
        weighted = problems.weight[:, :, None] * problems.rows
        D = len(problems)
        u = torch.finfo(weighted.dtype).eps
        size = torch.cat([flat(state.magnitude(v)) for v in self.graph.outputs], 1)
        start = output_rows(self.graph, weighted.sum(dim=1))
        count = 2 * (problems.offset.shape[1] + 3) * u
        shifted = problems.weight * problems.offset
        loss = count * ((weighted.abs().sum(dim=1) * size).sum(dim=1) + shifted.abs().sum(dim=1))
        return backward.lower_bounds(
            self.graph, state, start, backward.Rows(D, per_box=1), -shifted.sum(dim=1) - loss
        )

    def proof(self, problems: Subproblems) -> State:
        """What the bound of each subproblem at its parameters rests on, one box a subproblem: lines that
        hold as computed, and multipliers."""
        state = each_box(self.root, problems.box)
        for node, unit in self.units.items():
            if node in self.graph.nodes:
                self._certified_lines(unit, problems, state)
        return state

    def _work(self, problems: Subproblems) -> DualWork:
        return DualWork(self.graph, self.root, self.units, problems, self.settings)

    def _certified_lines(self, unit: OpenRelus, problems: Subproblems, state: State) -> None:
        """The lines of one ReLU node for each subproblem: the root's, anew for the open elements. An error
        that is the root's holds for them too, as every subproblem lies within its root."""
        value, op = unit.node.inputs[0], unit.node.op
        assert isinstance(op, Relu)
        shape = (len(problems), *value.shape)
        lower, upper = problems.lower[:, unit.part], problems.upper[:, unit.part]
        own, above = op.slopes(lower, upper)
        below = torch.where((lower < 0) & (upper > 0), problems.alpha[:, unit.part], own)
        low, _ = relaxation.band(op, lower, upper, below)
        _, high = relaxation.band(op, lower, upper, above)
        lines = Lines(below, low, above, high)

        def whole(of_root: Tensor, columns: Tensor) -> Tensor:
            return flat(of_root).index_copy(1, unit.columns, columns).reshape(shape)

        ends = state.interval[value]
        state.interval[value] = (whole(ends[0], lower), whole(ends[1], upper))
        root = state.lines[unit.node]
        state.lines[unit.node] = Lines(
            *(whole(getattr(root, name), getattr(lines, name)) for name in root.__slots__)
        )
        if unit.node in self.root.error:  # not where rounding is plain
            size = torch.maximum(lower.abs(), upper.abs())
            error = line_error(lines, size, value.size).amax(dim=0)
            state.error[unit.node] = self.root.error[unit.node].index_copy(0, unit.columns, error)
        beta = problems.beta[:, unit.part]
        if bool((beta != 0).any()):
            state.multiplier[unit.node] = whole(torch.zeros_like(ends[0]), beta)
