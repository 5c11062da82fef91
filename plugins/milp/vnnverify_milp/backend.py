# SPDX-License-Identifier: Apache-2.0
"""The backend: one program per clause, one minimisation per unsafe polytope."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from vnnverify import Clause, ClauseBackend, Context, Deadline, Outcome, Polytope, Query, Support, option
from vnnverify.bounds.propagation import preactivation_bounds
from vnnverify.deadline import OutOfTime
from vnnverify.ir import Elementwise, Graph, Maximum
from vnnverify.obstacle import Obstacle, ObstacleKind
from vnnverify_milp.encoding import Encoding, domain, encode, supports
from vnnverify_milp.problem import Problem, depth_rows
from vnnverify_milp.program import Array
from vnnverify_milp.solve import TOLERANCE, branch, margin_of, relax

__all__ = ["Milp", "MilpOptions"]

LARGEST = 1e15
"""Columns may hold such numbers: HiGHS takes 1e20 for infinite, and its tolerances are absolute."""


@dataclass(frozen=True, slots=True)
class MilpOptions:
    """Options of `milp`."""

    max_elements: int = option(
        20000, help="give up on networks with more elements in nonlinear layers than this", minimum=1
    )
    tolerance: float = option(
        TOLERANCE, help="what a dual bound must exceed, relative to the size of its row", minimum=1e-9
    )


@dataclass(slots=True)
class _Hunt:
    """Looks at what the solver comes across: the least real depth so far, and whether it is a witness."""

    graph: Graph
    clause: Clause
    whole: list[int]  # inputs that hold whole numbers only
    confirm: Callable[[Tensor], bool]
    witness: Tensor | None = None  # (n,)
    refused: int = 0

    def depth(self, x: Tensor, polytope: Polytope, scale: Tensor) -> float:
        """The largest scaled row at x (n,): the t that the network really has there."""
        margins = polytope.margins(self.graph(x[None]))[0]
        if self.clause.region.linear is not None:
            margins = torch.cat([margins, self.clause.region.linear.margins(x[None])[0]])
        return float((margins * scale).amax()) if margins.numel() else -float("inf")

    def try_point(self, x: Tensor, polytope: Polytope, scale: Tensor, tolerance: float) -> float:
        """The depth at the point of the box next to x, made whole where inputs are; one within the tolerance
        is put to the judge."""
        region = self.clause.region
        x = x.clone()
        x[self.whole] = x[self.whole].round()
        x = torch.minimum(torch.maximum(x, region.lower), region.upper)
        depth = self.depth(x, polytope, scale)
        if depth <= tolerance and self.witness is None:
            if self.confirm(x):
                self.witness = x
            else:
                self.refused += 1
        return depth


LARGEST_WHOLE = float(1 << 20)
"""Inputs of whole numbers up to this size are told to the solver as such; it keeps to that up to a relative
tolerance."""


@dataclass(slots=True)
class _Tally:
    """What goes into the statistics of a clause."""

    binaries: int = 0
    nodes: int = 0
    by_box: int = 0  # polytopes excluded by output bounds alone
    by_relaxation: int = 0  # … by the linear relaxation, with a bound that needs no tolerance
    by_branching: int = 0  # … by HiGHS' dual bound

    def as_dict(self, refused: int) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "refused_hits": refused}


@dataclass(frozen=True, slots=True)
class _Found:
    """What came out about one polytope."""

    excluded: bool
    bound: float = field(default=-float("inf"))


class Milp(ClauseBackend[MilpOptions]):
    """Exact up to a stated tolerance: what the solver cannot separate from zero stays undecided."""

    def supports(self, query: Query) -> Support:
        return supports(query.graph)

    def decide(self, query: Query, clause: Clause, ctx: Context) -> Outcome:
        """Each unsafe polytope by the output bounds, then by the linear relaxation, then by branching."""
        with torch.no_grad():
            return self._decide(query, clause, ctx)

    def _decide(self, query: Query, clause: Clause, ctx: Context) -> Outcome:
        if clause.region.empty or not clause.unsafe:
            return Outcome.unsat()
        graph = domain.prepare(query.graph).to("cpu", torch.float64)
        size = sum(n.output.size for n in graph.nodes if isinstance(n.op, Elementwise | Maximum))
        if size > self.options.max_elements:
            most = self.options.max_elements
            reason = f"{size} nonlinear elements; max_elements={most}"
            return Outcome.unknown(reason, obstacle=Obstacle.limit("max_elements", most))
        region = clause.region
        bounds = preactivation_bounds(graph, region.lower, region.upper, ctx.deadline.share(0.5))
        needed = {v for n in graph.nodes if isinstance(n.op, Elementwise | Maximum) for v in n.inputs}
        for value in (*graph.inputs, *needed):
            if not all(bool(torch.isfinite(end).all()) for end in bounds[value]):
                infinite = Obstacle(ObstacleKind.LOOSE_BOUNDS)
                return Outcome.unknown(f"no finite bounds for {value.name!r}", obstacle=infinite)
        reach = torch.maximum(region.lower.abs(), region.upper.abs())
        whole = [k for k in query.layout.whole if reach[k] <= LARGEST_WHOLE]
        try:
            encoding = encode(graph, bounds, ctx.deadline, whole)
        except OutOfTime:
            return Outcome.timeout("no time was left to encode the network")
        if encoding.program.reach.max(initial=0.0) > LARGEST:
            reason = f"numbers of more than {LARGEST:g} are too large for the solver"
            return Outcome.unknown(reason, obstacle=Obstacle(ObstacleKind.NOT_SUPPORTED))
        ends = ({v: bounds[v][k][None] for v in graph.outputs} for k in (0, 1))
        lower, upper = (graph.join_outputs(end)[0] for end in ends)
        hunt = _Hunt(graph, clause, whole, ctx.confirm)
        tally = _Tally(binaries=int(encoding.program.integer.sum()) - len(whole))
        open_: list[Polytope] = []
        for polytope in clause.unsafe:
            if Clause(region, (polytope,)).excluded_by(lower, upper):
                tally.by_box += 1
            else:
                open_.append(polytope)
        open_.sort(key=lambda p: -_least(p, lower, upper))  # the likeliest to be excluded first
        left: list[Polytope] = []
        reason = ""
        for index, polytope in enumerate(open_):
            found = self._exclude(
                encoding, polytope, hunt, ctx.deadline.share(1 / (len(open_) - index)), tally
            )
            if hunt.witness is not None:
                return Outcome.sat(hunt.witness, **tally.as_dict(hunt.refused))
            if not found.excluded:
                left.append(polytope)
                reason = reason or f"dual bound {found.bound:.3g}"
        if not left:
            return Outcome.unsat(**tally.as_dict(hunt.refused))
        residual = query.with_clauses([dataclasses.replace(clause, unsafe=tuple(left))])
        reason = f"{len(left)} of {len(clause.unsafe)} unsafe polytopes open; {reason}"
        loose = Obstacle(ObstacleKind.LOOSE_BOUNDS)
        return Outcome.unknown(reason, residual, loose, **tally.as_dict(hunt.refused))

    def _exclude(
        self, encoding: Encoding, polytope: Polytope, hunt: _Hunt, deadline: Deadline, tally: _Tally
    ) -> _Found:
        """Whether no point of the clause's region is in the polytope. `hunt` ends up with a witness, if any
        solution is one."""
        region = hunt.clause.region
        rows, scale = depth_rows(encoding, polytope, region.linear)
        least = float("inf")  # over all solutions, of the depth that the network really has there
        tolerance = self.options.tolerance

        def candidate(v: Array) -> bool:
            nonlocal least
            x = torch.from_numpy(v[encoding.inputs])
            least = min(least, hunt.try_point(x, polytope, scale, tolerance))
            return hunt.witness is not None

        hunt.try_point((region.lower + region.upper) / 2, polytope, scale, 0.0)
        if hunt.witness is not None or not scale.numel() or deadline.expired:
            return _Found(False)
        problem = Problem.of(encoding, rows)
        threads = torch.get_num_threads()
        answer = relax(problem, deadline.share(0.5), threads, candidate)
        if answer.done or answer.bound > 0:
            tally.by_relaxation += answer.bound > 0
            return _Found(answer.bound > 0, answer.bound)
        if not problem.integer.any() or deadline.expired:
            return _Found(False, answer.bound)
        margin = margin_of(problem, tolerance)
        answer = branch(problem, deadline, threads, margin, candidate)
        tally.nodes += answer.nodes
        # a bound that a point of the network undercuts is not believed, however it came about
        excluded = not answer.done and answer.bound > margin and least >= answer.bound - tolerance
        tally.by_branching += excluded
        return _Found(excluded, answer.bound)


def _least(polytope: Polytope, lower: Tensor, upper: Tensor) -> float:
    """The largest of the rows' least values over an output box; an ordering, not a bound."""
    A = polytope.A
    least = A.clamp(min=0) @ lower + A.clamp(max=0) @ upper - polytope.b
    return float(least.amax()) if least.numel() else -float("inf")
