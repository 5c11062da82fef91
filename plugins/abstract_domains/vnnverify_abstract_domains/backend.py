# SPDX-License-Identifier: Apache-2.0
"""The backend: zonotopes at the root, then branch and bound on the input box where it is small."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify import Backend, Context, Outcome, Query, Support, option
from vnnverify.bounds.specification import Specification
from vnnverify.bounds.threads import by_parts
from vnnverify.deadline import OutOfTime
from vnnverify.errors import UnsupportedOperator
from vnnverify.numerics import direct_convolutions
from vnnverify.obstacle import Obstacle, ObstacleKind
from vnnverify.search import BoxBounds, InputSplit, without_zero_margins
from vnnverify_abstract_domains.propagation import least_memory, propagate
from vnnverify_abstract_domains.rules import domain
from vnnverify_abstract_domains.zonotope import TooBig

__all__ = ["ZonotopeBackend", "ZonotopeBounder", "ZonotopeOptions"]


@dataclass(frozen=True, slots=True)
class ZonotopeOptions:
    """Options of `zonotope`."""

    memory: int = option(512, help="MiB that generators may take", minimum=1, mebibytes=True)
    max_batch: int = option(4096, help="most boxes bounded at once", minimum=1)
    split_inputs: int = option(
        64, help="branch and bound on the input box up to so many varying inputs", minimum=0
    )


class ZonotopeBounder:
    """Bounds margins in the float type of the context, as many boxes at a time as the memory allows."""

    def __init__(self, query: Query, ctx: Context, memory: int, *, guide: bool = True) -> None:
        self.graph = domain.prepare(query.graph).to(ctx.device, ctx.dtype)
        self.deadline = ctx.deadline
        self.dtype = ctx.dtype
        self.budget = memory << 20
        self.guide = guide
        self.elements = (
            max((v.size for n in self.graph.nodes for v in (n.output, *n.inputs)), default=1) * query.varying
        )
        self.step = 1 << 30
        self.refusal = ""  # why a single box did not fit, if one did not

    def bound(self, lower: Tensor, upper: Tensor, spec: Specification, memory: Tensor | None) -> BoxBounds:
        """Sound lower bounds of all margins of `spec`; −inf for boxes that time or memory do not allow."""
        B, S = spec.d.shape
        margins = torch.full((B, S), -float("inf"), dtype=self.dtype, device=lower.device)
        A = margins.new_zeros(B, S, lower.shape[1])
        found = margins, A, torch.zeros_like(A)
        exact = spec.as_type(self.dtype)

        def part(index: Tensor, of: int) -> list[tuple[Tensor, str, int]]:
            left = self._bound(lower, upper, exact, index, self.budget // of, found)
            return [(box, reason, of) for box, reason in left]

        for too_big in by_parts(part, B, self.elements, lower.device):
            for box, reason, parts in too_big:  # by itself it may have all of the memory
                self.refusal = reason
                if parts > 1 and not self._bound(lower, upper, exact, box, self.budget, found):
                    self.refusal = ""
        return BoxBounds(*found)

    def _bound(
        self,
        lower: Tensor,
        upper: Tensor,
        spec: Specification,
        boxes: Tensor,
        budget: int,
        found: tuple[Tensor, Tensor, Tensor],
    ) -> list[tuple[Tensor, str]]:
        """Write what is found out about the boxes with these indices to `found`.

        Returns:
            the indices, one each, of boxes that are too big for the budget even alone, and why.
        """
        too_big = []
        start = 0
        while start < len(boxes):
            part = boxes[start : start + self.step]
            try:
                outputs = propagate(
                    self.graph, lower[part], upper[part], budget, self.deadline, guide=self.guide
                )
                bounds = outputs.bound(spec.where(part))
            except OutOfTime:
                break
            except TooBig as error:
                if len(part) > 1:
                    self.step = (len(part) + 1) // 2
                    continue
                too_big.append((part, str(error)))
            else:
                for whole, new in zip(found, bounds, strict=True):
                    whole[part] = new
            start += len(part)
        return too_big


class ZonotopeBackend(Backend[ZonotopeOptions]):
    """Proves by zonotopes; complete on networks with few varying inputs."""

    def supports(self, query: Query) -> Support:
        """Whether every operator has a rule, and the inputs' generators fit into `memory`."""
        try:
            graph = domain.prepare(query.graph)
        except UnsupportedOperator as error:
            return Support.lacking(error)
        least = least_memory(graph, query.varying)
        if least > self.options.memory << 20:
            return Support.no(
                f"the inputs' generators alone need {-(-least >> 20)} MiB; memory={self.options.memory}",
                Obstacle.limit("memory", self.options.memory),
            )
        return Support.yes()

    def verify(self, query: Query, ctx: Context) -> Outcome:
        """What needs no search first; then boxes, halved if few enough inputs vary."""
        if ctx.parcel is None:  # whose sub-problems count its clauses as they are
            query = query.with_clauses(c for c in query.clauses if not c.region.empty)
            query = without_zero_margins(query, ctx)
        if not query.clauses:
            return Outcome.unsat(boxes=0)
        if not ctx.deadline.remaining():
            return Outcome.timeout("no time was given")
        splits = query.varying <= self.options.split_inputs
        with torch.no_grad(), direct_convolutions():
            bounder = ZonotopeBounder(query, ctx, self.options.memory, guide=splits)
            search = InputSplit(
                query, bounder, ctx, max_batch=self.options.max_batch, max_splits=None if splits else 0
            )
            found = search.run()
        why, obstacle = "boxes at float resolution", Obstacle(ObstacleKind.FLOAT_RESOLUTION)
        if not splits:
            why, obstacle = "too many varying inputs to split", Obstacle(ObstacleKind.TOO_MANY_INPUTS)
        if bounder.refusal:
            why = f"{bounder.refusal}, memory={self.options.memory}"
            obstacle = Obstacle.limit("memory", self.options.memory)
        return found.outcome(query, why, obstacle)
