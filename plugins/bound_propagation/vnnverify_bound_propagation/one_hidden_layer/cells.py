# SPDX-License-Identifier: Apache-2.0
"""Bounds of sums of hinges over cells: parts of a box in which the hinges' arguments are within ends.

A cell's dual has one multiplier S_j for each equation z_j = W_j x + b_j:

    L(S) = Σ_j min over z_j of (v_j relu(z_j) − S_j z_j)  +  min over x of (S W + a) x  +  S b + c

Any S gives a valid bound, and the best S that of the linear relaxation with the convex hull of every hinge
between its ends. What is left of a cell once its outputs must be unsafe follows from the same multipliers.

Source: Chambolle and Pock, J. Math. Imaging Vis. 40 (2011); Pock and Chambolle, ICCV 2011 (step sizes).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.bounds.optimise.simplex import onto_simplex
from vnnverify.numerics import gamma, lower_as, unit_roundoff, upper_as
from vnnverify.search.clip import clip
from vnnverify_bound_propagation.one_hidden_layer.hinges import Hinges
from vnnverify_bound_propagation.schedule.settings import Settings

__all__ = ["Cells", "Proof", "ascend", "certify", "tighten"]

SMALLEST = 1e-30
"""A size to divide by that is not zero."""


@dataclass(slots=True, eq=False)
class Cells:
    """D cells with what is known of their duals. Ends are rounded outward."""

    polytope: Tensor  # (D,)
    lower: Tensor  # (D, n) where the unsafe inputs are
    upper: Tensor  # (D, n)
    low: Tensor  # (D, J) ends of z
    high: Tensor  # (D, J)
    slope: Tensor  # (D, J) S
    point: Tensor  # (D, n) the primal solution
    weight: Tensor  # (D, P) of the polytope's rows: nonnegative

    def __len__(self) -> int:
        return self.polytope.shape[0]

    def take(self, index: Tensor) -> Cells:
        """The cells that `index` selects."""
        return Cells(*(getattr(self, name)[index] for name in self.__slots__))

    def put(self, index: Tensor, part: Cells) -> None:
        """Write `part` over the cells that `index` selects."""
        for name in self.__slots__:
            getattr(self, name)[index] = getattr(part, name)


@dataclass(frozen=True, slots=True, eq=False)
class Proof:
    """What the multipliers of D cells prove: margin >= A x + k in the cell, rounding subtracted from k."""

    bound: Tensor  # (D,) the least of it over the cell's box
    A: Tensor  # (D, n)
    k: Tensor  # (D,)
    hull: Tensor  # (D, J) the part of the bound that each hinge has
    error: Tensor  # (D,) of either of them
    v: Tensor  # (D, J)


def ascend(hinges: Hinges, cells: Cells, steps: int, settings: Settings) -> None:
    """Improve slopes and points by primal-dual steps, in plain arithmetic, in place. They move the
    input as well, so they are no gradient ascent as in `vnnverify.bounds.optimise.ascent`.

    Args:
        hinges: in the float type of the cells' slopes.
    """
    each = settings.cell_reweigh_every if hinges.v.shape[1] > 1 else max(steps, 1)
    for done in range(0, steps, each):
        if done:
            _reweigh(hinges, cells, settings.cell_reweigh_rate)
        _step(hinges, cells, min(each, steps - done))


def _step(hinges: Hinges, cells: Cells, steps: int) -> None:
    """Primal-dual steps at fixed weights."""
    v, a = _mixed(hinges.v, cells), _mixed(hinges.a, cells)
    low, high, lower, upper = cells.low, cells.high, cells.lower, cells.upper
    if not len(hinges):
        cells.point = torch.where(a > 0, lower, upper)
        return
    tiny = torch.finfo(v.dtype).tiny ** 0.5
    size = torch.maximum(v.abs(), 1e-3 * v.abs().amax(dim=1, keepdim=True)).clamp(min=tiny)
    width = (upper - lower).clamp(min=0)
    reach = (width @ hinges.W.abs().T).clamp(min=tiny)
    pace = size / reach  # (D, J) step sizes of S
    stride = width / (size @ hinges.W.abs()).clamp(min=tiny)  # (D, n) step sizes of x
    left, right = _pieces(v, low, high)
    left, right = left / pace, right / pace
    S, x = cells.slope, cells.point
    for _ in range(steps):
        ahead = torch.minimum(torch.maximum(x - stride * (S @ hinges.W + a), lower), upper)
        y = S / pace + torch.addmm(hinges.b, 2 * ahead - x, hinges.W.T)
        z = (y - left).clamp_(max=0) + (y - right).clamp_(min=0)  # the proximal point of the hull
        z = torch.minimum(torch.maximum(z, low), high)
        S = pace * (y - z)
        x = ahead
    cells.slope, cells.point = S, x


def _reweigh(hinges: Hinges, cells: Cells, rate: float) -> None:
    """Weights in proportion to how far each row is from being unsafe at the point: one step of ascent."""
    v = _mixed(hinges.v, cells)
    z = torch.addmm(hinges.b, cells.point, hinges.W.T)
    z = torch.minimum(torch.maximum(z, cells.low), cells.high)
    chord = cells.high.clamp(min=0) / (cells.high - cells.low).clamp(min=torch.finfo(v.dtype).tiny)
    open_ = (cells.low < 0) & (cells.high > 0) & (v < 0)
    y = torch.where(open_, chord * (z - cells.low), z.clamp(min=0))
    rows = torch.einsum("dpj,dj->dp", hinges.v[cells.polytope], y)
    rows = rows + torch.einsum("dpk,dk->dp", hinges.a[cells.polytope], cells.point) + hinges.c[cells.polytope]
    size = rows.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(v.dtype).tiny)
    cells.weight = onto_simplex(cells.weight + rate * rows / size)


def _pieces(v: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes of the convex hull of v relu on [low, high], left and right of zero."""
    open_ = (low < 0) & (high > 0)
    settled = torch.where(low >= 0, v, 0.0)
    chord = v * high / torch.where(open_, high - low, 1.0)
    bent = torch.where(v > 0, 0.0, chord), torch.where(v > 0, v, chord)
    return torch.where(open_, bent[0], settled), torch.where(open_, bent[1], settled)


