# SPDX-License-Identifier: Apache-2.0
"""Confidence bounds and radii against closed forms, definitions and simulation."""

from __future__ import annotations

import math
from statistics import NormalDist

import pytest
import torch
from scipy.stats import binom
from vnnverify_smoothing.statistics import certified_radius, covering_radius, lower_confidence_bound


@pytest.mark.parametrize("trials", [1, 10, 100, 10_000])
@pytest.mark.parametrize("alpha", [0.3, 0.05, 1e-3, 1e-9])
def test_all_hits_have_the_closed_form_alpha_to_the_one_over_n(trials, alpha):
    bound = lower_confidence_bound(trials, trials, alpha)
    assert bound <= alpha ** (1 / trials)
    assert bound == pytest.approx(alpha ** (1 / trials), rel=1e-8)


@pytest.mark.parametrize(
    ("hits", "trials"), [(1, 1), (1, 50), (25, 50), (49, 50), (9_000, 10_000), (99_999, 100_000)]
)
@pytest.mark.parametrize("alpha", [0.2, 1e-3])
def test_the_bound_is_where_so_many_hits_have_probability_alpha(hits, trials, alpha):
    """Clopper and Pearson's definition: P(X >= hits | p) = alpha at the bound, and no more when rounded."""
    bound = lower_confidence_bound(hits, trials, alpha)
    assert binom.sf(hits - 1, trials, bound) <= alpha
    assert binom.sf(hits - 1, trials, bound) == pytest.approx(alpha, rel=1e-4)


@pytest.mark.parametrize("trials", [1, 7, 60])
@pytest.mark.parametrize("p", [0.05, 0.5, 0.51, 0.9, 0.999])
@pytest.mark.parametrize("alpha", [0.1, 0.01])
def test_the_bound_covers_with_the_promised_probability(trials, p, alpha):
    """Summed exactly over all outcomes."""
    wrong = sum(
        binom.pmf(hits, trials, p)
        for hits in range(trials + 1)
        if lower_confidence_bound(hits, trials, alpha) > p
    )
    assert wrong <= alpha + 1e-12


def test_no_hit_bounds_nothing():
    assert lower_confidence_bound(0, 100, 0.05) == 0.0


@pytest.mark.parametrize(
    ("hits", "trials", "alpha"), [(-1, 10, 0.1), (11, 10, 0.1), (5, 10, 0.0), (5, 10, 1.0)]
)
def test_impossible_counts_are_refused(hits, trials, alpha):
    with pytest.raises(ValueError, match=f"hits {hits} of {trials}"):
        lower_confidence_bound(hits, trials, alpha)


@pytest.mark.parametrize("p", [0.500001, 0.6, 0.9, 0.999, 1 - 1e-9])
@pytest.mark.parametrize("sigma", [0.12, 1.0])
def test_the_radius_is_the_normal_quantile_rounded_down(p, sigma):
    exact = sigma * NormalDist().inv_cdf(p)
    assert certified_radius(p, sigma) == pytest.approx(exact, rel=1e-6)
    assert certified_radius(p, sigma) < exact * (1 + 1e-12)


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, math.nan])
def test_half_or_less_certifies_nothing(p):
    assert certified_radius(p, 1.0) == 0.0


@pytest.mark.parametrize(
    ("lower", "upper", "diagonal", "straight", "moved"),
    [
        pytest.param([0, 0], [2, 2], math.sqrt(2), 1.0, 2, id="square"),
        pytest.param([0, 1, 1], [2, 1, 1], 1.0, 1.0, 1, id="a line"),
        pytest.param([1, 1], [1, 1], 0.0, 0.0, 0, id="a point"),
        pytest.param([0, 1], [3, 1], 2.0, 2.0, 1, id="off centre"),
        pytest.param([1 - 1e-200, 1], [1 + 1e200, 1], 1e200, 1e200, 1, id="huge"),
    ],
)
def test_the_ball_covers_the_box(lower, upper, diagonal, straight, moved):
    centre = torch.ones(len(lower), dtype=torch.float64)
    ends = (torch.tensor(end, dtype=torch.float64) for end in (lower, upper))
    found = covering_radius(centre, *ends)
    assert found == (pytest.approx(diagonal, rel=1e-8), pytest.approx(straight, rel=1e-8), moved)
    assert found[0] >= diagonal
    assert found[1] >= straight
