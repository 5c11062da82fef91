# SPDX-License-Identifier: Apache-2.0
"""Random models are read as onnxruntime runs them, or refused; what the guard lets pass agrees everywhere.

By hand: `pytest tests/fuzz -m exhaustive`; one model: `FUZZ=SEED pytest tests/fuzz -k one`.
"""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import pytest
import torch
from enclosure import escape
from random_models import RandomModel, random_model

from vnnverify.errors import ModelError
from vnnverify.guard import FindingKind, Guard
from vnnverify.guard.comparison import Comparison
from vnnverify.importer import Model, read_model
from vnnverify.importer.sessions import judges_of
from vnnverify.loading.loader import build_query
from vnnverify.vnnlib import parse_property

FEW, MANY = 200, 10_000


def check(seed: int, points: int) -> str:
    """What became of the model of this seed; fails where it was misread."""
    rng = np.random.default_rng(seed)
    drawn = random_model(rng)
    if drawn is None:
        return "no model"
    try:
        model = read_model(drawn.data)
    except ModelError:
        return "refused"
    guard = Guard(build_query(model, parse_property(_text(model, drawn))))
    guard.check()
    assert "read differently" not in guard.objection, f"seed {seed}, {drawn.kinds}: {guard.objection}"
    if guard.objection:
        return "onnxruntime contradicts itself"
    x = torch.from_numpy(rng.uniform(drawn.lower, drawn.upper, (points, drawn.size))).float().double()
    found, _ = Comparison(model.graph, model.layout, [model]).at(x, judges_of([model]))
    if found is not None and found.kind is not FindingKind.OVERFLOW:
        raise AssertionError(
            f"seed {seed}, {drawn.kinds}: the guard let pass what differs: {found.ours} {found.theirs}"
        )
    if guard.reservation:
        return "open"  # no proof counts, as where NaN may become a number
    lost = _escaped(rng, drawn, model, points, intervals_only=seed % 5 > 0)
    assert not lost, f"seed {seed}, {drawn.kinds}: {lost}"
    return "open" if found is not None else "agrees"


def _escaped(
    rng: np.random.Generator, drawn: RandomModel, model: Model, points: int, *, intervals_only: bool
) -> str:
    """What bounds over a part of the box do not hold there."""
    x = rng.uniform(drawn.lower, drawn.upper, drawn.size)
    radius = rng.choice([0.0, 0.01, 0.1, 1.0]) * (drawn.upper - drawn.lower)
    lower, upper = np.maximum(x - radius, drawn.lower), np.minimum(x + radius, drawn.upper)
    share = rng.uniform(size=(points, drawn.size))
    share[:2] = [[0.0], [1.0]]
    ends = torch.from_numpy(lower), torch.from_numpy(upper)
    inside = torch.from_numpy(np.clip(lower + share * (upper - lower), lower, upper))
    return escape(model.graph, *ends, inside, intervals_only=intervals_only)


def _text(model: Model, drawn: RandomModel) -> str:
    inputs = range(model.graph.input_size)
    lines = [f"(declare-const X_{k} Real)" for k in inputs]
    lines += [f"(declare-const Y_{k} Real)" for k in range(model.graph.output_size)]
    lines += [f"(assert (and (>= X_{k} {drawn.lower!r}) (<= X_{k} {drawn.upper!r})))" for k in inputs]
    return "\n".join([*lines, "(assert (>= Y_0 1e300))"])


def test_a_few_random_models_agree_or_are_refused() -> None:
    counts = Counter(check(seed, 30) for seed in range(FEW))
    assert counts["agrees"] > FEW * 0.75, counts
    assert counts["refused"] < FEW * 0.1, counts


@pytest.mark.exhaustive
@pytest.mark.timeout(7200)
def test_many_random_models_agree_or_are_refused() -> None:
    counts = Counter(check(FEW + seed, 1000) for seed in range(MANY))
    assert counts["agrees"] > MANY * 0.75, counts


@pytest.mark.skipif("FUZZ" not in os.environ, reason="no seed given")
def test_one() -> None:
    assert check(int(os.environ["FUZZ"]), 1000) in ("agrees", "refused", "open")
