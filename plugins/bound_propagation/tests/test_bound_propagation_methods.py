# SPDX-License-Identifier: Apache-2.0
"""Backends that are one bounding method each."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import vnnverify_bound_propagation
from vnnverify_bound_propagation.backends.alpha_crown import AlphaCrownBackend
from vnnverify_bound_propagation.backends.crown import CrownBackend
from vnnverify_bound_propagation.backends.crown_ibp import CrownIbpBackend
from vnnverify_bound_propagation.backends.deeppoly import DeepPolyBackend
from vnnverify_bound_propagation.backends.fast_lin import FastLinBackend
from vnnverify_bound_propagation.backends.interval import IntervalBackend

from vnnverify import Backend, Verdict
from vnnverify.bounds.methods import METHODS
from vnnverify.search import MethodBackend, MethodOptions
from vnnverify.testing import Settings, context, parametrize_with_backend_checks, zoo

OTHERS: tuple[type[MethodBackend], ...] = (
    IntervalBackend, FastLinBackend, DeepPolyBackend, CrownIbpBackend, AlphaCrownBackend,
)  # fmt: skip
KINDS = (CrownBackend, *OTHERS)
FILES = sorted(Path(vnnverify_bound_propagation.__file__).parent.glob("backends/*.py"))
MOST_LINES = 25


@parametrize_with_backend_checks([CrownBackend()], settings=Settings(seconds=0.3))
def test_conformance(backend: Backend[Any], check: Callable[[Backend[Any]], None]) -> None:
    check(backend)


@pytest.mark.long
@parametrize_with_backend_checks([kind() for kind in OTHERS], settings=Settings(seconds=0.3))
def test_conformance_of_the_others(backend: Backend[Any], check: Callable[[Backend[Any]], None]) -> None:
    check(backend)


@pytest.mark.parametrize("path", [p for p in FILES if p.stem not in ("__init__", "bound_propagation")])
def test_a_method_becomes_a_backend_in_few_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_every_method_has_the_name_of_its_backend() -> None:
    infos = {info.name: info.load() for info in vnnverify_bound_propagation.vnnverify_backends()}
    infos.pop("bound_propagation")
    assert set(infos.values()) == set(KINDS)
    for name, kind in infos.items():
        assert issubclass(kind, MethodBackend)
        assert kind.method == METHODS[name] and kind.method.name == name


@pytest.mark.parametrize("kind", KINDS)
def test_without_search_the_root_alone_is_bounded(kind: type[MethodBackend]) -> None:
    backend = kind(MethodOptions(split_inputs=0))
    decided = 0
    for specimen in zoo():
        if specimen.tight or specimen.truth is not Verdict.UNSAT:
            continue
        outcome = backend.verify(specimen.query, context(specimen.query, 10.0))
        assert outcome.verdict in (Verdict.UNSAT, Verdict.UNKNOWN)
        decided += outcome.verdict is Verdict.UNSAT
        if outcome.stats:
            assert outcome.stats["boxes"] <= len(specimen.query.clauses)
    assert decided >= 5