def _mixed(rows: Tensor, cells: Cells) -> Tensor:
    """Σ_p weight_p rows_p: (G, P, …) to (D, …)."""
    if rows.shape[1] == 1:
        return rows[cells.polytope, 0]
    return torch.einsum("dp,dp...->d...", cells.weight.to(rows.dtype), rows[cells.polytope])


def certify(hinges: Hinges, cells: Cells) -> Proof:
    """What the cells' slopes prove, in float64 with all rounding errors counted."""
    S = cells.slope.double()
    low, high, lower, upper = (t.double() for t in (cells.low, cells.high, cells.lower, cells.upper))
    v = _mixed(hinges.v, cells)
    ends = torch.minimum(v * low.clamp(min=0) - S * low, v * high.clamp(min=0) - S * high)
    hull = torch.where((low < 0) & (high > 0), ends.clamp(max=0), ends)
    A = S @ hinges.W + _mixed(hinges.a, cells)
    k = hull.sum(dim=1) + S @ hinges.b - S.abs() @ hinges.e + _mixed(hinges.c[:, :, None], cells)[:, 0]
    error = _error(hinges, cells, S)
    k = k - 2 * error
    bound = k + torch.minimum(A * lower, A * upper).sum(dim=1)
    return Proof(bound, A, k, hull, error, v)


def _error(hinges: Hinges, cells: Cells, S: Tensor) -> Tensor:
    """Bound (D,) of all rounding errors of `certify`, of those of v and A times the largest arguments, and of
    any one hinge's part: every sum has at most J + n + P + 16 terms, whose sizes are summed up here."""
    _, P, J = hinges.v.shape
    x = torch.maximum(hinges.lower.abs(), hinges.upper.abs())  # (G, n)
    z = torch.maximum(hinges.low.abs(), hinges.high.abs())  # (G, J)
    per_slope = z + hinges.b.abs() + hinges.e + x @ hinges.W.abs().T
    per_row = (hinges.v.abs() * z[:, None]).sum(dim=2) + (hinges.a.abs() * x[:, None]).sum(dim=2)
    per_row = per_row + hinges.c.abs()
    polytope = cells.polytope
    size = (S.abs() * per_slope[polytope]).sum(dim=1)
    size = size + (cells.weight.double() * per_row[polytope]).sum(dim=1)
    return 4 * gamma(J + x.shape[1] + P + 16, torch.float64) * size  # ends of cells are rounded by 2^-23


def tighten(hinges: Hinges, cells: Cells, proof: Proof, settings: Settings) -> Tensor:
    """Shrink the cells, in place, to where the margin can be <= 0; which of them (D,) are then empty."""
    sane = torch.isfinite(proof.bound) & torch.isfinite(proof.A).all(dim=1)
    lower, upper, low, high = (t.double() for t in (cells.lower, cells.upper, cells.low, cells.high))
    one = torch.ones(len(cells), 1, 1, dtype=torch.bool, device=low.device)
    less, more = clip(lower, upper, proof.bound[:, None], proof.A[:, None], one, one[:, 0])
    near, far = _by_price(cells, proof, low, high)
    low, high = torch.fmax(low, near), torch.fmin(high, far)
    empty = (less > more).any(dim=1)
    less, more = torch.minimum(less, more), torch.maximum(less, more)
    near, far = _over_half_space(hinges, cells.polytope, proof, less, more, settings)
    low = torch.where(torch.isfinite(near), torch.fmax(low, near), low)
    high = torch.where(torch.isfinite(far), torch.fmin(high, far), high)
    empty |= (low > high).any(dim=1)
    keep = sane[:, None]
    dtype = cells.lower.dtype
    cells.lower = torch.where(keep, lower_as(less, dtype), cells.lower)
    cells.upper = torch.where(keep, upper_as(more, dtype), cells.upper)
    cells.low = torch.where(keep, lower_as(torch.minimum(low, high), dtype), cells.low)
    cells.high = torch.where(keep, upper_as(torch.maximum(low, high), dtype), cells.high)
    return empty & sane


