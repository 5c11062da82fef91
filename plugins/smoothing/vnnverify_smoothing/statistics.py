# SPDX-License-Identifier: Apache-2.0
"""The numbers of a certificate: a confidence bound, the radius it buys, the radius a box needs."""

from __future__ import annotations

import math

from scipy.stats import beta, norm
from torch import Tensor

__all__ = ["certified_radius", "covering_radius", "lower_confidence_bound"]

RELATIVE_SLACK = 1e-9
"""Relative error granted to scipy's quantiles and to sums of squares, taken on the safe side each
time. Their documented accuracy is several digits better, and 1e-9 is far below what sampling costs."""


def lower_confidence_bound(hits: int, trials: int, alpha: float) -> float:
    """A bound p that exceeds the true probability of a hit with probability at most alpha; rounded down.

    Source: Clopper and Pearson, Biometrika 26 (1934): the alpha-quantile of Beta(hits, trials − hits + 1).

    Raises:
        ValueError: hits or alpha are out of range.
    """
    if not (0 <= hits <= trials and 0 < alpha < 1):
        raise ValueError(
            f"hits {hits} of {trials}, alpha {alpha}: need 0 <= hits <= trials and 0 < alpha < 1"
        )
    if hits == 0:
        return 0.0
    return float(beta.ppf(alpha, hits, trials - hits + 1)) * (1 - RELATIVE_SLACK)


def certified_radius(p_lower: float, sigma: float) -> float:
    """L2 radius within which a class of noisy probability >= p_lower stays the likeliest; rounded down.

    Returns sigma · Φ⁻¹(p_lower), and 0 where p_lower <= 1/2 says nothing.

    Source: Cohen, Rosenfeld, Kolter, arXiv:1902.02918, Theorem 1 with 1 − p_lower for the runner-up.
    """
    if not p_lower > 0.5:
        return 0.0
    return max(0.0, sigma * float(norm.ppf(p_lower)) * (1 - RELATIVE_SLACK))


def covering_radius(centre: Tensor, lower: Tensor, upper: Tensor) -> tuple[float, float, int]:
    """What a ball around centre (n,) needs to cover the box [lower, upper] (n,), all float64; rounded up.

    Returns:
        The L2 radius, the L-infinity radius, and in how many coordinates the box leaves the centre.
    """
    reach = (upper - centre).maximum(centre - lower).clamp(min=0)
    straight = float(reach.max()) if reach.numel() else 0.0
    if straight == 0.0 or not math.isfinite(straight):
        return straight, straight, 0 if straight == 0.0 else reach.numel()
    grow = 1 + RELATIVE_SLACK
    diagonal = straight * math.sqrt(float((reach / straight).square().sum()))  # no overflow nor underflow
    return diagonal * grow, straight * grow, int((reach > 0).sum())
