# SPDX-License-Identifier: Apache-2.0
"""The backend that runs the original model at every input there is, where these are finitely many: because
all inputs that vary hold whole numbers only, or are cut to them before anything else is done with them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify import Backend, Clause, Context, Guarantee, Outcome, Query, Region, Support, option
from vnnverify.numerics import AGREEMENT, round_up
from vnnverify.obstacle import Obstacle, ObstacleKind

__all__ = ["Enumeration", "EnumerationOptions"]

SMALLEST = 1e-3
"""Outputs below this size count as being of this size: what they are sums of is not as small."""
LARGEST = 1 << 31
"""Beyond this the casts of some types are not defined, and this module does without them."""


@dataclass(frozen=True, slots=True)
class EnumerationOptions:
    """How far to go."""

    most: int = option(100_000, help="most inputs that the model is run at", minimum=1)


class Enumeration(Backend[EnumerationOptions]):
    """Runs the model at one input of each kind. What it proves is about onnxruntime's own arithmetic, with
    room for the differences between two machines."""

    guarantee = Guarantee.FLOAT

    def supports(self, query: Query) -> Support:
        """Whether every varying input holds whole numbers or is cut to them, and these are few."""
        known = {*query.truncated, *query.layout.whole}
        outputs = sum(math.prod(spec.shape) for spec in query.layout.outputs)
        if outputs != query.graph.output_size:
            return Support.no("the property is about inputs and outputs together")
        count = 0
        for clause in query.clauses:
            region, varying = clause.region, _varying(clause.region)
            if region.linear is not None or not set(varying) <= known:
                return Support.no("inputs vary that neither hold whole numbers only nor are cut to them")
            if any(region.lower[k] <= -LARGEST or region.upper[k] >= LARGEST for k in varying):
                return Support.no("an input may be too large to be enumerated")
            count += math.prod(len(_whole_parts(region, k)) for k in varying)
            if count > self.options.most:
                most = self.options.most
                reason = f"more than {most:,} inputs to run the model at"
                return Support.no(reason, Obstacle.limit("most", most))
        return Support.yes()

    def verify(self, query: Query, ctx: Context) -> Outcome:
        """Tries every combination of whole numbers; what none of them violates is proved."""
        support = self.supports(query)
        if not support:
            return Outcome.unknown(support.reason, obstacle=support.obstacle)
        points = tight = failed = 0
        open_clauses: list[Clause] = []
        for number, clause in enumerate(query.clauses):
            before = tight + failed
            for x in _points(clause.region):
                if ctx.deadline.expired:
                    rest = query.with_clauses((*open_clauses, *query.clauses[number:]))
                    return Outcome.timeout(f"{len(rest.clauses)} clauses open", rest, points=points)
                points += 1
                try:
                    y = query.source.outputs(x)
                except Exception as error:  # onnxruntime raises what its C++ raises
                    ctx.logger.debug("the model does not run: %s", error)
                    failed += 1
                    continue
                if not _excluded(clause, y):
                    if ctx.confirm(x):
                        return Outcome.sat(x, points=points)
                    tight += 1
            if tight + failed > before:
                open_clauses.append(clause)
        stats = {"points": points, "close": tight, "failed": failed}
        if not open_clauses:
            return Outcome.unsat(**stats)
        why = f"of {points:,} inputs {tight:,} are too close to call, at {failed:,} the model does not run"
        close = Obstacle(ObstacleKind.FLOAT_RESOLUTION)
        return Outcome.unknown(why, query.with_clauses(open_clauses), close, **stats)


def _varying(region: Region) -> list[int]:
    """The inputs whose interval is more than one decimal number rounded outward to float64. A little more is
    not left out: the model is run at one point of what is."""
    single = round_up(round_up(region.lower)) >= region.upper
    return [int(index) for index in (~single).nonzero()[:, 0]]


def _whole_parts(region: Region, index: int) -> range:
    """What the members of the interval are cut to."""
    return range(math.trunc(float(region.lower[index])), math.trunc(float(region.upper[index])) + 1)


def _points(region: Region) -> Iterator[Tensor]:
    """An input (n,) for each choice of whole parts."""
    varying = _varying(region)
    lower, upper = region.lower[varying], region.upper[varying]
    centre = (region.lower + region.upper) / 2
    for parts in itertools.product(*(_whole_parts(region, index) for index in varying)):
        x = centre.clone()
        x[varying] = torch.tensor(parts, dtype=x.dtype).clamp(lower, upper)
        yield x


def _excluded(clause: Clause, y: tuple[float, ...]) -> bool:
    """Whether outputs that differ from these no more than those of another machine would are all safe."""
    values = torch.tensor(y, dtype=torch.float64)
    if not values.numel() or not bool(torch.isfinite(values).all()):
        return False
    room = AGREEMENT * values.abs().amax().clamp(min=SMALLEST)
    return clause.excluded_by(values - room, values + room)
