# SPDX-License-Identifier: Apache-2.0
"""Branch and bound on the input box, generic over the domain that bounds a batch of boxes.

Sub-problems are rows of tensors; there is no Python object per box. Boxes of all clauses share the
batches. Inputs of whole numbers are cut between two of them. Complete up to floating-point resolution: a box
that can no longer be cut stays open.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from vnnverify.bounds.specification import Specification
from vnnverify.deadline import OutOfTime
from vnnverify.numerics import lower_as, upper_as
from vnnverify.plugin.backend import Context
from vnnverify.query import Query
from vnnverify.search.batch import BatchSize
from vnnverify.search.boxes import Boxes
from vnnverify.search.clip import clip
from vnnverify.search.handing import HandedOut
from vnnverify.search.result import SearchResult
from vnnverify.search.whole import WholeInputs
from vnnverify.search.zero_margins import ZeroMargins

__all__ = ["Bounder", "BoxBounds", "InputSplit"]

SECONDS_PER_BATCH = 0.25
"""A batch grows or shrinks towards this duration: short enough to honour a deadline, long enough
that the fixed cost of a step vanishes."""
FAR = 1.0
"""A box is cut in four at once if its bound is so many times as far from proof as its last halving took
it."""


@dataclass(frozen=True, slots=True, eq=False)
class BoxBounds:
    """What a domain says about a batch of boxes."""

    lower: Tensor  # (batch, S) sound lower bounds of the margins; rounding accounted for
    A: Tensor | None = None  # (batch, S, n) slopes of linear lower bounds attaining `lower`, if any
    gain: Tensor | None = None  # (batch, S, n) estimated gain of halving each input, for each margin
    memory: Tensor | None = None  # (batch, …) what the domain wants to know again of the halves of a box
    excluded: Tensor | None = None  # (batch, P) polytopes proved unreachable other than by a margin
    points: Tensor | None = None  # (any, n) inputs worth trying


class Bounder(Protocol):
    """A domain as the search sees it."""

    def bound(self, lower: Tensor, upper: Tensor, spec: Specification, memory: Tensor | None) -> BoxBounds:
        """Bound all margins of `spec` over each box [lower, upper], (batch, n), with the memory of the
        boxes they are halves of; None for whole regions, or if there is no memory."""
        ...


class InputSplit:
    """One search over all clauses of a query.

    Args:
        first_batch: most boxes of the first batch.
        max_batch: most boxes bounded at once.
        max_splits: most halvings of a box in all; 0 bounds the roots only, None sets no limit.
    """

    def __init__(
        self,
        query: Query,
        bounder: Bounder,
        ctx: Context,
        *,
        first_batch: int = 64,
        max_batch: int = 4096,
        max_splits: int | None = None,
    ) -> None:
        self.query = query
        self.bounder = bounder
        self.ctx = ctx
        self.first_batch = first_batch
        self.max_batch = max_batch
        self.max_splits = max_splits
        self.network: Callable[[Tensor], Tensor] = query.graph.to(ctx.device, ctx.dtype)
        self.whole = WholeInputs.of(query, ctx.device)
        self.spec = Specification.of(query.clauses, query.graph.output_size, ctx.device)
        self.zero_margins = ZeroMargins(query, ctx.device)
        self.visited = 0
        self.splits = 0
        self.refused = 0

    def run(self) -> SearchResult:
        """Search until everything is closed, a witness is confirmed, or the deadline comes."""
        parcel = self.ctx.parcel
        stuck: set[int] = set() if parcel is None else set(parcel.stuck)
        most = self.spec.real.shape[1]
        boxes = self._roots() if parcel is None else Boxes.unpack(parcel, most, self.ctx.device)
        others = HandedOut[Boxes](
            self.ctx.team if self.max_splits is None else None,
            lambda part: part.pack(self.query.clauses),
            self.ctx.deadline,
        )
        batch = BatchSize(self.first_batch, self.max_batch, SECONDS_PER_BATCH)
        worst = 0.0
        steps, spent = 0, 0.0
        while (len(boxes) or others) and self._in_time(spent):
            boxes, witness = self._take_back(others, boxes, stuck)
            if witness is not None:
                return SearchResult([], witness, stats=self._stats(len(boxes), worst))
            if not len(boxes):
                continue
            before = time.monotonic()
            chosen, boxes = _pop(boxes, batch.size)
            thin: set[int] = set()
            try:
                children, witness = self._step(chosen, thin)
            except OutOfTime:
                boxes = boxes.joined(chosen)
                break
            if witness is not None:
                return SearchResult([], witness, stats=self._stats(len(boxes), worst))
            if self.ctx.deadline.expired and (len(children) or thin):  # cut short: not all of it has a bound
                boxes = boxes.joined(chosen)
                break
            stuck |= thin
            if self.max_splits is not None and self.splits > self.max_splits:
                stuck.update(children.clause.tolist())
                continue
            boxes = boxes.joined(children)
            worst = float(children.bound.min()) if len(children) else worst
            spent = max(time.monotonic() - before, 1e-4)
            self.ctx.tell(self.visited, len(boxes), worst)
            if steps:  # whole regions take longer than parts of them
                batch.took(len(chosen), spent)
            steps += 1
            boxes = others.hand_out(boxes, self.visited)
        for part in others.still_out():
            boxes = boxes.joined(part)
        return SearchResult(
            sorted(stuck | set(boxes.clause.tolist())),
            timed_out=bool(len(boxes)) or self.ctx.deadline.expired,
            stats=self._stats(len(boxes), worst),
            left=boxes.pack_left(self.query.clauses, stuck),
        )

    def _in_time(self, step: float) -> bool:
        """Whether to begin another step, when the last took so many seconds. What a step cut short has done
        is lost, so who works on a parcel, whose rest goes to others, begins none that would be."""
        left = self.ctx.deadline.remaining()
        return left > (max(self.ctx.last_batch, step) if self.ctx.parcel is not None else 0.0)

    def _take_back(
        self, others: HandedOut[Boxes], boxes: Boxes, stuck: set[int]
    ) -> tuple[Boxes, Tensor | None]:
        """The boxes with those that have come back, which are waited for if there are no others; and a
        witness that was found among them."""
        for given, back in others.take_back(wait=not len(boxes)):
            if back.witness is not None and self.ctx.confirm(back.witness):
                return boxes, back.witness
            self.visited += back.stats.get("boxes", 0)
            self.refused += back.stats.get("refused_hits", 0)
            if back.left is None or back.witness is not None:
                boxes = boxes.joined(given)
                continue
            left, given_up = given.unpack_left(back.left)
            boxes = boxes.joined(left)
            stuck |= given_up
        return boxes, None

    def _stats(self, left: int, worst: float) -> dict[str, Any]:
        return {"boxes": self.visited, "open_boxes": left, "worst_bound": worst, "refused_hits": self.refused}

    def _roots(self) -> Boxes:
        device, dtype = self.ctx.device, self.ctx.dtype
        lower = torch.stack([c.region.lower for c in self.query.clauses]).to(device)
        upper = torch.stack([c.region.upper for c in self.query.clauses]).to(device)
        clause = torch.arange(lower.shape[0], device=device)
        bound = torch.full((lower.shape[0],), -float("inf"), device=device, dtype=dtype)
        return Boxes(lower_as(lower, dtype), upper_as(upper, dtype), clause, bound, ~self.spec.real)

    def _step(self, boxes: Boxes, stuck: set[int]) -> tuple[Boxes, Tensor | None]:
        """Bound a batch, look for witnesses in what stays open, and cut that in two."""
        self.visited += len(boxes)
        spec = self.spec.take(boxes.clause).without(boxes.excluded)
        found = self.bounder.bound(boxes.lower, boxes.upper, spec, boxes.memory)
        boxes.memory = found.memory
        open_ = spec.open_polytopes(found.lower)
        if found.excluded is not None:
            open_ &= ~found.excluded
        open_ &= ~self.zero_margins.excluded(boxes.lower, boxes.upper, boxes.clause, open_)
        boxes.excluded = ~open_
        keep = open_.any(dim=1)
        if found.points is not None:
            for x in found.points.to(torch.float64):
                if self.ctx.confirm(x):
                    return boxes, x
        boxes, spec, open_ = boxes.take(keep), spec.where(keep), open_[keep]
        margin, A = found.lower[keep], None if found.A is None else found.A[keep]
        if not len(boxes):
            return boxes, None
        gain = None if found.gain is None else found.gain[keep]
        if gain is None and A is not None:
            gain = A.abs() * (boxes.upper - boxes.lower)[:, None]
        score, best = self._scores(boxes, spec, open_, margin, gain)
        witness = self._try_points(boxes, spec, open_, margin, A)
        if witness is not None:
            return boxes, witness
        far = -best > FAR * (best - boxes.bound).clamp(min=0)  # false for whole regions
        boxes.bound = best
        wide = self.whole.divisible(boxes.lower, boxes.upper).any(dim=1)  # as bounded
        if A is not None:
            boxes.lower, boxes.upper = clip(boxes.lower, boxes.upper, margin, A, spec.member, open_)
            boxes.lower, boxes.upper = self.whole.shrunk(boxes.lower, boxes.upper)
            alive = ~(boxes.lower > boxes.upper).any(dim=1)
            boxes, score, far, wide = boxes.take(alive), score[alive], far[alive], wide[alive]
        thin = ~self.whole.divisible(boxes.lower, boxes.upper).any(dim=1)
        stuck.update(boxes.clause[thin & ~wide].tolist())
        clipped = boxes.take(thin & wide)  # which may be proved now
        return clipped.joined(self._split(boxes.take(~thin), score[~thin], far[~thin])), None

    def _scores(
        self, boxes: Boxes, spec: Specification, open_: Tensor, margin: Tensor, gain: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Estimated gain of cutting each axis (batch, n), and the bound of the worst open polytope (batch,).

        Of each open polytope the row nearest to proof counts; polytopes count the more the nearer.
        """
        width = boxes.upper - boxes.lower
        value, row = spec.best_rows(margin, open_)
        bound = torch.where(open_, value, float("inf")).amin(dim=1)
        if gain is None:
            return width, bound
        gains = gain.gather(1, row[:, :, None].expand(-1, -1, gain.shape[2]))  # (batch, P, n)
        weight = torch.where(open_ & torch.isfinite(value), 1 / value.abs().clamp(min=1e-12), 0.0)
        score = (gains * weight[:, :, None]).sum(dim=1)
        useless = ~torch.isfinite(score).all(dim=1, keepdim=True) | (score.amax(dim=1, keepdim=True) <= 0)
        return torch.where(useless, width, score), bound

    def _try_points(
        self, boxes: Boxes, spec: Specification, open_: Tensor, margin: Tensor, A: Tensor | None
    ) -> Tensor | None:
        """Look at the centre of each open box and at the corner where its bound is least."""
        points = [self.whole.middle(boxes.lower, boxes.upper)]
        most = torch.finfo(boxes.lower.dtype).max
        if A is not None:
            value, row = spec.best_rows(margin, open_)
            worst = torch.where(open_, value, float("inf")).argmin(dim=1)  # the most violated polytope
            pick = row.gather(1, worst[:, None])[:, :, None].expand(-1, -1, A.shape[2])
            slope = A.gather(1, pick)[:, 0]
            points.append(torch.where(slope > 0, boxes.lower, boxes.upper).clamp(-most, most))
        for x in points:
            hits = spec.violated(self.network(x)).nonzero()[:, 0]
            for index in hits[:3].tolist():
                if self.ctx.confirm(x[index].to(torch.float64)):
                    return x[index].to(torch.float64)
                self.refused += 1
        return None

    def _split(self, boxes: Boxes, score: Tensor, far: Tensor) -> Boxes:
        """Halve every box along its best axis, and the halves of those that are `far` (batch,) once more."""
        halves, parent, axis = self._halve(boxes, score)
        again = far[parent] & self.whole.divisible(halves.lower, halves.upper).any(dim=1)
        if not bool(again.any()):
            return halves
        left, axis = score[parent[again]], axis[again]
        left = left.scatter(1, axis, left.gather(1, axis) / 2)  # cutting an axis again promises half as much
        quarters, _, _ = self._halve(halves.take(again), left)
        return halves.take(~again).joined(quarters)

    def _halve(self, boxes: Boxes, score: Tensor) -> tuple[Boxes, Tensor, Tensor]:
        """The halves of all boxes, each of which can be halved, which box each comes from (2N,), and along
        which axis it was cut (2N, 1)."""
        can = self.whole.divisible(boxes.lower, boxes.upper)
        axis = torch.where(can, score, -1.0).argmax(dim=1, keepdim=True)
        below, above = (end.gather(1, axis) for end in self.whole.cut(boxes.lower, boxes.upper))
        self.splits += len(boxes)
        left = dataclasses.replace(boxes, upper=boxes.upper.scatter(1, axis, below))
        right = dataclasses.replace(boxes, lower=boxes.lower.scatter(1, axis, above))
        parent = torch.arange(len(boxes), device=axis.device)
        return left.joined(right), parent.repeat(2), axis.repeat(2, 1)


def _pop(boxes: Boxes, count: int) -> tuple[Boxes, Boxes]:
    """Take the `count` boxes with the lowest bound: where a witness is likeliest."""
    if len(boxes) <= count:
        return boxes, boxes.take(torch.empty(0, dtype=torch.long, device=boxes.bound.device))
    chosen = torch.topk(boxes.bound, count, largest=False).indices
    rest = torch.ones(len(boxes), dtype=torch.bool, device=boxes.bound.device)
    rest[chosen] = False
    return boxes.take(chosen), boxes.take(rest)