def _by_price(cells: Cells, proof: Proof, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Ends (D, J) of the arguments that a margin <= 0 can pay for: v relu(z) − S z <= hull − bound.

    On either side of zero that is one linear inequality; what remains of the two sides is joined. Empty
    where the ends cross.
    """
    S, v = cells.slope.double(), proof.v
    price = proof.hull - proof.bound[:, None] + 4 * proof.error[:, None]
    inf = float("inf")
    zero = torch.zeros_like(low)
    ends = []
    for slope, left, right in ((-S, low, torch.minimum(high, zero)), (v - S, torch.maximum(low, zero), high)):
        cut = price / slope  # slope · z <= price
        pad = 8 * unit_roundoff(cut.dtype) * cut.abs()
        right_, left_ = torch.where(slope > 0, cut + pad, inf), torch.where(slope < 0, cut - pad, -inf)
        left, right = torch.fmax(left, left_), torch.fmin(right, right_)
        none = (left > right) | ((slope == 0) & (price < 0))
        ends.append((torch.where(none, inf, left), torch.where(none, -inf, right)))
    return torch.minimum(ends[0][0], ends[1][0]), torch.maximum(ends[0][1], ends[1][1])


def _over_half_space(
    hinges: Hinges, polytope: Tensor, proof: Proof, lower: Tensor, upper: Tensor, settings: Settings
) -> tuple[Tensor, Tensor]:
    """Ends (D, J) of the arguments where x is in the box [lower, upper] and A x + k <= 0.

        z_j  >=  min over the box of (W_j + λ A) x  +  b_j − e_j + λ k      for any λ >= 0

    The sums Σ_i r_i |W_ji ± λ A_i| with the radii r are distances of points.
    """
    dtype = torch.float64
    middle = (lower + upper) / 2
    radius = torch.maximum(upper - middle, middle - lower) * (1 + 4 * unit_roundoff(dtype))
    x = torch.maximum(hinges.lower.abs(), hinges.upper.abs())[polytope]
    g = 4 * gamma(2 * x.shape[1] + 32, dtype)
    magnitude = hinges.W.abs()
    centre = middle @ hinges.W.T + hinges.b
    loss = hinges.e + g * (x @ magnitude.T + hinges.b.abs() + hinges.e)  # (D, J)
    size = (radius @ magnitude.T) * (1 + g)
    low, high = centre - loss - size, centre + loss + size
    most = max(1, settings.cell_elements // x.shape[1])
    chosen = _dearest(proof, low, high, most) if most < len(hinges) else None
    if chosen is None:
        W = hinges.W * radius[:, None]  # (D, J, n)
    else:
        W = hinges.W[chosen] * radius[:, None]  # (D, K, n)
        centre, loss, size = (t.gather(1, chosen) for t in (centre, loss, size))
    size = size.clamp(min=SMALLEST)
    W = W / size[:, :, None]  # rows of size one
    slope = radius * proof.A
    unit = slope.abs().sum(dim=1, keepdim=True).clamp(min=SMALLEST)
    mixes = torch.tensor(settings.mixes(), dtype=dtype, device=W.device)
    points = mixes[:, None] * (slope / unit)[:, None]  # (D, M, n)
    across = ((proof.A * middle).sum(dim=1) + proof.k)[:, None] / unit * mixes  # (D, M)
    spread = ((proof.A.abs() * x).sum(dim=1) + proof.k.abs())[:, None] / unit * mixes
    value = across - g * spread
    below = (value[:, None] - torch.cdist(W, -points, p=1.0)).amax(dim=2)  # (D, J or K)
    above = (value[:, None] - torch.cdist(W, points, p=1.0)).amax(dim=2)
    found = centre - loss + size * below, centre + loss - size * above
    if chosen is None:
        return torch.fmax(low, found[0]), torch.fmin(high, found[1])
    return (
        low.scatter_reduce(1, chosen, found[0], "amax"),
        high.scatter_reduce(1, chosen, found[1], "amin"),
    )


def _dearest(proof: Proof, low: Tensor, high: Tensor, count: int) -> Tensor:
    """The hinges (D, count) whose chords are furthest from them."""
    height = torch.where((low < 0) & (high > 0), -low * high / (high - low), 0.0)
    return (proof.v.abs() * height).topk(count, dim=1).indices
