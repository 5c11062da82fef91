# SPDX-License-Identifier: Apache-2.0
"""Any bounding method as what a search over boxes asks of a domain."""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify.bounds.method import BoundMethod, Resources
from vnnverify.bounds.methods.sweep import prepared
from vnnverify.bounds.specification import Specification
from vnnverify.bounds.threads import by_parts
from vnnverify.plugin.backend import Context
from vnnverify.query import Box, Query, Region
from vnnverify.search.input_split import BoxBounds

__all__ = ["MethodBounder"]

NUMBERS = 8
"""Numbers that are kept of each element of the network while a box is bounded: its ends, and lines."""


class MethodBounder:
    """Bounds boxes by one method in the float type of the context, as many at a time as the memory allows.

    Args:
        memory: bytes that intermediate bounds and, once more, rows of one backward pass may take.

    Raises:
        UnsupportedOperator: an operator cannot be bounded.
    """

    def __init__(self, method: BoundMethod, query: Query, ctx: Context, memory: int) -> None:
        self.method = method
        self.graph = prepared(query.graph).to(ctx.device, ctx.dtype)
        self.region = _only_round(query, ctx.device)
        self.resources = Resources(ctx.deadline, memory)
        sizes = [v.size for node in self.graph.nodes for v in (node.output, *node.inputs)]
        self.elements = max(sizes, default=1) * max(1, query.varying)
        self.at_once = max(1, memory // (NUMBERS * torch.finfo(ctx.dtype).bits // 8 * max(1, sum(sizes))))

    def bound(self, lower: Tensor, upper: Tensor, spec: Specification, memory: Tensor | None) -> BoxBounds:
        """Sound lower bounds of all margins of `spec`, with the linear functions they come from, if any.

        Raises:
            OutOfTime: the deadline came.
        """

        def part(index: Tensor, of: int) -> list[tuple[Tensor, Tensor | None]]:
            found = []
            for boxes in torch.split(index, max(1, self.at_once // of)):
                region = self._region(lower[boxes], upper[boxes])
                bounds = self.method.bound(self.graph, region, spec.where(boxes), None, self.resources)
                # a line's least value over the box is not the margin where the region is less than that
                boxed = bounds.linear is not None and self.region is None
                slopes = bounds.linear.A if boxed and bounds.linear and bounds.sound else None
                unknown = torch.full_like(bounds.lower, -torch.inf)
                found.append((bounds.lower if bounds.sound else unknown, slopes))
            return found

        each = by_parts(part, len(lower), self.elements, lower.device)
        lowers, slopes = zip(*(bounds for bounds_of_part in each for bounds in bounds_of_part), strict=True)
        known = [A for A in slopes if A is not None]
        return BoxBounds(torch.cat(lowers), torch.cat(known) if len(known) == len(slopes) else None)

    def _region(self, lower: Tensor, upper: Tensor) -> Region:
        """Where inputs range in these boxes."""
        if self.region is None:
            return Box(lower, upper)
        return self.region.take(torch.zeros(len(lower), dtype=torch.long)).within(lower, upper)


def _only_round(query: Query, device: torch.device) -> Region | None:
    """The region of all clauses, as a batch of one, where they share one that is no box and no rows cut."""
    regions = {id(clause.region): clause.region for clause in query.clauses}
    if len(regions) != 1:
        return None
    (region,) = regions.values()
    return region.take(None).to(device, torch.float64) if region.is_round else None
