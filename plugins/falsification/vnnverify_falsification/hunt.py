# SPDX-License-Identifier: Apache-2.0
"""What one run knows: the network, the targets, how near each was missed, and the witness if found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify import Clause, Context, Query
from vnnverify.ir import Affine, Bilinear, Composite, Elementwise, Graph, Maximum
from vnnverify_falsification.surrogate import attackable
from vnnverify_falsification.targets import Targets

__all__ = ["BLIND_BATCH", "Hunt", "Place", "batch_size"]

STEP_WORK = 1e8
"""Multiplications per forward pass that a batch is sized for: some milliseconds on one core, so that
the deadline is looked at often, and enough to keep the core busy. On a GPU 64 times as many."""

FREE_ASKS = 16
"""After so many refused candidates only one that lies deeper than all of them is replayed."""

ELITES = 256
"""Targets whose best point is kept as a later start."""

TRAITS = (Affine, Bilinear, Composite, Elementwise, Maximum)

BLIND_BATCH = 64
"""Points per batch where the network's work is unknown, or where it gives no gradient."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where each of a batch of points ranges: the region of its clause, and the box around it."""

    clause: Tensor  # (batch,)
    lower: Tensor  # (batch, n), cut to be finite
    width: Tensor  # (batch, n)
    round: Tensor  # (batch,) bool: the region is neither a box nor one cut by rows

    def take(self, index: Tensor) -> Place:
        """That of some of the points."""
        return Place(self.clause[index], self.lower[index], self.width[index], self.round[index])


class Hunt:
    """The state that all kinds of attack share. Points are u in [0, 1]^n, each in its clause's box."""

    def __init__(self, query: Query, clauses: Sequence[Clause], ctx: Context, memory_mb: int) -> None:
        self.ctx = ctx
        self.clauses = clauses
        self.inputs = query.graph.input_size
        self.outputs = query.graph.output_size
        self.graph = attackable(query.graph.to(ctx.device, ctx.dtype), clauses)
        self.round = [c.region.is_round for c in clauses]
        self.some_round = any(self.round)
        self.whole = list(query.layout.whole)  # inputs that hold whole numbers
        self.targets = Targets.of(clauses, self.inputs, ctx.device, ctx.dtype)
        per_point = self.targets.of_clause.shape[1] * self.targets.row.shape[1] + self.targets.rows.shape[0]
        self.batch = batch_size(query.graph, per_point, ctx, memory_mb)
        self.best = torch.full((len(self.targets),), torch.inf, device=ctx.device, dtype=ctx.dtype)
        self.elite: dict[int, tuple[float, Tensor]] = {}
        self.witness: Tensor | None = None  # (n,) float64
        self.points = 0
        self.refused = 0
        self._deepest_refused = torch.inf

    def over(self) -> bool:
        """Whether to stop: a witness is confirmed, or the time is up."""
        return self.witness is not None or self.ctx.deadline.expired

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1) from the context's generator."""
        return torch.rand(*shape, generator=self.ctx.generator, device=self.ctx.device, dtype=self.ctx.dtype)

    def place(self, clause: Tensor) -> Place:
        """Where the points of these clauses (batch,) range."""
        wanted, back = torch.unique(clause, return_inverse=True)
        regions = [self.clauses[int(index)].region for index in wanted]
        device, dtype = self.ctx.device, self.ctx.dtype
        most = torch.finfo(dtype).max / 4
        lower = torch.stack([r.lower for r in regions]).clamp(-most, most)
        width = torch.stack([r.upper for r in regions]).clamp(-most, most) - lower
        round_ = torch.tensor([self.round[int(index)] for index in wanted], dtype=torch.bool, device=device)
        return Place(clause, lower.to(device, dtype)[back], width.to(device, dtype)[back], round_[back])

    def at(self, u: Tensor, place: Place) -> Tensor:
        """The inputs (batch, n) that points u (batch, n) stand for, moved into their regions. They are whole
        where inputs hold nothing else; the derivative by u is as if they held all numbers of the box."""
        x = place.lower + u * place.width
        if self.some_round:
            x = x + (self._inside(x.detach(), place) - x.detach())
        if not self.whole:
            return x
        nearest = x.detach().clone()
        nearest[:, self.whole] = nearest[:, self.whole].round()
        return x + (nearest - x.detach())

    def kept(self, u: Tensor, place: Place) -> Tensor:
        """The points u (batch, n) that stand for inputs inside, next to those given."""
        u = u.clamp(0.0, 1.0)
        if not self.some_round:
            return u
        x = self._inside(place.lower + u * place.width, place)
        return torch.where(place.width > 0, (x - place.lower) / place.width, u).clamp(0.0, 1.0)

    def _inside(self, x: Tensor, place: Place) -> Tensor:
        """Inputs (batch, n) of boxes, moved into the regions that are round."""
        x = x.clone()
        for index in torch.unique(place.clause[place.round]).tolist():
            own = place.clause == index
            region = self.clauses[index].region.to(x.device, torch.float64)
            x[own] = region.project(x[own].double()).to(x.dtype)
        return x

    def record(self, clause: Tensor, u: Tensor, x: Tensor, products: Tensor) -> None:
        """Note how near the points come to each target of their clause; ask about the deepest hit."""
        self.points += x.shape[0]
        values = self.targets.values(products.detach(), clause)  # (batch, k)
        target = self.targets.of_clause[clause]
        self.best.scatter_reduce_(0, target.flatten(), values.flatten(), "amin")
        least, column = values.min(dim=1)
        point = int(least.argmin())
        value = float(least[point])
        chosen = int(target[point, column[point]])
        if value < self.elite.get(chosen, (torch.inf,))[0]:
            self._keep(chosen, value, u[point])
        if value <= 0:
            self._ask(int(clause[point]), x[point], value)

    def _keep(self, target: int, value: float, u: Tensor) -> None:
        self.elite[target] = (value, u.detach().clone())
        if len(self.elite) > ELITES:
            del self.elite[max(self.elite, key=lambda key: self.elite[key][0])]

    def _ask(self, clause: int, x: Tensor, value: float) -> None:
        if self.witness is not None or (self.refused >= FREE_ASKS and value >= self._deepest_refused):
            return
        region = self.clauses[clause].region
        point = x.detach().cpu().to(torch.float64)
        point = torch.minimum(torch.maximum(point, region.lower.cpu()), region.upper.cpu())
        if self.ctx.confirm(point):
            self.witness = point
        else:
            self.refused += 1
            self._deepest_refused = min(self._deepest_refused, value)
            self.ctx.logger.debug("candidate of margin %g is refused by the original model", value)


def batch_size(graph: Graph, per_point: int, ctx: Context, memory_mb: int) -> int:
    """Points per batch, from the network's structure alone, so that runs repeat on any machine.

    Args:
        per_point: further numbers held per point.
    """
    work, held = 0.0, float(per_point)
    for node in graph.nodes:
        work += node.output.size * (1 + (node.op.fan_in if isinstance(node.op, Affine) else 0))
        held += node.output.size
    work *= 1.0 if ctx.device.type == "cpu" else 1.0 / 64
    most = 1024 if ctx.device.type == "cpu" else 65536
    if not all(isinstance(node.op, TRAITS) for node in graph.nodes):
        most = BLIND_BATCH
    size = torch.finfo(ctx.dtype).bits / 8
    by_memory = memory_mb * 2**20 / (4 * size * (held + 4 * graph.input_size))
    return int(max(1, min(STEP_WORK / max(work, 1.0), by_memory, most)))
