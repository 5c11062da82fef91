# SPDX-License-Identifier: Apache-2.0
"""The way of a certificate from a backend to the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import vnnverify
from vnnverify import Result, Verdict
from vnnverify.results.jsonl import JsonWriter, read_report

ROOT = Path(__file__).parents[2]
UNSAT = (ROOT / "models_onnx" / "tiny.onnx", ROOT / "specs" / "tiny_unsat.vnnlib")

PLUGIN = """
import dataclasses
from vnnverify import Backend, BackendInfo, NoOptions, Outcome, hookimpl

class Certifying(Backend[NoOptions]):
    certificate = {"leaves": [{"slopes": [0.5, 1.0]}], "bound": 0.25}
    def verify(self, query, ctx):
        return dataclasses.replace(Outcome.unsat(), certificate=self.certificate)

class Private(Certifying):
    certificate = object()

@hookimpl
def vnnverify_backends():
    yield BackendInfo(name="certifying", summary="", load=lambda: Certifying)
    yield BackendInfo(name="private", summary="", load=lambda: Private)
"""
CERTIFICATE = {"leaves": [{"slopes": [0.5, 1.0]}], "bound": 0.25}


@pytest.fixture(autouse=True)
def plugin(install: Callable[[str, Mapping[str, str]], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(install("certifying", {"certifying": PLUGIN}))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", folder)


def proved(backend: str, *, isolated: bool) -> Result:
    result = vnnverify.verify(*UNSAT, timeout=60.0, device="cpu", backend=backend, isolated=isolated)
    assert result.verdict is Verdict.UNSAT
    return result


@pytest.mark.parametrize("isolated", [True, False])
def test_certificate_arrives(isolated: bool) -> None:
    result = proved("certifying", isolated=isolated)
    assert result.certificate == CERTIFICATE
    assert read_report(JsonWriter().write(result.report)).certificate == CERTIFICATE


def test_what_json_cannot_hold_stays_in_its_process() -> None:
    assert type(proved("private", isolated=False).certificate) is object
    assert proved("private", isolated=True).certificate is None
