# SPDX-License-Identifier: Apache-2.0
"""Linear lower bounds with optimised slopes and split multipliers, one row per sub-problem.

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
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vnnverify import Deadline
from vnnverify.bounds import backward
from vnnverify.bounds.optimise.adam import direction
from vnnverify.bounds.rounding import line_error
from vnnverify.bounds.state import State
from vnnverify.domains import relaxation
from vnnverify.domains.planes import Planes
from vnnverify.domains.relaxation import Lines
from vnnverify.ir import Elementwise, Graph, Node, Value, flat
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.piecewise import Relu
from vnnverify_bound_propagation.problems import Ascent, Problems

__all__ = ["Dual", "onto_simplex"]

RATE, DECAY = 0.5, 0.9
"""Step size of slopes, and what remains of every step size after one step."""
BETA_RATE, OPEN_RATE = 0.1, 0.001
"""Step sizes of multipliers, relative to the largest coefficient of their layer: where the sign is settled
by a split, and where it is open."""
LEAF_STEPS, LEAF_DECAY = 300, 0.985
"""Gradient steps where every sign is settled, and how slowly their size falls."""
WEIGHT_RATE = 0.5
"""Step size of multipliers of the unsafe rows, relative to `Problems.scale`."""


@dataclass(frozen=True, slots=True, eq=False)
class _Unit:
    """The open elements of one ReLU node: columns of its flattened input, and their place in (…, U)."""

    node: Node
    columns: Tensor  # (u,)
    at: Tensor | slice  # the same columns, as a slice if they are side by side
    part: slice
    slope: Tensor | None  # (B, N) exact slope where the sign is known; None: it is one everywhere


@dataclass(slots=True, eq=False)
class _Pass:
    """One backward pass: what the forward pass and the gradient need of it."""

    bound: Tensor
    point: Tensor
    coefficient: dict[Node, Tensor] = field(default_factory=dict)  # units: (D, u)
    slope: dict[Node, Tensor] = field(default_factory=dict)  # units: (D, u); other elementwise: (D, *shape)
    positive: dict[Node, Tensor] = field(
        default_factory=dict
    )  # units: (D, u) 1 where the line below is taken
    shift: dict[Node, Tensor] = field(default_factory=dict)  # other elementwise nodes: (D, *shape)
    plane: dict[Node, tuple[Tensor, Tensor, Tensor]] = field(default_factory=dict)  # products, likewise


def _unit(node: Node, columns: Tensor, part: slice, slope: Tensor) -> _Unit:
    count = columns.numel()
    in_order = torch.equal(columns, torch.arange(count, device=columns.device))
    known = torch.ones(slope.shape[1], dtype=torch.bool, device=slope.device)
    known[columns] = False
    ones = bool((slope[:, known] == 1).all())
    return _Unit(node, columns, slice(0, count) if in_order else columns, part, None if ones else slope)


class Dual:
    """Bounds rows over the outputs of `graph` for sub-problems of the boxes of `root`.

    Args:
        graph: prepared; its outputs are the targets of the rows.
        root: bounds and lines of every nonlinear node below the targets.
    """

    def __init__(self, graph: Graph, root: State) -> None:
        self.graph = graph
        self.root = root
        self.units: dict[Node, _Unit] = {}
        start = 0
        lowers, uppers, alphas = [], [], []
        for node in graph.nodes:
            if not isinstance(node.op, Relu):
                continue
            lower, upper = (flat(end) for end in root.interval[node.inputs[0]])
            columns = ((lower < 0) & (upper > 0)).any(dim=0).nonzero()[:, 0]
            part = slice(start, start + columns.numel())
            self.units[node] = _unit(node, columns, part, (lower >= 0).to(lower.dtype))
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

    def problems(self, box: Tensor, rows: Tensor, offset: Tensor) -> Problems:
        """Sub-problems without splits, at the root's slopes, with all weight on the first row."""
        D, P = offset.shape
        zero = rows.new_zeros(D, self.size)
        weight = rows.new_zeros(D, P)
        weight[:, 0] = 1
        ends = self.lower[box], self.upper[box]
        return Problems(box, rows, offset, *ends, self.alpha[box], zero, weight)

    def ascend(self, problems: Problems, steps: int, deadline: Deadline, *, decay: float = DECAY) -> Ascent:
        """Improve the parameters of all sub-problems in place; stops when every bound is positive.

        `steps` counts gradient steps; with 0 the given parameters are evaluated.
        """
        work = _Work(self, problems)
        found = work.backward()
        best = Ascent(found.bound, found.point, *work.forward(found))
        kept = [problems.alpha, problems.beta, problems.weight]
        for step in range(steps):
            if deadline.expired or (problems.scale is None and bool((best.bound > 0).all())):
                break
            work.step(RATE * decay**step)
            found = work.backward()
            now = Ascent(found.bound, found.point, *work.forward(found))
            parameters = (problems.alpha, problems.beta, problems.weight)
            better = now.bound > best.bound
            if bool(better.all()):
                best, kept = now, list(parameters)
                continue
            index = better.nonzero()[:, 0]
            best.put(index, now.take(index))
            kept = [_with_rows(old, index, new) for old, new in zip(kept, parameters, strict=True)]
        problems.alpha, problems.beta, problems.weight = kept
        return best

    def settle(self, problems: Problems, deadline: Deadline) -> Ascent:
        """As `ascend`, where every sign is settled: a linear program, worth solving well."""
        return self.ascend(problems, LEAF_STEPS, deadline, decay=LEAF_DECAY)

    def evaluate(self, problems: Problems) -> Tensor:
        """The bound of each sub-problem at its parameters, in plain arithmetic: (D,)."""
        return _Work(self, problems).backward().bound

    def certify(self, problems: Problems) -> backward.Linear:
        """The bound of each sub-problem at its parameters, every rounding error counted: (D,)."""
        state = self._state(problems.box)
        state.error = dict(self.root.error)
        for node, unit in self.units.items():
            if node in self.graph.nodes:
                self._certified_lines(unit, problems, state)
        weighted = problems.weight[:, :, None] * problems.rows
        D = len(problems)
        u = torch.finfo(weighted.dtype).eps
        size = torch.cat([flat(state.magnitude(v)) for v in self.graph.outputs], 1)
        start, at = {}, 0
        total = weighted.sum(dim=1)
        for value in self.graph.outputs:
            part = total[:, at : at + value.size].reshape(D, *value.shape)
            start[value] = start[value] + part if value in start else part
            at += value.size
        count = 2 * (problems.offset.shape[1] + 3) * u
        shifted = problems.weight * problems.offset
        loss = count * ((weighted.abs().sum(dim=1) * size).sum(dim=1) + shifted.abs().sum(dim=1))
        return backward.lower_bounds(
            self.graph, state, start, backward.Rows(D, per_box=1), -shifted.sum(dim=1) - loss
        )

    def _state(self, box: Tensor) -> State:
        """What the root knows, for each sub-problem."""
        root = self.root

        def each(t: Tensor) -> Tensor:
            return t.expand(box.numel(), *t.shape[1:]) if root.batch == 1 else t[box]

        state = State(each(root.lower), each(root.upper))
        state.interval = {v: (each(low), each(high)) for v, (low, high) in root.interval.items()}
        for node, lines in root.lines.items():
            state.lines[node] = Lines(*(each(getattr(lines, name)) for name in lines.__slots__))
        for node, planes in root.planes.items():
            state.planes[node] = Planes(*(each(getattr(planes, name)) for name in planes.__slots__))
        return state

    def _certified_lines(self, unit: _Unit, problems: Problems, state: State) -> None:
        """The lines of one ReLU node for each sub-problem: the root's, anew for the open elements. An error
        that is the root's holds for them too, as every sub-problem lies within its root."""
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
        size = torch.maximum(lower.abs(), upper.abs())
        error = line_error(lines, size, value.size).amax(dim=0)
        state.error[unit.node] = self.root.error[unit.node].index_copy(0, unit.columns, error)
        beta = problems.beta[:, unit.part]
        if bool((beta != 0).any()):
            state.multiplier[unit.node] = whole(torch.zeros_like(ends[0]), beta)


