# SPDX-License-Identifier: Apache-2.0
"""From what a worker says to a record; two sides have to agree."""

from __future__ import annotations

from typing import Any

import pytest

from vnnverify.process.job import Job
from vnnverify.suites.answering import INLINE, Manner, answer
from vnnverify.suites.instances import Instance

INSTANCE = Instance(4, "fam", "/fam", "onnx/net.onnx", "p.vnnlib.gz", 9.0)


def sat(size: int = 2) -> dict[str, Any]:
    return {"verdict": "sat", "backend": "a", "witness": {"x": [0.5] * size, "y": [1.0], "rounded": 0}}


def test_job_is_about_the_instance() -> None:
    asked: list[Job] = []

    def ask(job: Job) -> dict[str, Any]:
        asked.append(job)
        return {"verdict": "unsat"}

    answer(INSTANCE, Manner(("b",), {"k": "v"}, "cpu", seed=3, without=("c",)), ask, "w")
    (job,) = asked
    assert job.explain
    assert (job.model, job.query, job.seconds) == ("/fam/onnx/net.onnx", "/fam/p.vnnlib.gz", 9.0)
    assert (job.backends, job.options, job.device, job.seed, job.without) == (
        ("b",),
        {"k": "v"},
        "cpu",
        3,
        ("c",),
    )


@pytest.mark.parametrize(("size", "inline"), [(2, True), (INLINE, False)])
def test_only_small_witnesses_are_in_the_record(size: int, inline: bool) -> None:
    record, report = answer(INSTANCE, Manner(), lambda job: sat(size), "w")
    assert report is not None and report.witness is not None
    assert record.verdict.value == "sat" and (record.witness is not None) == inline
    assert record.result == "results/fam/00004_net_p.json"


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ({"input_error": "no such file", "kind": "FileError"}, "input"),
        ({"verdict": "error", "reason": "it fell", "cause": "crash"}, "crash"),
        ({"verdict": "timeout", "reason": "late", "cause": "hang"}, "hang"),
        ({"verdict": "sat"}, "backend"),  # without a witness
    ],
)
def test_failures_have_a_cause(said: dict[str, Any], cause: str) -> None:
    record, _ = answer(INSTANCE, Manner(), lambda job: said, "w")
    assert (record.verdict.value, record.cause) == ("timeout" if cause == "hang" else "error", cause)


UNSAT = {"verdict": "unsat", "guarantee": "real", "stats": {"b": [1]}}
UNKNOWN = {"verdict": "unknown", "reason": "wide"}


@pytest.mark.parametrize(
    ("one", "two", "verdict", "reason"),
    [
        (UNSAT, UNSAT, "unsat", ""),
        (sat(), sat(), "sat", ""),
        (sat(), UNSAT, "unknown", "CONTRADICTION: a: sat, b: unsat"),
        (UNSAT, UNKNOWN, "unknown", "withheld: a: unsat, b: unknown"),
        (UNKNOWN, UNKNOWN, "unknown", "withheld: a: unknown, b: unknown"),
        (UNSAT, {"input_error": "bad"}, "unknown", "withheld: a: unsat, b: error"),
        ({"input_error": "bad"}, UNSAT, "unknown", "withheld: a: error, b: unsat"),
    ],
)
def test_sides_must_agree(one: dict[str, Any], two: dict[str, Any], verdict: str, reason: str) -> None:
    said = {"a": one, "b": two}
    record, report = answer(INSTANCE, Manner(sides=("a", "b")), lambda job: dict(said[job.backends[0]]), "w")
    assert (record.verdict.value, record.reason) == (verdict, reason)
    assert [check["backend"] for check in record.checks] == ["a", "b"]
    assert report is None or report.verdict is record.verdict
    assert (record.witness is not None) == (verdict == "sat")
