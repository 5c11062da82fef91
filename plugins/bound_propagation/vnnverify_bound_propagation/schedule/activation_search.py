# SPDX-License-Identifier: Apache-2.0
"""Activation splitting from a query on: boxes, root bounds, a search over what they leave open."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Mapping

import torch
from torch import Tensor

from vnnverify import Clause, Context, Deadline, Query, Region
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.specification import Specification
from vnnverify.bounds.state import State
from vnnverify.numerics import varies
from vnnverify.search import SearchResult
from vnnverify_bound_propagation.branching.specifications import UnsafePolytope, batches
from vnnverify_bound_propagation.one_hidden_layer.hinges import has_one_hidden_layer
from vnnverify_bound_propagation.schedule.conclusion import in_time, undecided
from vnnverify_bound_propagation.schedule.curves import search_curves
from vnnverify_bound_propagation.schedule.relu_rounds import ReluRounds
from vnnverify_bound_propagation.schedule.settings import Settings
from vnnverify_bound_propagation.schedule.shallow import search_one_hidden_layer

__all__ = ["ActivationSearch"]


class ActivationSearch:
    """One search over all clauses of a query; clauses over the same box share its bounds.

    Networks with one hidden layer, of ReLUs alone and of other functions each have a schedule of their own.
    """

    def __init__(self, query: Query, ctx: Context, settings: Settings) -> None:
        self.query, self.ctx, self.settings = query, ctx, settings
        self.graph = query.graph.to(ctx.device, torch.float64)
        self.stats: dict[str, float] = {}

    def run(self) -> SearchResult:
        """Search until all is proved, a witness is confirmed, or the deadline comes."""
        boxes = self._boxes()
        numbers = sum(v.size for node in self.graph.nodes for v in (node.output, *node.inputs))
        at_once = max(1, self.settings.bytes // (32 * numbers))
        groups = [boxes[k : k + at_once] for k in range(0, len(boxes), at_once)]
        open_: list[int] = []
        for index, group in enumerate(groups):
            share = self.ctx.deadline.share(1 / (len(groups) - index))
            found = self._search(group, self.ctx.until(share))
            self._count(found.stats)
            if found.witness is not None:
                return SearchResult([], found.witness, stats=self.stats)
            open_.extend(found.open_clauses)
        return SearchResult(sorted(open_), timed_out=self.ctx.deadline.expired, stats=self.stats)

    def _count(self, stats: Mapping[str, float]) -> None:
        for key, value in stats.items():
            if key == "lowest_bound":
                self.stats[key] = min(self.stats.get(key, math.inf), value)
            else:
                self.stats[key] = self.stats.get(key, 0) + value

    def _boxes(self) -> list[list[int]]:
        """Indices of the clauses over each distinct box, or region of another shape."""
        found: dict[tuple[bytes, bytes, int], list[int]] = {}
        for k, clause in enumerate(self.query.clauses):
            region = clause.region
            ends = region.lower.cpu().numpy().tobytes(), region.upper.cpu().numpy().tobytes()
            found.setdefault((*ends, id(region) if region.is_round else 0), []).append(k)
        return list(found.values())

    def _search(self, boxes: list[list[int]], ctx: Context) -> SearchResult:
        """Bound these boxes and search the polytopes over them."""
        lower, upper, region = self._regions(boxes)
        free = varies(lower, upper).any(dim=0).nonzero()[:, 0]
        forms = free if 0 < free.numel() <= self.settings.forward_inputs else None
        outputs = self._outputs(boxes)
        settings = self.settings
        tool = Propagator(
            self.graph,
            forms,
            torch.float64,
            memory=settings.bytes,
            outputs=outputs,
            light=True,
            boxes=region is None,
        )
        large = sum(v.size for v in tool.plan.refine) > settings.large_network
        share = settings.large_share if large else settings.plain_share
        state = tool.propagate(lower, upper, ctx.deadline.share(share), region=region)
        asked = sum(len(self.query.clauses[k].unsafe) for k in itertools.chain.from_iterable(boxes))
        before = time.monotonic()
        polytopes = self._open_polytopes(tool, state, boxes, ctx.deadline)
        if not polytopes:
            return SearchResult([], stats={"subproblems": 0})
        each = (time.monotonic() - before) / asked
        if not in_time(polytopes, each, ctx.deadline, settings):
            return undecided(polytopes)
        if has_one_hidden_layer(tool.graph):
            return search_one_hidden_layer(tool, state, polytopes, ctx, settings)
        if not tool.only_relus:
            return search_curves(tool, state, polytopes, ctx, settings)
        return ReluRounds(tool, state, each, settings).run(polytopes, ctx)

    def _outputs(self, boxes: list[list[int]]) -> Tensor:
        """The outputs (m,) that the clauses over these boxes are about: bool."""
        used = torch.zeros(self.graph.output_size, dtype=torch.bool)
        for k in itertools.chain.from_iterable(boxes):
            for polytope in self.query.clauses[k].unsafe:
                used |= (polytope.A != 0).any(dim=0).cpu()
        return used.to(self.ctx.device)

    def _regions(self, boxes: list[list[int]]) -> tuple[Tensor, Tensor, Region | None]:
        """The ends of the boxes, and where inputs range if all of the regions are less than that."""
        regions = [self.query.clauses[members[0]].region for members in boxes]
        lower = torch.stack([r.lower for r in regions]).to(self.ctx.device)
        upper = torch.stack([r.upper for r in regions]).to(self.ctx.device)
        round_ = [r.take(None) for r in regions if r.is_round]
        if len(round_) < len(regions):
            return lower, upper, None
        region = round_[0].joined(round_[1:])
        return lower, upper, None if region is None else region.to(self.ctx.device, torch.float64)

    def _open_polytopes(
        self, tool: Propagator, state: State, boxes: list[list[int]], deadline: Deadline
    ) -> list[UnsafePolytope]:
        """The unsafe polytopes that the root bounds do not exclude, or that there was no time to look at."""
        polytopes: list[UnsafePolytope] = []
        device = state.lower.device
        for box, members in enumerate(boxes):
            here = state.of_box(box)
            region = self.query.clauses[members[0]].region
            asked = [UnsafePolytope(k, box, p) for k in members for p in self.query.clauses[k].unsafe]
            for part in batches(asked, tool.rows_at_once(device) // self.settings.clock_looks):
                if deadline.expired:
                    polytopes.extend(part)
                    continue
                clauses = [Clause(region, (polytope.rows,)) for polytope in part]
                spec = Specification.of(clauses, self.graph.output_size, device)
                lower = tool.margins(here, spec.as_type(tool.dtype).joined())[0].lower
                open_ = spec.open_polytopes(lower.reshape(len(part), -1))[:, 0]
                polytopes.extend(
                    polytope for polytope, still in zip(part, open_.tolist(), strict=True) if still
                )
        return polytopes
