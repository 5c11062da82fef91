# SPDX-License-Identifier: Apache-2.0
"""Points of a query's regions at which its graph is compared with the original model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor

from vnnverify.query import Clause, Layout, Query, TensorSpec
from vnnverify.query.representable import FLOAT_TYPES, ends, is_whole, nearest

__all__ = ["as_read", "extreme_points", "points_of"]

CLAUSES = 8
"""Clauses whose points come first; there may be 100,000."""
POOL = 1024
"""Points among which those are looked for where values inside the graph are least and greatest."""
POOL_WORK = 1 << 19
"""Numbers that evaluating the graph at all of them may take."""
EXTREMES = 512
"""Points that are taken of them at most."""


def points_of(query: Query, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches (b, n) of points, float64, in the boxes of clauses from all over the query.

    The first batches hold the centre and the two outermost corners of one clause each; then come a random
    corner, numbers near zero, whole numbers and halves, where rounding and casts step, and random points.
    """
    chosen = _spread(query.clauses, CLAUSES)
    boxes = [_box(clause) for clause in chosen]
    for lower, upper in boxes:
        yield torch.stack([(lower / 2 + upper / 2).clamp(lower, upper), lower, upper])
    for lower, upper in boxes:
        uniform = (
            lower
            + torch.rand(4, lower.numel(), generator=generator, dtype=torch.float64)
            * (upper / 2 - lower / 2)
            * 2
        )
        corner = torch.where(torch.rand(lower.shape, generator=generator) < 0.5, lower, upper)
        near = torch.randn(2, lower.numel(), generator=generator, dtype=torch.float64)
        yield torch.cat(
            [
                corner[None],
                torch.zeros(1, lower.numel(), dtype=torch.float64),
                near * near.new_tensor([[1.0], [100.0]]),
                uniform,
                uniform.round(),
                uniform.floor() + 0.5,
            ]
        ).clamp(lower, upper)


def extreme_points(query: Query, generator: torch.Generator) -> Tensor:
    """Points (k, n) at which single elements of values inside the graph are least or greatest among many
    random ones; none for graphs where that would take long. What a model does only at the ends of some inner
    value's range (saturate, wrap, overflow) is seen there."""
    graph = query.graph
    work = sum(node.output.size for node in graph.nodes) + graph.input_size
    count = min(POOL, POOL_WORK // max(1, work))
    if count < 64 or not query.clauses:
        return torch.zeros(0, graph.input_size, dtype=torch.float64)
    chosen = _spread(query.clauses, 64)
    boxes = [_box(chosen[k % len(chosen)]) for k in range(count)]
    lower, upper = (torch.stack([box[end] for box in boxes]) for end in (0, 1))
    u = torch.rand(lower.shape, generator=generator, dtype=torch.float64)
    u[: count // 4] = u[: count // 4].round()  # corners
    x = (lower + u * (upper / 2 - lower / 2) * 2).clamp(lower, upper)
    x[-count // 8 :] = x[-count // 8 :].round().clamp(lower[-count // 8 :], upper[-count // 8 :])
    found: dict[int, None] = {}
    for value in graph.evaluate(x).values():
        flat = value.reshape(count, -1).nan_to_num()
        for index in torch.cat([flat.argmin(dim=0), flat.argmax(dim=0)]).tolist():
            found.setdefault(index)
    order = list(found)
    step = max(1, len(order) // EXTREMES)
    rest = [index for index in range(count) if index not in found]
    return x[(order[::step] + rest)[:EXTREMES]]


def as_read(x: Tensor, layout: Layout) -> Tensor:
    """The points (b, n) as the model's input types read them: the nearest number of its type each."""
    columns = layout.columns
    result = x.clone()
    start = 0
    for spec in layout.inputs:
        size = prod(spec.shape)
        where = (
            torch.arange(start, start + size)
            if columns is None
            else torch.tensor(columns[start : start + size], dtype=torch.long)
        )
        start += size
        result[:, where] = _rounded(result[:, where], spec)
    return result


def _rounded(x: Tensor, spec: TensorSpec) -> Tensor:
    if spec.dtype not in FLOAT_TYPES and not is_whole(spec.dtype):
        return x
    values = x.numpy()
    infinite = np.full(1, np.inf)
    first, last = ends(-infinite, infinite, spec.dtype)
    return torch.from_numpy(np.clip(nearest(values, spec.dtype), first, last))


def _spread(clauses: Sequence[Clause], count: int) -> list[Clause]:
    """At most so many clauses, from the first to the last, evenly."""
    if len(clauses) <= count:
        return list(clauses)
    return [clauses[round(k * (len(clauses) - 1) / (count - 1))] for k in range(count)]


def _box(clause: Clause) -> tuple[Tensor, Tensor]:
    """The box's ends (n,), finite."""
    region = clause.region
    most = torch.finfo(torch.float64).max
    return region.lower.clamp(-most, most), torch.maximum(region.upper, region.lower).clamp(-most, most)