class _Work:
    """Parameters on the way, and what one batch of sub-problems needs in every pass."""

    def __init__(self, dual: Dual, problems: Problems) -> None:
        self.dual, self.problems = dual, problems
        self.state = dual._state(problems.box)
        self.lower, self.upper = self.state.lower, self.state.upper
        self.open = (problems.lower < 0) & (problems.upper > 0)
        active = (problems.lower >= 0).to(problems.alpha.dtype)
        self.opens = self.open.to(problems.alpha.dtype)
        width = torch.where(self.open, problems.upper - problems.lower, torch.ones_like(active))
        self.chord = torch.where(self.open, problems.upper / width, active)
        self.shift = torch.where(self.open, -problems.lower * self.chord, torch.zeros_like(active))
        self.active = active
        self.units = {node: dual.units[node] for node in dual.graph.nodes if node in dual.units}
        self.fixed = {
            node: unit.slope if dual.root.batch == 1 else unit.slope[problems.box]
            for node, unit in self.units.items()
            if unit.slope is not None
        }
        self.gradient = torch.zeros_like(problems.alpha)
        self.first = torch.zeros_like(problems.alpha)
        self.second = torch.zeros_like(problems.alpha)
        self.beta_gradient = torch.zeros_like(problems.beta)
        self.beta_first = torch.zeros_like(problems.beta)
        self.beta_second = torch.zeros_like(problems.beta)
        self.beta_scale = torch.zeros_like(problems.beta)
        self.beta_rate = torch.where(self.open, OPEN_RATE, BETA_RATE)
        self.margins: Tensor | None = None
        self.weight_first = torch.zeros_like(problems.weight)
        self.weight_second = torch.zeros_like(problems.weight)
        self.steps = 0

    def backward(self) -> _Pass:
        """One pass of plain arithmetic at the current parameters."""
        p, graph = self.problems, self.dual.graph
        D = len(p)
        const = -(p.weight * p.offset).sum(dim=1)
        total = torch.einsum("dp,dpm->dm", p.weight, p.rows)
        pending: dict[Value, Tensor] = {}
        at = 0
        for value in graph.outputs:
            part = total[:, at : at + value.size].reshape(D, *value.shape)
            pending[value] = pending[value] + part if value in pending else part
            at += value.size
        rows = backward.Rows(D, per_box=1)
        found = _Pass(const, self.lower)
        slopes = torch.addcmul(self.active, p.alpha, self.opens)
        for node in reversed(graph.nodes):
            coefficients = pending.pop(node.output, None)
            if coefficients is None:
                continue
            unit = self.units.get(node)
            back: tuple[Tensor | None, ...]
            add: Tensor | None
            if unit is not None:
                back, add = (self._through_unit(unit, coefficients, slopes, found),), None
            else:
                if isinstance(node.op, Elementwise):
                    self._note(node, coefficients, found)
                elif isinstance(node.op, Mul):
                    found.plane[node] = self._plane(node, coefficients)
                rule = backward.domain.rule_for(node)
                back, add = rule(node.op, coefficients, node, rows, self.state)
            if add is not None:
                const = const + add
            for value, part_ in zip(node.inputs, back, strict=True):
                if part_ is not None:
                    pending[value] = pending[value] + part_ if value in pending else part_
        for node, own in found.coefficient.items():
            const = const + (own.clamp(max=0) * self.shift[:, self.units[node].part]).sum(dim=1)
        reached = [self.units[node].part for node in found.coefficient]
        ends = p.beta.clamp(min=0) * p.lower + p.beta.clamp(max=0) * p.upper
        const = const + sum(ends[:, part].sum(dim=1) for part in reached)
        zero = const.new_zeros(D, 1)
        A = torch.cat(
            [flat(pending[v]) if v in pending else zero.expand(-1, v.size) for v in graph.inputs], 1
        )
        found.point = torch.lerp(self.upper, self.lower, _positive(A))
        found.bound = torch.nan_to_num(const + (A * found.point).sum(dim=1), nan=-float("inf"))
        return found

    def _through_unit(self, unit: _Unit, coefficients: Tensor, slopes: Tensor, found: _Pass) -> Tensor:
        """Coefficients of the argument; what the offsets of lines and splits add is left to the end."""
        node, row = unit.node, flat(coefficients)
        own = row[:, unit.at]
        if isinstance(unit.at, slice):
            own = own.clone()
        positive = _positive(own)
        slope = torch.lerp(self.chord[:, unit.part], slopes[:, unit.part], positive)
        fixed = self.fixed.get(node)
        back = row.clone() if fixed is None else row * fixed
        back[:, unit.at] = own * slope - self.problems.beta[:, unit.part]
        found.coefficient[node] = own
        found.slope[node], found.positive[node] = slope, positive
        return back.reshape(coefficients.shape)

    def _note(self, node: Node, coefficients: Tensor, found: _Pass) -> None:
        lines = self.state.lines[node]
        positive = coefficients > 0
        found.slope[node] = torch.where(positive, lines.below_slope, lines.above_slope)
        found.shift[node] = torch.where(positive, lines.below_offset, lines.above_offset)

    def _plane(self, node: Node, coefficients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Slopes and offset of the plane that each element of a product takes."""
        planes = self.state.planes[node]
        positive = coefficients > 0
        return (
            torch.where(positive, planes.below_x, planes.above_x),
            torch.where(positive, planes.below_y, planes.above_y),
            torch.where(positive, planes.below_offset, planes.above_offset),
        )

    def forward(self, found: _Pass) -> tuple[Tensor, Tensor]:
        """Run the linearised network at the minimiser, which fills the gradients.

        Returns:
            backward coefficients and forward values (D, U) of the open elements.
        """
        p, graph = self.problems, self.dual.graph
        D = len(p)
        values = graph.split_inputs(found.point)
        coefficient, value_at = torch.zeros_like(p.alpha), torch.zeros_like(p.alpha)
        for node in graph.nodes:
            args = [values[v] for v in node.inputs]
            unit = self.units.get(node)
            if unit is not None and node in found.slope:
                z, own, fixed = flat(args[0]), found.coefficient[node], self.fixed.get(node)
                coefficient[:, unit.part] = own
                here = value_at[:, unit.part] = z[:, unit.at]
                out = z.clone() if fixed is None else z * fixed
                offset = (1 - found.positive[node]).mul_(self.shift[:, unit.part])
                out[:, unit.at] = offset.addcmul_(here, found.slope[node])
                values[node.output] = out.reshape(D, *node.output.shape)
            elif node in found.shift:
                values[node.output] = args[0] * found.slope[node] + found.shift[node]
            elif node in found.plane:
                along_x, along_y, offset = found.plane[node]
                values[node.output] = args[0] * along_x + args[1] * along_y + offset
            else:
                z = node.op(*args)
                values[node.output] = z if args else z.expand(D, *node.output.shape)
        self.gradient = coefficient.clamp(min=0).mul_(value_at).mul_(self.opens)
        below, above = p.lower - value_at, p.upper - value_at
        outside = below.clamp(min=0).add_(above.clamp(max=0))
        side = p.beta.sign()
        outside.mul_(1 - side.abs())
        self.beta_gradient = outside.addcmul_(side.clamp(min=0), below).addcmul_(-side.clamp(max=0), above)
        for unit in self.units.values():
            size = coefficient[:, unit.part].abs().amax(dim=1, keepdim=True) if unit.columns.numel() else 0
            self.beta_scale[:, unit.part] = size
        if p.weight.shape[1] > 1:
            y = torch.cat([flat(values[v]) for v in graph.outputs], 1)
            self.margins = torch.einsum("dpm,dm->dp", p.rows, y) - p.offset
        return coefficient, value_at

    def step(self, rate: float) -> None:
        """One step of projected Adam on slopes and multipliers; of the simplex on weights."""
        p = self.problems
        self.steps += 1
        move = direction(self.first, self.second, self.gradient, self.steps)
        p.alpha = (p.alpha + rate * move).clamp_(0, 1)
        move = direction(self.beta_first, self.beta_second, self.beta_gradient, self.steps)
        beta = torch.addcmul(p.beta, self.beta_rate * self.beta_scale, move, value=rate / RATE)
        p.beta = beta * (beta * p.beta >= 0)  # another constraint begins at zero
        if self.margins is not None and p.scale is None:
            size = self.margins.abs().amax(dim=1, keepdim=True).clamp(min=1e-20)
            p.weight = onto_simplex(p.weight + rate * self.margins / size)
        elif self.margins is not None and p.scale is not None:
            move = direction(self.weight_first, self.weight_second, self.margins, self.steps)
            weight = (p.weight + rate / RATE * WEIGHT_RATE * p.scale[:, None] * move).clamp(min=0)
            weight[:, 0] = 1
            p.weight = weight


def _positive(t: Tensor) -> Tensor:
    """1 where t is positive, 0 where it is negative, half where it is zero: choosing by arithmetic takes a
    fifth of the time of `torch.where` on a CPU."""
    return t.sign().mul_(0.5).add_(0.5)


def _with_rows(old: Tensor, index: Tensor, new: Tensor) -> Tensor:
    return old.index_copy(0, index, new[index])


def onto_simplex(weight: Tensor) -> Tensor:
    """The nearest point with nonnegative entries that sum to one: (D, P). Source: Duchi et al., ICML 2008."""
    ordered = weight.sort(dim=1, descending=True).values
    count = torch.arange(1, weight.shape[1] + 1, device=weight.device, dtype=weight.dtype)
    excess = (ordered.cumsum(dim=1) - 1) / count
    last = (ordered > excess).sum(dim=1, keepdim=True).clamp(min=1) - 1
    return (weight - excess.gather(1, last)).clamp(min=0)
