# SPDX-License-Identifier: Apache-2.0
"""The kit passes a right backend, and each of its checks catches a backend that is wrong in its own way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from bad_backends import answers, conduct, offers
from bad_backends.exact import Exact

from vnnverify import Backend, Guarantee
from vnnverify.testing import (
    BACKEND_CHECKS,
    CheckFailure,
    CheckSkipped,
    Settings,
    Specimen,
    check_backend,
    zoo,
)

QUICK = Settings(seconds=0.5, spare_seconds=0.05, grace=0.3, must_decide=True)
CHECKS = {check.__name__: check for check in BACKEND_CHECKS}


def test_an_exact_backend_passes() -> None:
    settings = Settings(seconds=5.0, must_decide=lambda s: not s.tight and "several inputs" not in s.tags)
    records = check_backend(Exact(), settings=settings, on_fail="record")
    assert [r for r in records if r.status == "failed"] == []
    skipped = {r.check for r in records if r.status == "skipped"}
    assert skipped == {"check_short_deadline", "check_cuda_agrees", "check_light_import"}


CATCHES = [
    ("check_never_wrong", answers.SaysUnsat, "said unsat, but x = "),
    ("check_never_wrong", answers.SaysError, "does not answer `error`"),
    ("check_never_wrong", answers.InventsWitness, "the model refutes the witness"),
    ("check_never_wrong", answers.NoWitness, "sat without a witness"),
    ("check_never_wrong", answers.ShapesWitness, "the witness has shape (1, 1), not (1,)"),
    ("check_never_wrong", conduct.Raises, "identity_below: verify raised RuntimeError: matrices do not fit"),
    ("check_never_wrong", answers.ReturnsText, "verify must return an Outcome, not str"),
    ("check_never_wrong", conduct.Sleeps, "0.5 s were given, no answer after 0.8 s"),
    ("check_easy_decided", answers.Timid, "should be decided as sat, got unknown (I dare not say)"),
    ("check_residuals", answers.Silent, "unknown without a reason"),
    ("check_residuals", answers.DropsClauses, "lost the counterexample"),
    ("check_expired_deadline", conduct.Sleeps, "0.0 s were given"),
    ("check_expired_deadline", conduct.RaisesTimeout, "verify raised TimeoutError: no time"),
    ("check_short_deadline", conduct.Sleeps, "the hard query: 0.5 s were given"),
    ("check_query_untouched", conduct.WritesBounds, "the query's tensors were changed"),
    ("check_query_untouched", conduct.WritesWeights, "the query's tensors were changed"),
    ("check_process_untouched", conduct.SetsEnvironment, "the environment"),
    ("check_process_untouched", conduct.SetsDtype, "torch's default dtype"),
    ("check_process_untouched", conduct.DrawsGlobally, "torch's random state"),
    ("check_repeatable", conduct.Unsteady, "with the same seed"),
    ("check_repeatable", conduct.UnsteadyWitness, "two witnesses with the same seed"),
    ("check_halves_combine", answers.WrongOnWideBoxes, "unsat as a whole, but a half is sat"),
    ("check_subsets_agree", answers.WrongOnManyDisjuncts, "unsat as a whole, but a disjunct is sat"),
    ("check_permuted_units_agree", answers.WrongByOrder, "with its hidden units reversed: said unsat"),
    ("check_scaled_outputs_agree", answers.WrongByScale, "scaled by 4: said unsat"),
    ("check_honest_support", offers.SupportsRaises, "supports raised UnsupportedOperator"),
    ("check_honest_support", offers.NoReason, "not supported, without a reason"),
    ("check_honest_support", offers.PromisesTooMuch, "operator Riddle: verify raised UnsupportedOperator"),
    ("check_plain_results", answers.TensorStats, "stats do not survive JSON"),
    ("check_options", offers.MutableOptions, "Thawed must be frozen"),
    ("check_options", offers.NoHelp, "option steps has no help text"),
    ("check_options", offers.NoDefault, "option steps has no default"),
    ("check_options", offers.DefaultOutOfRange, "steps"),
    ("check_options", offers.TakesAnything, "option no_such_option=1 is accepted"),
]


@pytest.fixture(scope="module")
def spare_zoo() -> tuple[Specimen, ...]:
    """Specimens to be spoilt; those that other tests hold stay as they are."""
    return zoo.__wrapped__()


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """What a bad backend does to the process ends with the test; those that change specimens get spares."""
    if request.node.callspec.params["kind"] in (conduct.WritesBounds, conduct.WritesWeights):
        spare = request.getfixturevalue("spare_zoo")
        monkeypatch.setattr("vnnverify.testing.subject.zoo", lambda: spare)
    dtype = torch.get_default_dtype()
    monkeypatch.delenv("VNNVERIFY_TEST_SETTING", raising=False)
    yield
    torch.set_default_dtype(dtype)
    os.environ.pop("VNNVERIFY_TEST_SETTING", None)


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(
    ("check", "kind", "message"), CATCHES, ids=[f"{c[1].__name__}-{c[0]}" for c in CATCHES]
)
def test_a_check_catches_what_it_is_for(check: str, kind: type[Backend[Any]], message: str) -> None:
    with pytest.raises(CheckFailure) as caught:
        CHECKS[check](kind(), QUICK)
    assert message in str(caught.value)


def test_every_check_has_something_to_catch() -> None:
    elsewhere = {"check_light_import", "check_cuda_agrees"}
    assert {check for check, _, _ in CATCHES} == set(CHECKS) - elsewhere


class SaysUnsatProbably(answers.SaysUnsat):
    guarantee = Guarantee.STATISTICAL


def test_a_statistical_unsat_is_no_wrong_answer() -> None:
    backend = SaysUnsatProbably()
    CHECKS["check_never_wrong"](backend, QUICK)
    CHECKS["check_plain_results"](backend, QUICK)
    with pytest.raises(CheckFailure, match="should be decided"):
        CHECKS["check_easy_decided"](backend, QUICK)


def test_a_backend_that_supports_nothing_is_not_passed_silently() -> None:
    with pytest.raises(CheckSkipped, match="supports no query"):
        CHECKS["check_never_wrong"](offers.NoReason(), QUICK)


HEAVY_PLUGIN = """
import {module}
from vnnverify import BackendInfo, hookimpl

@hookimpl
def vnnverify_backends():
    yield BackendInfo(name="heavy", summary="…", load=lambda: None)
"""


@pytest.mark.parametrize(("module", "message"), [("scipy", "also imports"), ("json", "")])
def test_light_import_looks_into_a_fresh_interpreter(
    module: str, message: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = f"vnnverify_heavy_{module}"
    (tmp_path / f"{package}.py").write_text(HEAVY_PLUGIN.format(module=module))
    info = tmp_path / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[vnnverify]\nheavy = {package}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    kind = type("Heavy", (Exact,), {"__module__": f"{package}.backend"})
    if message:
        with pytest.raises(CheckFailure, match=message):
            CHECKS["check_light_import"](kind(), QUICK)
    else:
        CHECKS["check_light_import"](kind(), QUICK)
