# SPDX-License-Identifier: Apache-2.0
"""CERTIFY for one clause. Source: Cohen, Rosenfeld, Kolter, arXiv:1902.02918, section 3.2.2."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch

from vnnverify import Clause, Context
from vnnverify.ir import Graph
from vnnverify_smoothing.robustness import protected_classes
from vnnverify_smoothing.sampling import count_classes
from vnnverify_smoothing.statistics import certified_radius, covering_radius, lower_confidence_bound

__all__ = ["Certificate", "certify"]

TIME_RESERVE = 0.5
"""Fraction of the remaining time that sampling is planned to take at the speed of the selection."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is known about the smoothed classifier around the centre of one box.

    With probability at least `confidence` over the sampling: if `predicted` is not None, it is what the
    smoothed classifier predicts within an L2 distance below `certified_radius` (or L-infinity, as asked).
    """

    predicted: int | None  # None: abstain
    reason: str  # why it abstains, or why the certificate does not cover the box
    p_lower: float
    certified_radius: float  # rounded down
    required_radius: float  # rounded up
    certified: bool  # whether predicted is the class to protect, all over the box
    samples: int
    confidence: float


def certify(
    graph: Graph,
    clause: Clause,
    ctx: Context,
    *,
    sigma: float,
    n0: int,
    n: int,
    alpha: float,
    batch: int,
    norm: str = "l2",
) -> Certificate:
    """Certify a clause of robustness shape at the centre of its box.

    The number of samples is fixed before the first of them is drawn: n, or what the time left allows
    at the speed of the n0 selection samples, which are not used again. So neither the clock nor the
    counts can bias the confidence. If the deadline comes all the same, it abstains.

    Args:
        graph: on ctx.device, in ctx.dtype.
        norm: "l2" or "linf", for the radii; whether the box is covered is always judged in L2.
    """
    region = clause.region
    centre = ((region.lower + region.upper) / 2).to(ctx.device, ctx.dtype)
    diagonal, straight, moved = covering_radius(centre.cpu().to(torch.float64), region.lower, region.upper)

    def verdict(
        reason: str, predicted: int | None = None, p_lower: float = 0.0, samples: int = 0
    ) -> Certificate:
        radius = certified_radius(p_lower, sigma)
        shown, required = (radius, diagonal) if norm == "l2" else (_per_axis(radius, moved), straight)
        return Certificate(predicted, reason, p_lower, shown, required, not reason, samples, 1 - alpha)

    if not ctx.deadline.expired:
        count_classes(graph, centre, 0.0, 1, 1, ctx)  # the first run is slow, and would spoil the plan
    started = time.monotonic()
    selected = count_classes(graph, centre, sigma, n0, batch, ctx)
    if selected is None:
        return verdict("no time to sample")
    if not int(selected.max()):
        return verdict("no class wins under noise")
    guess = int(selected.argmax())
    samples = _affordable(n, n0, time.monotonic() - started, ctx.deadline.remaining())
    counts = count_classes(graph, centre, sigma, samples, batch, ctx)
    if counts is None or samples == 0:
        return verdict("the deadline came before the samples were drawn")
    p_lower = lower_confidence_bound(int(counts[guess]), samples, alpha)
    if not p_lower > 0.5:
        return verdict(f"class {guess} is not surely the likeliest", None, p_lower, samples)
    if guess not in protected_classes(clause):
        return verdict(f"it predicts class {guess}, not the class to protect", guess, p_lower, samples)
    if not diagonal < certified_radius(p_lower, sigma):
        return verdict("the radius does not cover the box", guess, p_lower, samples)
    return verdict("", guess, p_lower, samples)


def _affordable(n: int, n0: int, seconds: float, remaining: float) -> int:
    """Samples to draw: n, or fewer if n0 of them took so long that n would not fit."""
    if math.isinf(remaining) or seconds <= 0:
        return n
    return min(n, int(TIME_RESERVE * remaining * n0 / seconds))


def _per_axis(radius: float, moved: int) -> float:
    """The L-infinity radius inside an L2 one if `moved` coordinates may change; rounded down."""
    return math.nextafter(radius / math.sqrt(max(1, moved)), 0.0)
