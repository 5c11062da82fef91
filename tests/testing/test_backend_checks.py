# SPDX-License-Identifier: Apache-2.0
"""The kit passes a right backend, and each of its checks catches a backend that is wrong in its own way."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from vnnverify import (
    Backend,
    Context,
    Guarantee,
    NoOptions,
    Outcome,
    Query,
    Support,
    option,
)
from vnnverify.errors import UnsupportedOperator
from vnnverify.ops.linear import Linear
from vnnverify.testing import BACKEND_CHECKS, CheckFailure, CheckSkipped, Settings, check_backend

QUICK = Settings(seconds=0.5, spare_seconds=0.05, grace=0.3, must_decide=True)
CHECKS = {check.__name__: check for check in BACKEND_CHECKS}


def test_an_exact_backend_passes(exact: Backend[Any]) -> None:
    settings = Settings(seconds=5.0, must_decide=lambda s: not s.tight and "several inputs" not in s.tags)
    records = check_backend(exact, settings=settings, on_fail="record")
    assert [r for r in records if r.status == "failed"] == []
    skipped = {r.check for r in records if r.status == "skipped"}
    assert skipped == {"check_short_deadline", "check_cuda_agrees", "check_light_import"}


@pytest.fixture
def spoilt(exact_type: type[Any]) -> Callable[[str], Backend[Any]]:
    """Backends by name: each right but for one thing."""

    class Wrapped(exact_type):  # type: ignore[misc]
        """Supports everything that it can run."""

        def supports(self, query: Query) -> Support:
            return Support.yes()

    def weight(query: Query) -> torch.Tensor:
        first = query.graph.nodes[0].op
        return first.weight if isinstance(first, Linear) else torch.zeros(1, 1)

    class SaysUnsat(Backend[NoOptions]):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            return Outcome.unsat()

    class SaysError(Backend[NoOptions]):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            from vnnverify import Verdict

            return Outcome(Verdict.ERROR, "something went wrong")

    class InventsWitness(Backend[NoOptions]):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            return Outcome.sat(torch.zeros(query.graph.input_size))

    class NoWitness(Backend[NoOptions]):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            from vnnverify import Verdict

            return Outcome(Verdict.SAT)

    class ShapesWitness(Wrapped):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            found = super().verify(query, ctx)
            return found if found.witness is None else Outcome.sat(found.witness[None])

    class Raises(Backend[NoOptions]):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            raise RuntimeError("matrices do not fit")

    class ReturnsText(Backend[NoOptions]):
        def verify(self, query: Query, ctx: Context) -> Any:
            return "unsat"

    class Timid(Backend[NoOptions]):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            return Outcome.unknown("I dare not say")

    class Silent(Backend[NoOptions]):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            return Outcome.unknown("")

    class DropsClauses(Backend[NoOptions]):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            return Outcome.unknown("the rest", query.with_clauses(query.clauses[:-1]))

    class Sleeps(Backend[NoOptions]):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            time.sleep(1.2)
            return Outcome.unknown("overslept")

    class RaisesTimeout(Backend[NoOptions]):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            if ctx.deadline.expired:
                raise TimeoutError("no time")
            return Outcome.unknown("nothing found")

    class WritesBounds(Wrapped):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            for clause in query.clauses:
                clause.region.lower.sub_(1e-9)
            return super().verify(query, ctx)

    class WritesWeights(Wrapped):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            weight(query).nextafter_(torch.zeros((), dtype=torch.float64))
            return super().verify(query, ctx)

    class SetsEnvironment(Wrapped):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            os.environ["VNNVERIFY_TEST_SETTING"] = "1"
            return super().verify(query, ctx)

    class SetsDtype(Wrapped):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            torch.set_default_dtype(torch.float64)
            return super().verify(query, ctx)

    class DrawsGlobally(Wrapped):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            torch.rand(1)
            return super().verify(query, ctx)

    class Unsteady(Wrapped):
        turn = 0

        def verify(self, query: Query, ctx: Context) -> Outcome:
            self.turn += 1
            return super().verify(query, ctx) if self.turn % 2 else Outcome.unknown("not today")

    class UnsteadyWitness(Wrapped):
        turn = 0

        def verify(self, query: Query, ctx: Context) -> Outcome:
            self.turn += 1
            found = super().verify(query, ctx)
            return found if found.witness is None else Outcome.sat(found.witness + self.turn * 1e-9)

    class WrongOnWideBoxes(Wrapped):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            widest = max((float((c.region.upper - c.region.lower).max()) for c in query.clauses), default=0)
            return Outcome.unsat() if widest >= 2.0 else super().verify(query, ctx)

    class WrongOnManyDisjuncts(Wrapped):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            many = len(query.clauses) > 1 or any(len(c.unsafe) > 1 for c in query.clauses)
            return Outcome.unsat() if many else super().verify(query, ctx)

    class WrongByOrder(Wrapped):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            W = weight(query)
            return Outcome.unsat() if float(W[0].sum()) < float(W[-1].sum()) else super().verify(query, ctx)

    class WrongByScale(Wrapped):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            last = query.graph.nodes[-1].op
            large = isinstance(last, Linear) and float(last.weight.abs().max()) >= 4
            return Outcome.unsat() if large else super().verify(query, ctx)

    class SupportsRaises(Wrapped):
        def supports(self, query: Query) -> Support:
            raise UnsupportedOperator("n", "Riddle", "exact")

    class NoReason(Wrapped):
        def supports(self, query: Query) -> Support:
            return Support(False)

    class PromisesTooMuch(Wrapped):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            for node in query.graph.nodes:
                if node.op.kind == "Riddle":
                    raise UnsupportedOperator(node.name, node.op.kind, "exact")
            return super().verify(query, ctx)

    class TensorStats(Wrapped):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            super().verify(query, ctx)
            return Outcome.unknown("with odd statistics", bound=torch.ones(1))

    @dataclass
    class Thawed:
        steps: int = option(1, help="steps taken")

    class MutableOptions(Backend[Thawed]):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            return Outcome.unknown("nothing")

    @dataclass(frozen=True)
    class Unexplained:
        steps: int = 1

    class NoHelp(Backend[Unexplained]):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            return Outcome.unknown("nothing")

    @dataclass(frozen=True)
    class Undefaulted:
        steps: int

    class NoDefault(Backend[Undefaulted]):
        def __init__(self) -> None:
            super().__init__(Undefaulted(3))

        def verify(self, query: Query, ctx: Context) -> Outcome:
            return Outcome.unknown("nothing")

    @dataclass(frozen=True)
    class Limited:
        steps: int = option(0, help="steps taken", minimum=1)

    class DefaultOutOfRange(Backend[Limited]):
        def verify(self, query: Query, ctx: Context) -> Outcome:
            return Outcome.unknown("nothing")

    class TakesAnything(Wrapped):
        @classmethod
        def parse_options(cls, given: Any) -> Any:
            return NoOptions()

    kinds = {name: kind for name, kind in locals().items() if isinstance(kind, type)}
    return lambda name: kinds[name]()


CATCHES = [
    ("check_never_wrong", "SaysUnsat", "said unsat, but x = "),
    ("check_never_wrong", "SaysError", "does not answer `error`"),
    ("check_never_wrong", "InventsWitness", "the model refutes the witness"),
    ("check_never_wrong", "NoWitness", "sat without a witness"),
    ("check_never_wrong", "ShapesWitness", "the witness has shape (1, 1), not (1,)"),
    ("check_never_wrong", "Raises", "identity_below: verify raised RuntimeError: matrices do not fit"),
    ("check_never_wrong", "ReturnsText", "verify must return an Outcome, not str"),
    ("check_never_wrong", "Sleeps", "0.5 s were given, no answer after 0.8 s"),
    ("check_easy_decided", "Timid", "should be decided as sat, got unknown (I dare not say)"),
    ("check_residuals", "Silent", "unknown without a reason"),
    ("check_residuals", "DropsClauses", "lost the counterexample"),
    ("check_expired_deadline", "Sleeps", "0.0 s were given"),
    ("check_expired_deadline", "RaisesTimeout", "verify raised TimeoutError: no time"),
    ("check_short_deadline", "Sleeps", "the hard query: 0.5 s were given"),
    ("check_query_untouched", "WritesBounds", "the query's tensors were changed"),
    ("check_query_untouched", "WritesWeights", "the query's tensors were changed"),
    ("check_process_untouched", "SetsEnvironment", "the environment"),
    ("check_process_untouched", "SetsDtype", "torch's default dtype"),
    ("check_process_untouched", "DrawsGlobally", "torch's random state"),
    ("check_repeatable", "Unsteady", "with the same seed"),
    ("check_repeatable", "UnsteadyWitness", "two witnesses with the same seed"),
    ("check_halves_combine", "WrongOnWideBoxes", "unsat as a whole, but a half is sat"),
    ("check_subsets_agree", "WrongOnManyDisjuncts", "unsat as a whole, but a disjunct is sat"),
    ("check_permuted_units_agree", "WrongByOrder", "with its hidden units reversed: said unsat"),
    ("check_scaled_outputs_agree", "WrongByScale", "scaled by 4: said unsat"),
    ("check_honest_support", "SupportsRaises", "supports raised UnsupportedOperator"),
    ("check_honest_support", "NoReason", "not supported, without a reason"),
    ("check_honest_support", "PromisesTooMuch", "operator Riddle: verify raised UnsupportedOperator"),
    ("check_plain_results", "TensorStats", "stats do not survive JSON"),
    ("check_options", "MutableOptions", "Thawed must be frozen"),
    ("check_options", "NoHelp", "option steps has no help text"),
    ("check_options", "NoDefault", "option steps has no default"),
    ("check_options", "DefaultOutOfRange", "steps"),
    ("check_options", "TakesAnything", "option no_such_option=1 is accepted"),
]

SPOIL_THE_ZOO = {"WritesBounds", "WritesWeights"}
"""Those that change specimens: they get some of their own."""


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    """What a bad backend does to the process, or to the zoo, ends with the test."""
    from vnnverify.testing.zoo import zoo

    spoils_zoo = request.node.callspec.params["kind"] in SPOIL_THE_ZOO
    if spoils_zoo:
        zoo.cache_clear()  # the specimens that other tests hold stay as they are
    dtype = torch.get_default_dtype()
    monkeypatch.delenv("VNNVERIFY_TEST_SETTING", raising=False)
    yield
    torch.set_default_dtype(dtype)
    os.environ.pop("VNNVERIFY_TEST_SETTING", None)
    if spoils_zoo:
        zoo.cache_clear()


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(("check", "kind", "message"), CATCHES, ids=[f"{c[1]}-{c[0]}" for c in CATCHES])
def test_a_check_catches_what_it_is_for(
    check: str, kind: str, message: str, spoilt: Callable[[str], Backend[Any]]
) -> None:
    with pytest.raises(CheckFailure) as caught:
        CHECKS[check](spoilt(kind), QUICK)
    assert message in str(caught.value)


def test_every_check_has_something_to_catch() -> None:
    elsewhere = {"check_light_import", "check_cuda_agrees"}
    assert {check for check, _, _ in CATCHES} == set(CHECKS) - elsewhere


def test_a_statistical_unsat_is_no_wrong_answer(spoilt: Callable[[str], Backend[Any]]) -> None:
    backend = spoilt("SaysUnsat")
    type(backend).guarantee = Guarantee.STATISTICAL
    CHECKS["check_never_wrong"](backend, QUICK)
    CHECKS["check_plain_results"](backend, QUICK)
    with pytest.raises(CheckFailure, match="should be decided"):
        CHECKS["check_easy_decided"](backend, QUICK)


def test_a_backend_that_supports_nothing_is_not_passed_silently(
    spoilt: Callable[[str], Backend[Any]],
) -> None:
    with pytest.raises(CheckSkipped, match="supports no query"):
        CHECKS["check_never_wrong"](spoilt("NoReason"), QUICK)


HEAVY_PLUGIN = """
import {module}
from vnnverify import BackendInfo, hookimpl

@hookimpl
def vnnverify_backends():
    yield BackendInfo(name="heavy", summary="…", load=lambda: None)
"""


@pytest.mark.parametrize(("module", "message"), [("torch", "also imports"), ("json", "")])
def test_light_import_looks_into_a_fresh_interpreter(
    module: str, message: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, exact_type: type[Any]
) -> None:
    package = f"vnnverify_heavy_{module}"
    (tmp_path / f"{package}.py").write_text(HEAVY_PLUGIN.format(module=module))
    info = tmp_path / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[vnnverify]\nheavy = {package}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    kind = type("Heavy", (exact_type,), {"__module__": f"{package}.backend"})
    if message:
        with pytest.raises(CheckFailure, match=message):
            CHECKS["check_light_import"](kind(), QUICK)
    else:
        CHECKS["check_light_import"](kind(), QUICK)
