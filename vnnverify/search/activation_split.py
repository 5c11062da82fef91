# SPDX-License-Identifier: Apache-2.0
"""Branch and bound on the values inside the network, generic over the domain that bounds a batch.

A subproblem is one unsafe polytope of one clause and a path of splits z_j >= a or z_j <= a
on elements of the network's inner values. Subproblems are rows of tensors; what the domain wants to
hand from a parent to its children travels with them as its `memory`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from vnnverify.bounds.threads import by_parts
from vnnverify.deadline import OutOfTime
from vnnverify.numerics import proves
from vnnverify.plugin.backend import Context
from vnnverify.search.batch import BatchSize

__all__ = ["ActivationBounder", "ActivationBounds", "ActivationSplit", "Branches", "bound_in_threads"]

SECONDS_PER_BATCH = 0.5
"""A batch takes about so long, unless told otherwise."""
BEST_FIRST_BYTES = 1 << 30
"""While the work list is smaller, the lowest bound goes first; beyond, the highest, which keeps it small."""


_COLUMNS = ("polytope", "element", "threshold", "side", "multiplier", "bound")


@dataclass(slots=True, eq=False)
class Branches:
    """N subproblems."""

    polytope: Tensor  # (N,) int64
    element: Tensor  # (N, T) int64, the elements split; -1 is padding
    threshold: Tensor  # (N, T)
    side: Tensor  # (N, T) int8: 1 keeps z >= threshold, -1 keeps z <= threshold
    multiplier: Tensor  # (N, T) the multipliers of the splits, as the domain last found them
    bound: Tensor  # (N,) lower bound of the parent
    memory: dict[str, Tensor] = field(default_factory=dict)  # (N, …) each

    def __len__(self) -> int:
        return self.polytope.shape[0]

    @classmethod
    def roots(cls, polytopes: int, device: torch.device, dtype: torch.dtype) -> Branches:
        """One subproblem without splits for each polytope."""
        none = torch.zeros(polytopes, 0, device=device)
        return cls(
            torch.arange(polytopes, device=device),
            none.long(),
            none.to(dtype),
            none.to(torch.int8),
            none.to(dtype),
            torch.full((polytopes,), -math.inf, device=device, dtype=dtype),
        )

    def take(self, index: Tensor) -> Branches:
        """The subproblems that `index` (long or bool) selects."""
        memory = {name: t[index] for name, t in self.memory.items()}
        columns = {name: getattr(self, name)[index] for name in _COLUMNS}
        return Branches(**columns, memory=memory)

    def joined(self, other: Branches) -> Branches:
        """Both lists in one; shorter paths are padded."""
        if not len(self) or not len(other):
            return other if not len(self) else self
        depth = max(self.element.shape[1], other.element.shape[1])
        a, b = self._padded(depth), other._padded(depth)
        memory = {name: torch.cat([t, b.memory[name]]) for name, t in a.memory.items()}
        columns = {name: torch.cat([getattr(a, name), getattr(b, name)]) for name in _COLUMNS}
        return Branches(**columns, memory=memory)

    def _padded(self, depth: int) -> Branches:
        missing = depth - self.element.shape[1]
        if missing == 0:
            return self
        pad = torch.nn.functional.pad
        element = pad(self.element, (0, missing), value=-1)
        rest = {name: pad(getattr(self, name), (0, missing)) for name in ("threshold", "side", "multiplier")}
        return Branches(polytope=self.polytope, element=element, **rest, bound=self.bound, memory=self.memory)

    def split(self, element: Tensor, threshold: Tensor, multiplier: Tensor) -> Branches:
        """The children of all subproblems, 2^k each: every choice of sides for k elements (N, k).

        An element of -1 is no split. `multiplier` (N, k, 2) holds the first one of either side.
        """
        N, k = element.shape
        bits = torch.arange(2**k, device=element.device)[:, None] >> torch.arange(k, device=element.device)
        side = (1 - 2 * (bits & 1)).to(torch.int8).expand(N, -1, -1)  # (N, 2^k, k)
        none = (element < 0)[:, None].expand(side.shape)
        keep = ((side == 1) | ~none).all(dim=2)
        parent = torch.arange(N, device=element.device)[:, None].expand(keep.shape)[keep]
        chosen = self.take(parent)
        chosen.element = torch.cat([chosen.element, element[parent]], 1)
        chosen.threshold = torch.cat([chosen.threshold, threshold[parent]], 1)
        chosen.side = torch.cat([chosen.side, side.masked_fill(none, 0)[keep]], 1)
        first = torch.where(chosen.side[:, -k:] > 0, multiplier[parent, :, 0], multiplier[parent, :, 1])
        chosen.multiplier = torch.cat([chosen.multiplier, first], 1)
        return chosen

    @property
    def bytes(self) -> int:
        """Memory taken."""
        parts = (self.element, self.threshold, self.side, self.multiplier, *self.memory.values())
        return sum(t.numel() * t.element_size() for t in parts)


@dataclass(slots=True, eq=False)
class ActivationBounds:
    """What a domain says about a batch of subproblems."""

    lower: Tensor  # (N,) sound lower bounds, rounding accounted for: positive and finite proves a subproblem
    multiplier: Tensor  # (N, T) of the splits
    memory: dict[str, Tensor]  # what the children start from
    point: Tensor  # (N, n) inputs worth trying
    element: Tensor  # (N, k) elements worth splitting, best first; -1 where there are no more
    threshold: Tensor  # (N, k)
    next_multiplier: Tensor  # (N, k, 2) multipliers to start from on the upper and on the lower side

    @classmethod
    def joined(cls, parts: Sequence[ActivationBounds]) -> ActivationBounds:
        """The bounds of several parts of a batch, at least one, in one."""
        first = parts[0]
        if len(parts) == 1:
            return first
        names = ("lower", "multiplier", "point", "element", "threshold", "next_multiplier")
        columns = {name: torch.cat([getattr(p, name) for p in parts]) for name in names}
        memory = {name: torch.cat([p.memory[name] for p in parts]) for name in first.memory}
        return cls(memory=memory, **columns)


def bound_in_threads(
    bound: Callable[[Branches], ActivationBounds], branches: Branches, elements: int
) -> ActivationBounds:
    """`bound` of parts of the batch side by side, where that is worthwhile.

    Args:
        elements: of the widest tensor that a subproblem has.
    """
    if not len(branches):
        return bound(branches)

    def part(index: Tensor, of: int) -> ActivationBounds:
        return bound(branches if of == 1 else branches.take(index))

    return ActivationBounds.joined(by_parts(part, len(branches), elements, branches.polytope.device))


class ActivationBounder(Protocol):
    """A domain as the search sees it."""

    def bound(self, branches: Branches) -> ActivationBounds:
        """Bound a batch of subproblems.

        Raises:
            OutOfTime: it was given up at the deadline.
        """
        ...

    def violated(self, polytope: Tensor, x: Tensor) -> Tensor:
        """Which inputs x (N, n) lead into their unsafe polytope (N,), as computed: (N,) bool."""
        ...


@dataclass(slots=True)
class ActivationResult:
    """What is left when the search ends."""

    open_polytopes: list[int]
    witness: Tensor | None = None  # (n,) float64, confirmed
    timed_out: bool = False
    stats: dict[str, Any] = field(default_factory=dict)
    splits_needed: float = 0.0  # one below the other, if bounds went on rising as they did


class ActivationSplit:
    """One search over all polytopes.

    Args:
        full_batch: with fewer subproblems than this, several elements are split at once.
        max_batch: most subproblems bounded at once.
        patience: the search ends as soon as it looks as if more splits than this, one below the other,
            were needed.
        seconds: a batch grows or shrinks towards this duration.
    """

    def __init__(
        self,
        bounder: ActivationBounder,
        ctx: Context,
        *,
        full_batch: int = 32,
        max_batch: int = 4096,
        patience: float = math.inf,
        seconds: float = SECONDS_PER_BATCH,
    ) -> None:
        self.bounder = bounder
        self.ctx = ctx
        self.full_batch = full_batch
        self.max_batch = max_batch
        self.patience = patience
        self.seconds = seconds
        self.visited = 0
        self.refused = 0

    def run(self, roots: Branches, found: ActivationBounds) -> ActivationResult:
        """Search until everything is closed, a witness is confirmed, or the deadline comes.

        Args:
            roots: subproblems without splits, and `found`, what is known of them.
        """
        stuck: set[int] = set()
        batch = BatchSize(self.full_batch, self.max_batch, self.seconds)
        lowest, deepest = float(found.lower.min()), 0
        self.visited = len(roots)
        open_ = ~proves(found.lower)
        witness = self._try(roots, found, open_)
        if witness is not None:
            return ActivationResult([], witness, stats=self._stats(0, lowest, deepest))
        work = self._children(roots, found, open_, stuck)
        root_bound, needed = found.lower, 0.0
        while len(work) and not self.ctx.deadline.expired and not needed > self.patience:
            before = time.monotonic()
            chosen, work = _pop(work, batch.size)
            taken = len(chosen)
            try:
                found = self.bounder.bound(chosen)
            except OutOfTime:
                work = work.joined(chosen)
                break
            self.visited += taken
            open_ = ~proves(found.lower)
            witness = self._try(chosen, found, open_)
            lowest = float(found.lower.min())
            deepest = max(deepest, chosen.element.shape[1])
            needed = _needed(chosen, found.lower, root_bound)
            if witness is not None:
                return ActivationResult([], witness, stats=self._stats(len(work), lowest, deepest))
            work = work.joined(self._children(chosen, found, open_, stuck))
            spent = max(time.monotonic() - before, 1e-4)
            self.ctx.tell(self.visited, len(work), lowest)
            batch.took(taken, spent)
        left = sorted(stuck | set(work.polytope.tolist()))
        return ActivationResult(
            left,
            timed_out=bool(len(work)),
            stats=self._stats(len(work), lowest, deepest),
            splits_needed=needed,
        )

    def _stats(self, left: int, lowest: float, deepest: int) -> dict[str, Any]:
        return {
            "subproblems": self.visited,
            "open_subproblems": left,
            "lowest_bound": lowest,
            "depth": deepest,
            "refused_hits": self.refused,
        }

    def _try(self, branches: Branches, found: ActivationBounds, open_: Tensor) -> Tensor | None:
        if not bool(open_.any()):
            return None
        points = found.point[open_]
        hits = self.bounder.violated(branches.polytope[open_], points).nonzero()[:, 0]
        for index in hits[:3].tolist():
            x = points[index].to(torch.float64)
            if self.ctx.confirm(x):
                return x
            self.refused += 1
        return None

    def _children(
        self, branches: Branches, found: ActivationBounds, open_: Tensor, stuck: set[int]
    ) -> Branches:
        parents = branches.take(open_)
        parents.bound = torch.fmax(parents.bound, found.lower[open_])
        parents.multiplier = found.multiplier[open_]
        parents.memory = {name: t[open_] for name, t in found.memory.items()}
        element, threshold = found.element[open_], found.threshold[open_]
        multiplier = found.next_multiplier[open_]
        able = (element >= 0).any(dim=1)
        stuck.update(parents.polytope[~able].tolist())
        parents, element, threshold = parents.take(able), element[able], threshold[able]
        multiplier = multiplier[able]
        if not len(parents):
            return parents
        levels = max(1, math.floor(math.log2(max(self.full_batch / len(parents), 1))))
        levels = min(levels, element.shape[1])
        return parents.split(element[:, :levels], threshold[:, :levels], multiplier[:, :levels])


def _needed(branches: Branches, lower: Tensor, root: Tensor) -> float:
    """How many splits the subproblems would take if bounds went on rising as they did so far, the median;
    NaN where too little is known."""
    before = root[branches.polytope]
    depth = (branches.side != 0).sum(dim=1)
    rise = (lower - before) / depth.clamp(min=1)
    return float((-before / rise.clamp(min=1e-12)).nanmedian())


def _pop(work: Branches, count: int) -> tuple[Branches, Branches]:
    """Take `count` subproblems: those with the lowest bound while memory allows, else with the highest."""
    if len(work) <= count:
        return work, work.take(torch.zeros(0, dtype=torch.long, device=work.polytope.device))
    lowest_first = work.bytes < BEST_FIRST_BYTES
    chosen = torch.topk(work.bound, count, largest=not lowest_first).indices
    rest = torch.ones(len(work), dtype=torch.bool, device=work.polytope.device)
    rest[chosen] = False
    return work.take(chosen), work.take(rest)
