# SPDX-License-Identifier: Apache-2.0
"""One backward and one forward pass of the dual bound, and the gradient that they give.

At the input that minimises the linear bound the linearised network is run forwards, and each parameter's
derivative is a product of a backward coefficient and a forward value (Danskin).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vnnverify.bounds import backward
from vnnverify.bounds.backward.margins import output_rows
from vnnverify.bounds.optimise.adam import direction
from vnnverify.bounds.optimise.lines import each_box
from vnnverify.bounds.optimise.settings import DualSettings
from vnnverify.bounds.optimise.simplex import onto_simplex
from vnnverify.bounds.optimise.subproblems import Subproblems
from vnnverify.bounds.state import State
from vnnverify.ir import Elementwise, Graph, Node, flat
from vnnverify.ops.bilinear import Mul

__all__ = ["DualWork", "OpenRelus"]


@dataclass(frozen=True, slots=True, eq=False)
class OpenRelus:
    """The open elements of one ReLU node: columns of its flattened input, and their place in (…, U)."""

    node: Node
    columns: Tensor  # (u,)
    at: Tensor | slice  # the same columns, as a slice if they are side by side
    part: slice
    slope: Tensor | None  # (B, N) exact slope where the sign is known; None: it is one everywhere

    @classmethod
    def of(cls, node: Node, columns: Tensor, part: slice, slope: Tensor) -> OpenRelus:
        """The elements `columns` of a node whose slope (B, N) is known elsewhere."""
        count = columns.numel()
        in_order = torch.equal(columns, torch.arange(count, device=columns.device))
        known = torch.ones(slope.shape[1], dtype=torch.bool, device=slope.device)
        known[columns] = False
        ones = bool((slope[:, known] == 1).all())
        return cls(node, columns, slice(0, count) if in_order else columns, part, None if ones else slope)


@dataclass(slots=True, eq=False)
class BackwardPass:
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


class DualWork:
    """Parameters on the way, and what one batch of subproblems needs in every pass."""

    in_place = False

    def __init__(
        self,
        graph: Graph,
        root: State,
        units: Mapping[Node, OpenRelus],
        problems: Subproblems,
        settings: DualSettings,
    ) -> None:
        self.graph, self.problems, self.settings = graph, problems, settings
        self.state = each_box(root, problems.box)
        self.lower, self.upper = self.state.lower, self.state.upper
        self.open = (problems.lower < 0) & (problems.upper > 0)
        active = (problems.lower >= 0).to(problems.alpha.dtype)
        self.opens = self.open.to(problems.alpha.dtype)
        width = torch.where(self.open, problems.upper - problems.lower, torch.ones_like(active))
        self.chord = torch.where(self.open, problems.upper / width, active)
        self.shift = torch.where(self.open, -problems.lower * self.chord, torch.zeros_like(active))
        self.active = active
        self.units = {node: units[node] for node in graph.nodes if node in units}
        self.fixed = {
            node: unit.slope if root.batch == 1 else unit.slope[problems.box]
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
        self.beta_rate = torch.where(self.open, settings.dual_open_rate, settings.dual_beta_rate)
        self.margins: Tensor | None = None
        self.weight_first = torch.zeros_like(problems.weight)
        self.weight_second = torch.zeros_like(problems.weight)
        self.steps = 0
        self.solution: tuple[Tensor, ...] = ()

    def evaluate(self) -> Tensor:
        """The bounds (D,) at the current parameters; fills the gradients."""
        found = self.backward()
        self.solution = found.point, *self.forward(found)
        return found.bound

    def columns(self) -> tuple[Tensor, ...]:
        """Slopes, multipliers and weights, then what a `DualSolution` holds beside the bound."""
        p = self.problems
        return p.alpha, p.beta, p.weight, *self.solution

    def backward(self) -> BackwardPass:
        """One pass of plain arithmetic at the current parameters."""
        p, graph = self.problems, self.graph
        D = len(p)
        const = -(p.weight * p.offset).sum(dim=1)
        total = torch.einsum("dp,dpm->dm", p.weight, p.rows)
        pending = output_rows(graph, total)
        rows = backward.Rows(D, per_box=1)
        found = BackwardPass(const, self.lower)
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

    def _through_unit(
        self, unit: OpenRelus, coefficients: Tensor, slopes: Tensor, found: BackwardPass
    ) -> Tensor:
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

    def _note(self, node: Node, coefficients: Tensor, found: BackwardPass) -> None:
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

    def forward(self, found: BackwardPass) -> tuple[Tensor, Tensor]:
        """Run the linearised network at the minimiser, which fills the gradients.

        Returns:
            backward coefficients and forward values (D, U) of the open elements.
        """
        p, graph = self.problems, self.graph
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

    def step(self, rate: float) -> bool:
        """One step of projected Adam on slopes and multipliers; of the simplex on weights."""
        p, settings = self.problems, self.settings
        self.steps += 1
        move = direction(self.first, self.second, self.gradient, self.steps)
        p.alpha = (p.alpha + rate * move).clamp_(0, 1)
        move = direction(self.beta_first, self.beta_second, self.beta_gradient, self.steps)
        beta = torch.addcmul(p.beta, self.beta_rate * self.beta_scale, move, value=rate / settings.dual_rate)
        p.beta = beta * (beta * p.beta >= 0)  # another constraint begins at zero
        if self.margins is not None and p.scale is None:
            size = self.margins.abs().amax(dim=1, keepdim=True).clamp(min=1e-20)
            p.weight = onto_simplex(p.weight + rate * self.margins / size)
        elif self.margins is not None and p.scale is not None:
            move = direction(self.weight_first, self.weight_second, self.margins, self.steps)
            size = rate / settings.dual_rate * settings.dual_weight_rate * p.scale[:, None]
            weight = (p.weight + size * move).clamp(min=0)
            weight[:, 0] = 1
            p.weight = weight
        return True


def _positive(t: Tensor) -> Tensor:
    """1 where t is positive, 0 where it is negative, half where it is zero: choosing by arithmetic takes a
    fifth of the time of `torch.where` on a CPU."""
    return t.sign().mul_(0.5).add_(0.5)
