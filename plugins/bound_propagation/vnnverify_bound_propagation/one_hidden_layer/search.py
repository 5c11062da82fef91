# SPDX-License-Identifier: Apache-2.0
"""Bounds of subproblems of networks with one hidden layer, for the search over signs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vnnverify import Context
from vnnverify.bounds.propagation import Propagator
from vnnverify.bounds.state import State
from vnnverify.search import ActivationBounds, Branches, bound_in_threads
from vnnverify_bound_propagation.branching.specifications import UnsafePolytope, reached, stacked
from vnnverify_bound_propagation.one_hidden_layer.cells import Cells, ascend, certify, tighten
from vnnverify_bound_propagation.one_hidden_layer.hinges import Hinges
from vnnverify_bound_propagation.schedule.settings import Settings

__all__ = ["HingeBounder"]


class HingeBounder:
    """Bounds of cells that are nearly those of their linear programs, and cells shrunk by what they prove.

    Args:
        tool: bounds the graph, which `has_one_hidden_layer`, in float64.
        root: what `tool` knows of each box.
    """

    def __init__(
        self,
        tool: Propagator,
        root: State,
        polytopes: Sequence[UnsafePolytope],
        ctx: Context,
        settings: Settings,
    ) -> None:
        self.ctx, self.settings = ctx, settings
        self.memory = int(tool.memory * settings.cell_memory_share)
        device = root.lower.device
        box = torch.tensor([p.box for p in polytopes], device=device)
        rows = (t.to(device) for t in stacked(polytopes, tool.graph.output_size))
        self.C, self.d, self.strict, self.real = rows
        self.exact = Hinges.of(tool, root, box, self.C, self.d)
        self.fast = self.exact.to(ctx.dtype)
        self.network = tool.graph.to(device, ctx.dtype)
        self.size = len(self.exact)

    def start(self) -> tuple[Branches, ActivationBounds]:
        """All polytopes without splits, and what is known of them."""
        hinges, dtype = self.fast, self.ctx.dtype
        G, P, J = hinges.v.shape
        polytope = torch.arange(G, device=hinges.W.device)
        weight = torch.ones(G, P, device=polytope.device, dtype=dtype) / P
        zero = weight.new_zeros(G, J)
        point = (hinges.lower + hinges.upper) / 2
        ends = (hinges.lower, hinges.upper, hinges.low, hinges.high)
        cells = Cells(polytope, *ends, zero, point, weight)
        branches = Branches.roots(G, polytope.device, dtype)
        return branches, self._bounds(
            branches, cells, self.settings.cell_root_steps, self.settings.cell_root_rounds
        )

    def bound(self, branches: Branches) -> ActivationBounds:
        return bound_in_threads(self._bound, branches, self.size * self.fast.W.shape[1])

    def _bound(self, branches: Branches) -> ActivationBounds:
        memory = branches.memory
        names = ("lower", "upper", "low", "high", "slope", "point", "weight")
        cells = Cells(branches.polytope, *(memory[name] for name in names))
        split = branches.element.clamp(min=0)
        inf = float("inf")
        for end, side, kind in ((cells.low, 1, "amax"), (cells.high, -1, "amin")):
            to = torch.where(branches.side == side, branches.threshold, -side * inf).to(end.dtype)
            end.scatter_reduce_(1, split, to, kind)
        return self._bounds(branches, cells, self.settings.cell_steps, self.settings.cell_rounds)

    def _bounds(self, branches: Branches, cells: Cells, steps: int, rounds: int) -> ActivationBounds:
        D, J = cells.slope.shape
        lower = torch.full((D,), -float("inf"), dtype=torch.float64, device=cells.slope.device)
        each = min(J * cells.point.shape[1], self.settings.cell_elements)
        at_once = max(1, self.memory // (16 * max(each, J, 1)))
        for index in torch.split(torch.arange(D, device=lower.device), at_once):
            part = cells.take(index)
            lower[index] = self._improve(part, steps, rounds)
            cells.put(index, part)
        element = self._elements(cells)
        leaf = ((element[:, 0] < 0) & ~(lower > 0)).nonzero()[:, 0]
        if leaf.numel():
            part = cells.take(leaf)
            lower[leaf] = torch.fmax(lower[leaf], self._improve(part, self.settings.cell_leaf_steps, 1))
            cells.put(leaf, part)
            element[leaf] = self._elements(part)
        names = ("lower", "upper", "low", "high", "slope", "point", "weight")
        memory = {name: getattr(cells, name) for name in names}
        point = self._descended(cells.polytope, cells.point)
        none = torch.zeros_like(element, dtype=self.ctx.dtype)
        bound = torch.where(lower > 0, lower, lower.clamp(max=0)).to(self.ctx.dtype)
        multiplier = torch.zeros_like(branches.multiplier)
        return ActivationBounds(
            bound, multiplier, memory, point, element, none, none[:, :, None].expand(-1, -1, 2)
        )

    def _improve(self, cells: Cells, steps: int, rounds: int) -> Tensor:
        """Certified bounds (D,) of cells that are improved and shrunk in place: one where empty."""
        best = torch.full((len(cells),), -float("inf"), dtype=torch.float64, device=cells.slope.device)
        left = torch.arange(len(cells), device=best.device)
        part = cells
        for _ in range(rounds):
            ascend(self.fast, part, steps, self.settings)
            proof = certify(self.exact, part)
            proved = (proof.bound > 0) & torch.isfinite(proof.bound)
            empty = tighten(self.exact, part, proof, self.settings) | proved
            best[left] = torch.where(empty, 1.0, torch.fmax(best[left], proof.bound.clamp(max=0)))
            if part is not cells:
                cells.put(left, part)
            keep = ~empty
            left = left[keep]
            if not left.numel():
                break
            part = cells.take(left)
        return best

    def _elements(self, cells: Cells) -> Tensor:
        """Hinges to split (D, k), best first, -1 where none is left that matters."""
        hinges = self.fast
        v = hinges.v[cells.polytope]  # (D, P, J)
        v = v[:, 0] if v.shape[1] == 1 else torch.einsum("dp,dpj->dj", cells.weight, v)
        low, high = cells.low, cells.high
        if v.shape[1] == 0:
            return torch.full((len(cells), 1), -1, device=v.device)
        z = torch.addmm(hinges.b, cells.point, hinges.W.T)
        z = torch.minimum(torch.maximum(z, low), high)
        open_ = (low < 0) & (high > 0)
        chord = high / torch.where(open_, high - low, 1.0)
        excess = chord * (z - low) - z.clamp(min=0) + self.settings.cell_chord * chord * -low
        score = torch.where(open_ & (v < 0), -v * excess, -1.0)
        value, element = score.topk(min(self.settings.cell_candidates, v.shape[1]), dim=1)
        return torch.where(value >= 0, element, -1)

    def _descended(self, polytope: Tensor, point: Tensor) -> Tensor:
        """The points, the most promising of them taken down the steepest descent of the margin, the largest
        row of each polytope, within its box."""
        hinges, settings = self.fast, self.settings
        found, worst = point.clone(), self._margin(polytope, point)[0]
        index = worst.topk(min(settings.descent_points, len(worst)), largest=False).indices
        polytope, x, best = polytope[index], point[index], worst[index]
        lower, upper = hinges.lower[polytope], hinges.upper[polytope]
        stride = settings.descent_rate * (upper - lower)
        for _ in range(settings.descent_steps):
            margin, slope = self._margin(polytope, x)
            better = margin < best
            best = torch.where(better, margin, best)
            found[index[better]] = x[better]
            x = torch.minimum(torch.maximum(x - stride * slope.sign(), lower), upper)
            stride = settings.descent_decay * stride
        return found

    def _margin(self, polytope: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """The largest row of each polytope at x (N, n) and its slope (N, n), in plain arithmetic."""
        hinges = self.fast
        z = torch.addmm(hinges.b, x, hinges.W.T)
        v, a = hinges.v[polytope], hinges.a[polytope]
        rows = torch.einsum("npj,nj->np", v, z.clamp(min=0)) + torch.einsum("npk,nk->np", a, x)
        margin, row = (rows + hinges.c[polytope]).max(dim=1)
        each = torch.arange(len(row), device=row.device)
        return margin, (v[each, row] * (z > 0)) @ hinges.W + a[each, row]

    def violated(self, polytope: Tensor, x: Tensor) -> Tensor:
        rows = self.C[polytope], self.d[polytope]
        return reached(*rows, self.strict[polytope], self.real[polytope], self.network(x).to(torch.float64))
