# SPDX-License-Identifier: Apache-2.0
"""Bounds of every value of a graph over a batch of boxes: intervals, forward forms and backward rows,
each where it pays, always intersected.

Backward rows are started only for neurons whose sign is still open after the cheap methods, in
each box for itself; all rows of a batch share one matrix product per layer.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from vnnverify.bounds import backward, forward
from vnnverify.bounds.backward import patches
from vnnverify.bounds.backward.budget import COPIES, rows_at_once
from vnnverify.bounds.backward.margins import margin_bounds, margin_rows
from vnnverify.bounds.backward.units import Ends, unit_bounds
from vnnverify.bounds.deviations import Deviations
from vnnverify.bounds.influence import influence
from vnnverify.bounds.intervals import intersect, uncross
from vnnverify.bounds.optimise.lines import Optimised, optimise
from vnnverify.bounds.optimise.settings import LineSettings
from vnnverify.bounds.plan import Plan
from vnnverify.bounds.specification import Specification
from vnnverify.bounds.state import State, in_type
from vnnverify.bounds.threads import in_threads
from vnnverify.deadline import Deadline
from vnnverify.domains import interval
from vnnverify.ir import Affine, Graph, Node, Value, flat
from vnnverify.numerics import round_down, varies
from vnnverify.ops.piecewise import Relu
from vnnverify.query import Region

__all__ = ["Pace", "Propagator", "preactivation_bounds"]


@dataclass(frozen=True, slots=True)
class Pace:
    """What a backward row over some value costs."""

    seconds: float
    widest: int  # numbers that it has at most on the way
    gained: bool  # whether any row was better than what had been known


class Propagator:
    """Bounds batches of boxes for one graph.

    Args:
        graph: any graph whose operators the domains know; `UnsupportedOperator` is raised otherwise.
        dtype: float type of graph and boxes.
        free: indices (k,) of the inputs that vary; None: no forward forms.
        memory: bytes that the rows of one backward pass may take.
        refine_at_most: a box with more open neurons than this in a layer is not refined there. Where
            boxes are easily halved, halving first is cheaper.
        outputs: the outputs (m,) that matter, bool; only what they depend on is refined. None: all.
        light: the backward rows that refine float64 bounds are float32, over deviations from a point of each
            box: several times as fast, and hardly wider. Only over boxes.
        boxes: whether inputs range over boxes.
    """

    def __init__(
        self,
        graph: Graph,
        free: Tensor | None,
        dtype: torch.dtype,
        *,
        memory: int = 256 << 20,
        refine_at_most: int | None = None,
        outputs: Tensor | None = None,
        light: bool = False,
        boxes: bool = True,
    ) -> None:
        self.graph = backward.domain.prepare(interval.domain.prepare(graph))
        self.free = free
        self.dtype = dtype
        self.widest = max(
            (v.size for node in self.graph.nodes for v in (node.output, *node.inputs)), default=1
        )
        self.memory = memory
        self.refine_at_most = refine_at_most
        self.plan = Plan.of(self.graph, boxes=boxes)
        self.light = light and boxes
        self.twin: Graph | None = None  # in float32, made when it is needed
        self.outputs = outputs
        self.influence = (
            None if outputs is None else influence(self.graph.to(outputs.device, torch.float64), outputs)
        )
        self.pace: dict[Value, Pace] = {}  # of the values that have been refined
        self.only_relus = all(isinstance(node.op, Affine | Relu) for node in self.graph.nodes)

    def rows_at_once(self, device: torch.device, widest: int | None = None, copies: int = COPIES) -> int:
        """Backward rows of one pass: within the memory budget, and on a CPU few enough that they stay in its
        caches.

        Args:
            widest: numbers that a row has at most. None: as many as the largest value.
            copies: of a row that are alive at once.
        """
        return rows_at_once(self.memory, widest or self.widest, self.dtype, device, copies)

    def propagate(
        self,
        lower: Tensor,
        upper: Tensor,
        deadline: Deadline,
        known: Tensor | None = None,
        better: Callable[[Value, State], bool] | None = None,
        region: Region | None = None,
    ) -> State:
        """Bounds of every value over each box [lower, upper], (B, n). Past the deadline it stops refining.

        Args:
            known: what is `remembered` of larger boxes (B, 2, M).
            better: betters what the state knows of a value, and says whether it did, before later values are
                bounded: after plain backward rows, or in their place where larger boxes are known.
            region: where inputs range, if that is less than the boxes; in the same float type.
        """
        state = State.of(self.graph, lower, upper, region=region)
        deviations = self._deviations(state) if self.light else None
        at = 0
        forms: dict[Value, forward.Form | None] = {}
        if self.free is not None:
            forms.update(forward.input_forms(self.graph, state, self.free))
        for node in self.graph.nodes:
            found = interval.domain.rule_for(node)(node.op, [state.interval[v] for v in node.inputs], node)
            B = state.batch
            found = (found[0].expand(B, *node.output.shape), found[1].expand(B, *node.output.shape))
            state.interval[node.output] = found
            state.note(node)
            if self.free is not None:
                form = self._form(node, forms, state)
                forms[node.output] = form
                if form is not None and node.output in self.plan.nonlinear:
                    state.slopes[node.output] = form.below
                if form is not None:
                    state.interval[node.output] = intersect(found, form.interval())
            value = node.output
            if value in self.plan.refine:
                if known is not None:
                    part = known[:, :, at : at + value.size].reshape(B, 2, *value.shape)
                    state.interval[value] = intersect(state.interval[value], (part[:, 0], part[:, 1]))
                    at += value.size
                if deviations is not None:
                    deviations.follow(node)
                if not deadline.expired:
                    if known is None or better is None or not better(value, state):
                        self._refine(value, state, deviations, deadline)
                    if known is None and better is not None:
                        better(value, state)
                if deviations is not None:
                    deviations.renew(value)
            elif deviations is not None:
                deviations.follow(node)
        return state

    def _deviations(self, state: State) -> Deviations:
        if self.twin is None:
            self.twin = self.graph.to(state.lower.device, torch.float32)
        return Deviations(self.graph, self.twin, state, torch.float32)

    def remembered(self, state: State) -> Tensor:
        """The refined bounds in one tensor, for boxes inside the state's boxes: (B, 2, M)."""
        parts = [
            torch.stack([flat(end) for end in state.interval[node.output]], dim=1)
            for node in self.graph.nodes
            if node.output in self.plan.refine
        ]
        return torch.cat([state.lower.new_zeros(state.batch, 2, 0), *parts], dim=2)

    def _form(self, node: Node, forms: dict[Value, forward.Form | None], state: State) -> forward.Form | None:
        rule = forward.domain.find(node.op)
        return None if rule is None else rule(node.op, [forms[v] for v in node.inputs], node, state)

    def _refine(self, value: Value, state: State, deviations: Deviations | None, deadline: Deadline) -> None:
        """Backward bounds of the elements that are open: whose sign is not known, where only it matters.

        The end nearer to zero comes first. Where it settles the sign the other end is left as it is.
        """
        shape = state.interval[value][0].shape
        lower, upper = (flat(end).clone() for end in state.interval[value])
        signs = value in self.plan.signs
        open_ = self.open_elements(value, lower, upper)
        if self.refine_at_most is not None:
            open_ &= open_.sum(dim=1, keepdim=True) <= self.refine_at_most
        near = torch.where(-lower < upper, 1.0, -1.0).to(lower.dtype)
        known = deviations or state
        for side in (near, -near):
            box, element = open_.nonzero(as_tuple=True)
            rows = box, element, side[box, element]
            pace = self.refine_ends(
                value, (lower, upper), rows, lambda part: self._bound_ends(value, known, part), deadline
            )
            if pace is not None:
                before = self.pace.get(value, pace)
                self.pace[value] = dataclasses.replace(pace, gained=pace.gained or before.gained)
            if signs:
                open_ &= (lower < 0) & (upper > 0)
        state.interval[value] = uncross(lower.reshape(shape), upper.reshape(shape))

    def open_elements(
        self, value: Value, lower: Tensor, upper: Tensor, needed: Mapping[Value, Tensor] | None = None
    ) -> Tensor:
        """The elements (B, size) that better bounds would help: whose sign is not known, where only it
        matters, or which vary; of those, the ones that the outputs depend on.

        Args:
            needed: the elements (size,) that outputs depend on. None: as far as the graph alone tells.
        """
        open_ = (lower < 0) & (upper > 0) if value in self.plan.signs else varies(lower, upper)
        needed = self.influence if needed is None else needed
        if needed is None:
            return open_
        depends = needed.get(value)
        return open_ & depends if depends is not None else torch.zeros_like(open_)

    def refine_ends(
        self,
        value: Value,
        ends: tuple[Tensor, Tensor],
        rows: Ends,
        bounds_of: Callable[[Ends], tuple[Tensor, int]],
        deadline: Deadline,
        copies: int = COPIES,
    ) -> Pace | None:
        """Backward bounds of the lower (sign 1) or upper (sign −1) ends (B, size) of some elements, in place.

        Args:
            rows: box, element and sign (R,) of each end.
            bounds_of: lower bounds (R,) of sign·z_element for some of these rows, and the numbers that one of
                them has had at most.
            copies: of a row that are alive at once.

        Returns:
            What a row has cost, unless there was none or the time ran out.
        """
        lower, upper = ends
        image = patches.is_image(value.shape)
        if image:  # rows of one pixel side by side see the same patch
            order = (rows[0] * value.size + rows[1] % prod(value.shape[2:])).argsort(stable=True)
            rows = rows[0][order], rows[1][order], rows[2][order]

        def bound(part: Ends) -> int:
            """Better these ends in place; returns the numbers that a row had at most."""
            box, element, sign = part
            if deadline.expired or not box.numel():
                return 0
            found, widest = bounds_of(part)
            found = torch.where(torch.isfinite(found), found, -torch.inf)
            known = sign * torch.where(sign > 0, lower[box, element], upper[box, element])
            gained.append(bool((found > known).any()))
            below = sign > 0
            at = box[below], element[below]
            lower[at] = torch.fmax(lower[at], found[below])
            at = box[~below], element[~below]
            upper[at] = torch.fmin(upper[at], -found[~below])
            return widest

        gained: list[bool] = []
        started = time.monotonic()
        first, count = self.rows_at_once(lower.device, copies=copies), rows[0].numel()
        widest = bound((rows[0][:first], rows[1][:first], rows[2][:first]))
        if count > first:  # how wide rows get is known now: patches are narrower than whole rows
            size = self.rows_at_once(lower.device, widest, copies)
            rest = list(zip(*(torch.split(r[first:], size) for r in rows), strict=True))
            narrow = lower.device.type == "cpu" and 2 * widest <= self.widest
            in_threads(bound, rest, at_most=None if narrow or image else 1)
        if widest and not deadline.expired:
            return Pace((time.monotonic() - started) / count, widest, any(gained))
        return None

    def _bound_ends(self, value: Value, known: State | Deviations, rows: Ends) -> tuple[Tensor, int]:
        """Lower bounds (R,) of sign·z_element over each row's box, and the numbers a row had at most."""
        if isinstance(known, Deviations):
            box, element, sign = rows
            graph = known.part(self.plan.below[value])
            found = unit_bounds(graph, value, known.state, (box, element, sign.to(known.dtype)))
            centre = sign * flat(known.state.centre[value])[box, element]
            lower = round_down(round_down(found.lower.to(sign.dtype) - known.lost) + centre)
            return lower, found.widest
        linear = unit_bounds(self.plan.below[value], value, known, rows)
        return linear.lower, linear.widest

    def optimised_margins(
        self,
        state: State,
        A: Tensor,
        b: Tensor,
        box: Tensor,
        steps: int,
        deadline: Deadline,
        settings: LineSettings | None = None,
    ) -> Optimised:
        """Lower bounds of A y − b (R,) over each row's box (R,), with lines of every operator of its own."""
        start, const = margin_rows(self.graph, state, A, b)
        part, fast = in_type(torch.float32, self.graph, state)
        return optimise(
            (self.graph, part), (state, fast), start, const, box, steps, deadline, settings=settings
        )

    def rows_optimised(self, graph: Graph) -> int:
        """Elements of which both ends are optimised at once: each row has lines of its own, of which about a
        dozen copies are alive."""
        numbers = sum(v.size for node in graph.nodes for v in (node.output, *node.inputs))
        return max(1, min(512, self.memory // (2 * 12 * 4 * max(numbers, 1))))

    def margins(self, state: State, spec: Specification) -> tuple[backward.Linear, Tensor]:
        """Linear lower bounds of the margins of `spec` (B boxes × S rows, box-major), and the estimated
        gain (B, S, n) of halving each input."""
        trace: dict[Node, Tensor] = {}
        linear = margin_bounds(self.graph, state, spec, trace=trace)
        return linear, self._gain(state, linear, trace, *spec.d.shape)

    def _gain(
        self, state: State, linear: backward.Linear, trace: dict[Node, Tensor], B: int, S: int
    ) -> Tensor:
        """What halving an input promises for each row: (B, S, n), a heuristic.

        The share of the linear bound's own width, and, for each nonlinear neuron, the loss of its
        relaxation |Λ|·gap handed to the inputs in proportion to their part in the neuron's width.
        """
        gain = linear.A.reshape(B, S, -1).abs() * (state.upper - state.lower)[:, None]
        if self.free is None:
            return gain
        shared = gain.new_zeros(B, S, self.free.numel())
        for node, coefficients in trace.items():
            slopes = state.slopes.get(node.inputs[0])
            if slopes is None:
                continue
            size = slopes.reshape(*slopes.shape[:2], -1).abs()  # (B, k, N)
            part = size / size.sum(dim=1, keepdim=True).clamp(min=torch.finfo(size.dtype).tiny)
            loss = coefficients.reshape(B, S, -1).abs() * flat(state.gap(node))[:, None]  # (B, S, N)
            shared = shared + loss @ part.transpose(1, 2)
        return gain.index_add(2, self.free, shared)


def preactivation_bounds(
    graph: Graph, lower: Tensor, upper: Tensor, deadline: Deadline | None = None
) -> dict[Value, tuple[Tensor, Tensor]]:
    """Sound float64 bounds (*shape) of every value of the prepared graph over one box (n,), rounded outward.

    Raises:
        UnsupportedOperator: an operator cannot be bounded.
    """
    exact = graph.to(lower.device, torch.float64)
    free = varies(lower, upper).nonzero()[:, 0]
    tool = Propagator(exact, free if 0 < free.numel() <= 32 else None, torch.float64)
    state = tool.propagate(lower[None].double(), upper[None].double(), deadline or Deadline.never())
    return {value: (low[0], high[0]) for value, (low, high) in state.interval.items()}
