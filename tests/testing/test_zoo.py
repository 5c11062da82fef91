# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
import torch

from vnnverify.query import Clause
from vnnverify.testing import Network, Specimen, box, halfspaces, query_of, zoo
from vnnverify.verdict import Verdict


def each(*, truth: Verdict | None = None, tight: bool = True) -> pytest.MarkDecorator:
    chosen = [s for s in zoo() if truth in (None, s.truth) and (tight or not s.tight)]
    return pytest.mark.parametrize("specimen", chosen, ids=lambda s: s.name)


def test_the_zoo_is_large_and_mixed() -> None:
    names = Counter(s.name for s in zoo())
    assert len(zoo()) >= 60
    assert max(names.values()) == 1
    truths = Counter(s.truth for s in zoo() if not s.tight)
    assert min(truths[Verdict.SAT], truths[Verdict.UNSAT]) >= 20
    tags = set().union(*(s.tags for s in zoo()))
    wanted = {"tight", "linear", "strict", "point", "empty", "vacuous", "labels", "several inputs"}
    assert wanted | {"several rows", "several outputs", "several polytopes", "several clauses"} <= tags


def check_point(specimen: Specimen, x: tuple[Fraction, ...]) -> bool:
    """Whether the rational x violates some clause, by exact evaluation of the network."""

    def inside(A: list[list[float]], b: list[float], strict: list[bool], z: tuple[Fraction, ...]) -> bool:
        values = [sum((Fraction(w) * v for w, v in zip(row, z, strict=True)), Fraction(0)) for row in A]
        return all(v < e if s else v <= e for v, e, s in zip(values, map(Fraction, b), strict, strict=True))

    y = specimen.network(x)
    for clause in specimen.query.clauses:
        region = clause.region
        ends = zip(x, region.lower.tolist(), region.upper.tolist(), strict=True)
        held = all(Fraction(low) <= v <= Fraction(high) for v, low, high in ends)
        cut = region.linear
        if cut is not None and not inside(cut.A.tolist(), cut.b.tolist(), cut.strict.tolist(), x):
            held = False
        if held and any(inside(p.A.tolist(), p.b.tolist(), p.strict.tolist(), y) for p in clause.unsafe):
            return True
    return False


@each()
def test_rational_witness_is_one(specimen: Specimen) -> None:
    assert (specimen.point is not None) == (specimen.truth is Verdict.SAT)
    if specimen.point is not None:
        assert check_point(specimen, specimen.point)
        assert specimen.slack is not None and specimen.slack >= 0


@each(truth=Verdict.UNSAT)
def test_no_sample_contradicts_unsat(specimen: Specimen) -> None:
    generator = torch.Generator().manual_seed(0)
    for clause in specimen.query.clauses:
        if not clause.region.empty:
            x = torch.cat(
                [clause.region.sample(500, generator), clause.region.lower[None], clause.region.upper[None]]
            )
            y = specimen.query.graph(x)
            assert not bool(clause.violated_by(x, y).any())


@each(truth=Verdict.SAT, tight=False)
def test_sat_with_room_can_be_replayed(specimen: Specimen) -> None:
    """Where the truth leaves room, the float32 point next to the rational witness is a witness too."""
    assert specimen.point is not None
    replay = specimen.query.source.replay(torch.tensor([float(v) for v in specimen.point]))
    assert replay.valid, replay.reason


ABOVE = (halfspaces(([-1.0], -0.75)),)

REPLAYS = [
    ("inside", [Clause(box([0.0], [1.0]), ABOVE)], 0.8, True, ""),
    ("clamped into the box", [Clause(box([0.0], [0.9]), ABOVE)], 5.0, True, ""),
    ("not unsafe", [Clause(box([0.0], [1.0]), ABOVE)], 0.5, False, "no unsafe polytope"),
    ("second clause", [Clause(box([0.0], [0.5]), ABOVE), Clause(box([0.5], [1.0]), ABOVE)], 0.8, True, ""),
    ("linear row", [Clause(box([0.0], [1.0], ([1.0], 0.5)), ABOVE)], 0.8, False, "linear row"),
    ("no float32 in the box", [Clause(box([0.8], [0.8]), ABOVE)], 0.8, False, "lies outside"),
    ("empty box", [Clause(box([1.0], [0.0]), ABOVE)], 0.8, False, "lies outside"),
    ("no clauses", [], 0.8, False, "no clauses"),
    ("strict row at its end", [Clause(box([0.75], [0.75]), (halfspaces(([-1.0], -0.75), strict=True),))],
     0.75, False, "no unsafe polytope"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("clauses", "x", "valid", "reason"), [r[1:] for r in REPLAYS], ids=[r[0] for r in REPLAYS]
)
def test_replay_judges_by_the_clauses_own_numbers(
    clauses: list[Clause], x: float, valid: bool, reason: str
) -> None:
    query = query_of(Network.of(([[1.0]], [0.0])).to_onnx(), clauses)
    replay = query.source.replay(torch.tensor([x], dtype=torch.float64))
    assert replay.valid is valid
    assert reason in replay.reason


def test_replayed_point_is_exact_in_float32() -> None:
    query = query_of(Network.of(([[1.0]], [0.0])).to_onnx(), [Clause(box([0.1], [0.9]), ABOVE)])
    replay = query.source.replay(torch.tensor([0.9], dtype=torch.float64))
    assert replay.valid
    assert torch.tensor(replay.x, dtype=torch.float32).double().tolist() == list(replay.x)
    assert replay.x[0] <= 0.9
