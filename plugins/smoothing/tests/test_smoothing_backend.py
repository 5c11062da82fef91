# SPDX-License-Identifier: Apache-2.0
"""Certificates of classifiers whose smoothed radius is known, and the shape of queries."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
import time

import pytest
import torch
from scipy.stats import binom
from torch import Tensor
from vnnverify_smoothing.backend import Smoothing, SmoothingOptions
from vnnverify_smoothing.certify import certify
from vnnverify_smoothing.robustness import protected_classes
from vnnverify_smoothing.sampling import count_classes

from vnnverify import Guarantee, Polytope, Verdict
from vnnverify.ir import Op

OPTIONS = SmoothingOptions(sigma=0.5, n0=50, n=2_000, alpha=0.001, batch=256)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Broken(Op):
    """Class 0 wins at once, but where x0 is positive the other output is not finite."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        x = inputs[0][:, :1]
        return torch.cat([torch.ones_like(x), torch.where(x > 0, torch.nan, 0.0)], dim=1)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Slow(Op):
    """Class 0 always wins; each call takes ten milliseconds."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        time.sleep(0.01)
        return torch.tensor([[1.0, 0.0]]).expand(inputs[0].shape[0], 2)


def linear_case(make, half, distance=1.0, inputs=4):
    """A plane at `distance` from the centre, where the smoothed radius is `distance` whatever sigma is."""
    weight = [1.0] * inputs
    graph = make.plane(weight, distance * math.sqrt(inputs))
    return make.query(graph, make.ball([0.0] * inputs, half, make.beats(1, 0)))


def test_a_linear_classifier_is_certified_up_to_nearly_its_distance(make):
    """4 inputs, half-width 0.3: the box needs a radius of 0.6, the plane is 1 away."""
    outcome = Smoothing(OPTIONS).verify(linear_case(make, 0.3), make.context())
    assert outcome.verdict is Verdict.UNKNOWN
    assert "no proof" in outcome.reason
    assert outcome.stats["certified"] is True
    assert outcome.stats["predicted"] == 0
    assert 0.75 < outcome.stats["certified_radius"] < 1.0
    assert outcome.stats["required_radius"] == pytest.approx(0.6)
    assert outcome.stats["confidence"] == 0.999
    assert outcome.stats["samples"] == 2_000


def test_a_box_beyond_the_radius_is_not_certified(make):
    outcome = Smoothing(OPTIONS).verify(linear_case(make, 0.6), make.context())
    assert outcome.verdict is Verdict.UNKNOWN
    assert outcome.stats["certified"] is False
    assert "does not cover the box" in outcome.reason


def test_the_radius_is_too_large_with_probability_at_most_alpha(make):
    """600 certificates with alpha 0.1; more wrong ones than this happen once in a million if that holds."""
    clause = linear_case(make, 0.1).clauses[0]
    graph = linear_case(make, 0.1).graph.to("cpu", torch.float32)
    wrong = 0
    for seed in range(600):
        context = make.context(seed=seed)
        found = certify(graph, clause, context, sigma=0.9, n0=10, n=80, alpha=0.1, batch=80)
        wrong += found.certified_radius > 1.0
    assert 0 < wrong <= binom.ppf(1 - 1e-6, 600, 0.1)


def test_a_coin_flip_abstains(make):
    outcome = Smoothing(OPTIONS).verify(linear_case(make, 0.1, distance=0.0), make.context())
    assert outcome.stats["predicted"] is None
    assert outcome.stats["certified_radius"] == 0.0
    assert outcome.stats["certified"] is False


def test_another_class_than_the_protected_one_is_said_and_not_certified(make):
    query = make.query(make.plane([1.0], 3.0), make.ball([0.0], 0.1, make.beats(0, 1)))
    outcome = Smoothing(OPTIONS).verify(query, make.context())
    assert outcome.stats["predicted"] == 0
    assert outcome.stats["certified"] is False
    assert "predicts class 0" in outcome.reason


def test_outputs_that_are_not_finite_win_for_nobody(make):
    graph = make.graph(Broken(), 1).to("cpu", torch.float32)
    counts = count_classes(graph, torch.zeros(1), 1.0, 1_000, 64, make.context())
    assert 400 < int(counts.sum()) < 600
    outcome = Smoothing(OPTIONS).verify(
        make.query(make.graph(Broken(), 1), make.ball([0.0], 0.1, make.beats(1, 0))), make.context()
    )
    assert outcome.stats["certified"] is False


def test_a_tie_wins_for_nobody(make):
    graph = make.plane([0.0], 0.0).to("cpu", torch.float32)
    assert count_classes(graph, torch.zeros(1), 1.0, 100, 32, make.context()).tolist() == [0, 0]
    outcome = Smoothing(OPTIONS).verify(linear_case(make, 0.1, distance=0.0, inputs=1), make.context())
    assert outcome.stats["certified"] is False


@pytest.mark.parametrize("batch", [1, 7, 100, 1_000])
@pytest.mark.parametrize("samples", [1, 99, 100, 101])
def test_every_sample_is_counted_once_whatever_the_batch(make, batch, samples):
    graph = make.plane([1.0], 100.0).to("cpu", torch.float32)
    assert count_classes(graph, torch.zeros(1), 1.0, samples, batch, make.context()).tolist() == [samples, 0]


def test_counts_have_the_probability_of_the_normal_distribution(make):
    """P(class 0) = Φ(distance / sigma) = Φ(1) = 0.8413; five standard deviations of 20,000 samples."""
    graph = make.plane([1.0, 0.0], 0.5).to("cpu", torch.float32)
    counts = count_classes(graph, torch.zeros(2), 0.5, 20_000, 512, make.context())
    assert int(counts[0]) / 20_000 == pytest.approx(0.841345, abs=5 * 0.00259)


def test_the_same_seed_gives_the_same_certificate_and_leaves_the_global_generator_alone(make):
    state = torch.get_rng_state()
    query = linear_case(make, 0.3)
    stats = [Smoothing(OPTIONS).verify(query, make.context(seed=s)).stats for s in (5, 5, 6, 7, 8)]
    assert stats[0] == stats[1]
    assert any(other != stats[0] for other in stats[2:])
    assert torch.equal(state, torch.get_rng_state())


def test_clauses_share_the_confidence_and_the_worst_is_reported(make):
    graph = make.plane([1.0], 4.0)
    unsafe = make.beats(1, 0)
    query = make.query(graph, make.ball([0.0], 0.1, unsafe), make.ball([-3.9], 0.1, unsafe))
    outcome = Smoothing(OPTIONS).verify(query, make.context())
    assert outcome.stats["clauses"] == 2
    assert outcome.stats["certified_clauses"] == 1
    assert outcome.stats["certified"] is False
    assert outcome.stats["confidence"] == 0.999
    alone = Smoothing(OPTIONS).verify(make.query(graph, query.clauses[0]), make.context())
    assert alone.stats["p_lower"] == pytest.approx(0.001 ** (1 / 2_000), rel=1e-6)
    both = Smoothing(OPTIONS).verify(make.query(graph, query.clauses[0], query.clauses[0]), make.context())
    assert both.stats["p_lower"] == pytest.approx(0.0005 ** (1 / 2_000), rel=1e-6)


def test_radii_can_be_stated_in_the_maximum_norm(make):
    query = linear_case(make, 0.3)
    l2 = Smoothing(OPTIONS).verify(query, make.context()).stats
    options = dataclasses.replace(OPTIONS, norm="linf")
    linf = Smoothing(options).verify(query, make.context()).stats
    assert linf["certified_radius"] == pytest.approx(l2["certified_radius"] / 2)
    assert linf["certified_radius"] <= l2["certified_radius"] / 2
    assert linf["required_radius"] == pytest.approx(0.3)
    assert linf["certified"] is l2["certified"] is True


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_without_time_it_abstains_soon(make, seconds):
    query = make.query(make.graph(Slow(), 1), make.ball([0.0], 0.01, make.beats(1, 0)))
    options = dataclasses.replace(OPTIONS, n0=100, n=10**6, batch=1)
    started = time.monotonic()
    outcome = Smoothing(options).verify(query, make.context(seconds))
    assert time.monotonic() - started < 0.5
    assert outcome.verdict is Verdict.UNKNOWN
    assert outcome.stats["certified"] is False
    assert outcome.stats["predicted"] is None


def test_with_little_time_fewer_samples_are_planned_and_all_of_them_drawn(make):
    query = make.query(make.graph(Slow(), 1), make.ball([0.0], 0.01, make.beats(1, 0)))
    options = dataclasses.replace(OPTIONS, n0=100, n=10**6, batch=50)
    outcome = Smoothing(options).verify(query, make.context(1.0))
    samples = outcome.stats["samples"]
    assert 100 < samples < 10_000
    assert outcome.stats["p_lower"] == pytest.approx(0.001 ** (1 / samples), rel=1e-6)


def row(*entries, b=0.0):
    return Polytope.of(torch.tensor([entries]), torch.tensor([b]))


@pytest.mark.parametrize(
    ("unsafe", "classes"),
    [
        pytest.param([row(1.0, -1.0, 0.0), row(1.0, 0.0, -1.0)], {0}, id="any other beats 0"),
        pytest.param([row(0.0, 2.0, -2.0)], {1}, id="targeted, scaled"),
        pytest.param(
            [Polytope.of(torch.tensor([[1.0, 0, -1], [0, 1, -1]]), torch.zeros(2))], {0, 1}, id="2 is on top"
        ),
        pytest.param([row(1.0, -1.0, 0.0, b=-0.5)], {0}, id="beaten by a margin"),
        pytest.param([row(1.0, -1.0, 0.0, b=0.5)], set(), id="nearly beaten"),
        pytest.param([row(1.0, -1.0, 0.0), row(0.0, 1.0, -1.0)], set(), id="two protected"),
        pytest.param([row(1.0, 0.0, 0.0)], set(), id="a threshold"),
        pytest.param([row(1.0, -2.0, 0.0)], set(), id="unbalanced"),
        pytest.param([row(1.0, -1.0, 0.0), row(0.0, 0.0, 1.0)], set(), id="one of another shape"),
    ],
)
def test_protected_classes(make, unsafe, classes):
    assert protected_classes(make.ball([0.0], 1.0, *unsafe)) == classes


def test_queries_of_another_shape_are_refused_with_a_reason(make):
    graph = make.plane([1.0], 1.0)
    threshold = make.query(graph, make.ball([0.0], 1.0, row(1.0, 0.0)))
    robust = make.ball([0.0], 1.0, make.beats(1, 0))
    mixed = make.query(graph, robust, outputs=1)
    for query, reason in (
        (threshold, "beats one fixed output"),
        (mixed, "in one row"),
        (make.query(graph), "no clause"),
    ):
        support = Smoothing().supports(query)
        assert not support
        assert reason in support.reason
        assert Smoothing().verify(query, make.context()).verdict is Verdict.UNKNOWN
    assert Smoothing().supports(make.query(graph, robust))


def test_it_declares_a_statistical_guarantee_and_plain_statistics(make):
    assert Smoothing.guarantee is Guarantee.STATISTICAL
    stats = Smoothing(OPTIONS).verify(linear_case(make, 0.3), make.context()).stats
    assert json.loads(json.dumps(stats)) == stats


def test_the_entry_point_is_light():
    code = (
        "import sys, vnnverify_smoothing as p; i = list(p.vnnverify_backends());"
        "print('torch' in sys.modules, 'scipy' in sys.modules, i[0].name, i[0].guarantee)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "smoothing", "statistical"]
