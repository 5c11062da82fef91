# SPDX-License-Identifier: Apache-2.0
"""One backend's answer is trusted no further than it can be checked."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from vnnverify import (
    Backend,
    Clause,
    Context,
    Deadline,
    Guarantee,
    NoOptions,
    Outcome,
    Query,
    Verdict,
)
from vnnverify.engine.answer import Answer
from vnnverify.engine.runner import make_context, run
from vnnverify.errors import UnsupportedOperator
from vnnverify.guard import Disagreement
from vnnverify.obstacle import Obstacle, ObstacleKind
from vnnverify.query import Replay
from vnnverify.testing import Network, box, halfspaces, query_of

HIT, MISS = torch.tensor([-0.875]), torch.tensor([0.25])


class Says(Backend[NoOptions]):
    """Does what it is told."""

    def __init__(self, act: Callable[[], Any]) -> None:
        super().__init__()
        self.act = act

    def verify(self, query: Query, ctx: Context) -> Outcome:
        return cast(Outcome, self.act())


class Sampler(Says):
    guarantee = Guarantee.STATISTICAL


class Rounder(Says):
    guarantee = Guarantee.FLOAT


@pytest.fixture(scope="module")
def query() -> Query:
    """|x| >= 3/4 on [−1, 1]."""
    absolute = Network.of(([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0]))
    return query_of(absolute.to_onnx(), [Clause(box([-1.0], [1.0]), (halfspaces(([-1.0], -0.75)),))])


def answer(query: Query, outcome: Any, kind: type[Says] = Says) -> Answer:
    return run(query, "abacus", kind(lambda: outcome), make_context(query, Deadline.never()))


def failing(error: BaseException) -> Callable[[], Any]:
    def act() -> Any:
        raise error

    return act


@pytest.mark.parametrize("kind", [Says, Rounder])
def test_proof_is_passed_on_with_its_guarantee(query: Query, kind: type[Says]) -> None:
    result = answer(query, Outcome.unsat(boxes=3), kind)
    assert (result.verdict, result.guarantee, result.backend) == (Verdict.UNSAT, kind.guarantee, "abacus")
    assert result.counters == {"boxes": 3}
    assert 0 <= result.seconds < 5


def test_statistical_proof_is_no_unsat(query: Query) -> None:
    result = answer(query, Outcome.unsat(), Sampler)
    assert result.verdict is Verdict.UNKNOWN
    assert result.reason == "backend abacus gives statistical guarantees only"


def test_statistical_witness_is_a_witness(query: Query) -> None:
    assert answer(query, Outcome.sat(HIT), Sampler).verdict is Verdict.SAT


@pytest.mark.parametrize("witness", [HIT, HIT.double(), HIT.clone().requires_grad_()])
def test_right_witness_is_replayed(query: Query, witness: Tensor) -> None:
    result = answer(query, Outcome.sat(witness))
    assert result.verdict is Verdict.SAT
    assert result.witness == Replay(True, "", (-0.875,), (0.875,))


def test_witness_is_rounded_into_the_box_before_it_is_told(query: Query) -> None:
    result = answer(query, Outcome.sat(torch.tensor([1.0 + 1e-9], dtype=torch.float64)))
    assert result.witness is not None and result.witness.x == (1.0,)


def test_wrong_witness_is_unknown_loudly(query: Query, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        result = answer(query, Outcome.sat(MISS))
    assert result.verdict is Verdict.UNKNOWN and result.witness is None
    assert result.reason == "unconfirmed witness: the outputs (0.25,) lie in no unsafe polytope"
    assert "backend abacus gave a witness that the model refutes" in caplog.text


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (None, "verify returned None, not an Outcome"),
        (Verdict.UNSAT, "verify returned <Verdict.UNSAT: 'unsat'>, not an Outcome"),
        (Outcome("unsat"), "not an Outcome"),  # type: ignore[arg-type]
        (Outcome(Verdict.SAT), "it said sat without a witness of shape (1,)"),
        (Outcome.sat(HIT[None]), "it said sat without a witness of shape (1,)"),
        (Outcome.sat(torch.ones(2)), "it said sat without a witness of shape (1,)"),
        (Outcome.unsat(a={(1, 2): 3}), "TypeError: keys must be str"),
    ],
)
def test_what_is_no_outcome_is_an_error(query: Query, outcome: Any, reason: str) -> None:
    result = answer(query, outcome)
    assert result.verdict is Verdict.ERROR
    assert result.reason.startswith("failed: ")
    assert reason in result.reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("the wire\nsnapped"), "failed: RuntimeError: the wire"),
        (MemoryError(), "failed: MemoryError: "),
        (SystemExit(3), "failed: SystemExit: 3"),
        (AssertionError(), "failed: AssertionError: "),
    ],
)
def test_exception_is_an_error_with_the_backends_name(
    query: Query, error: BaseException, reason: str
) -> None:
    result = run(query, "abacus", Says(failing(error)), make_context(query, Deadline.never()))
    assert (result.verdict, result.reason, result.backend) == (Verdict.ERROR, reason, "abacus")


def test_operator_without_a_rule_is_unknown(query: Query) -> None:
    backend = Says(failing(UnsupportedOperator("n7", "Frobnicate", "interval")))
    result = run(query, "abacus", backend, make_context(query, Deadline.never()))
    assert result.verdict is Verdict.UNKNOWN
    assert result.reason == "node 'n7': interval cannot bound operator Frobnicate"
    missing = Obstacle(ObstacleKind.OPERATOR, node="n7", operator="Frobnicate", domain="interval")
    assert result.obstacle == missing


def test_interrupt_is_not_swallowed(query: Query) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(query, "abacus", Says(failing(KeyboardInterrupt())), make_context(query, Deadline.never()))


def test_model_that_does_not_run_confirms_nothing(query: Query) -> None:
    class Broken:
        def replay(self, x: Tensor) -> Replay:
            raise RuntimeError("no kernel for Frobnicate")

    broken = dataclasses.replace(query, source=Broken())
    result = answer(broken, Outcome.sat(HIT))
    assert result.verdict is Verdict.UNKNOWN
    assert result.reason == (
        "unconfirmed witness: the model does not run: RuntimeError: no kernel for Frobnicate"
    )


def test_undecided_outcome_keeps_reason_and_residual(query: Query) -> None:
    residual = query.with_clauses(query.clauses)
    result = answer(query, Outcome.timeout("late", residual))
    assert (result.verdict, result.reason, result.residual) == (Verdict.TIMEOUT, "late", residual)


def test_statistics_become_plain(query: Query) -> None:
    odd = {"inf": float("inf"), "nan": float("nan"), "tensor": torch.ones(2), "nested": {"a": [1, (2,)]}}
    stats = answer(query, Outcome.unsat(**odd)).counters
    assert stats == {"inf": "Infinity", "nan": "NaN", "tensor": "tensor([1., 1.])", "nested": {"a": [1, [2]]}}


def test_context_confirms_by_replay_and_is_repeatable(query: Query) -> None:
    ctx = make_context(query, Deadline.never(), dtype=torch.float64, seed=5)
    assert ctx.confirm(HIT) and not ctx.confirm(MISS)
    assert ctx.dtype is torch.float64 and ctx.device == torch.device("cpu")
    first = torch.rand(3, generator=ctx.generator)
    again = torch.rand(3, generator=make_context(query, Deadline.never(), seed=5).generator)
    other = torch.rand(3, generator=make_context(query, Deadline.never(), seed=6).generator)
    assert torch.equal(first, again) and not torch.equal(first, other)


def cpu_allocation() -> None:
    torch.empty(1 << 50)


@pytest.mark.parametrize(
    ("fails", "kind"),
    [
        (failing(MemoryError()), ObstacleKind.OUT_OF_MEMORY),
        (failing(torch.OutOfMemoryError("CUDA out of memory")), ObstacleKind.OUT_OF_MEMORY),
        (cpu_allocation, ObstacleKind.OUT_OF_MEMORY),
        (failing(RuntimeError("I ran out of memory of it")), ObstacleKind.FAILED),
        (failing(Disagreement("0.5 instead of 1")), ObstacleKind.NOT_THE_MODEL),
    ],
)
def test_exceptions_are_told_apart_by_their_type(
    query: Query, fails: Callable[[], Any], kind: ObstacleKind
) -> None:
    found = run(query, "abacus", Says(fails), make_context(query, Deadline.never()))
    assert found.obstacle == Obstacle(kind)


def test_obstacle_goes_with_the_outcome(query: Query) -> None:
    met = Obstacle.limit("rods", 9)
    assert answer(query, Outcome.unknown("too few", obstacle=met)).obstacle == met
    assert answer(query, Outcome.timeout("late")).obstacle == Obstacle(ObstacleKind.OUT_OF_TIME)
    assert answer(query, Outcome.sat(MISS)).obstacle == Obstacle(ObstacleKind.REFUTED_WITNESS)
    assert answer(query, Outcome.unsat(), Sampler).obstacle == Obstacle(ObstacleKind.STATISTICAL)
