# SPDX-License-Identifier: Apache-2.0
"""Bounds of single inputs in large texts are read as the official parser reads them."""

from __future__ import annotations

import pytest

from vnnverify.errors import SpecError
from vnnverify.vnnlib import second
from vnnverify.vnnlib.boxes import set_apart
from vnnverify.vnnlib.disjuncts import conjuncts
from vnnverify.vnnlib.property import ParsedProperty
from vnnverify.vnnlib.reading import parse_property

HEAD = """; (assert (>= X[0,0] 9.0))
(vnnlib-version <2.0>)
(declare-network f
  (declare-input X real [1,2])
  (declare-input Z real [2])
  (declare-output Y real [1]))
"""
BOUNDS = """(assert (and (>= X[0,0] -1.5) (<= X[0,0] 0.1)))
(assert (>= X[0,1] 0.0))
\t(assert (<= X[0, 1] 0.25)) 
(assert (== Z[1] 0.5))
(assert (and (>= Z[0] 0.0) (<= X[0,1] 1.0)))
; (assert (<= Z[0] -7.0))
(assert (<= Z[0] 1.0)) ; with a comment
(assert (or (<= Y[0] X[0,0])
(>= Y[0] 1.0)))
(assert (<= Y[0] 2.0))
"""  # noqa: W291


def large(text: str, monkeypatch: pytest.MonkeyPatch) -> ParsedProperty:
    monkeypatch.setattr(second, "LARGE", 0)
    return parse_property(text)


def test_they_are_taken_out_line_by_line() -> None:
    apart = set_apart(HEAD + BOUNDS)
    assert len(apart.lines) == 5
    assert "(assert (== Z[1]" not in apart.rest and "(assert (<= Z[0] 1.0)) ; with" in apart.rest
    assert "(assert (<= Y[0] 2.0))" in apart.rest
    assert apart.rest.count("\n") == (HEAD + BOUNDS).count("\n")


def test_the_property_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = HEAD + BOUNDS
    plain, quick = parse_property(text), large(text, monkeypatch)
    assert {expr for expr, _ in conjuncts(quick.assertions)} == {e for e, _ in conjuncts(plain.assertions)}
    assert (quick.inputs, quick.outputs, quick.text) == (plain.inputs, plain.outputs, plain.text)
    assert sorted(set(quick.offsets)) == sorted(set(plain.offsets))
    for x, y in (([0.0, 0.2, 0.5, 0.5], [1.0]), ([0.2, 0.2, 0.5, 0.5], [1.0]), ([0.0, 0.2, 0.5, 0.5], [3.0])):
        assert quick.holds_at(x, y)[0] == plain.holds_at(x, y)[0]


@pytest.mark.parametrize(
    "line",
    [
        "(assert (<= X[0,2] 1.0))",
        "(assert (<= X[1,0,0] 1.0))",
        "(assert (<= W[0,0] 1.0))",
        "(assert (<= X[0,0] 1e))",
        "(assert (<= X[0,0] 1.0)",
    ],
)
def test_mistakes_are_found_where_they_are(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = HEAD.replace("real", "float32") + "(assert (>= Z[1] 0.5))\n" + line + "\n" + BOUNDS
    with pytest.raises(SpecError) as plain:
        parse_property(text)
    with pytest.raises(SpecError) as quick:
        large(text, monkeypatch)
    assert str(quick.value) == str(plain.value)


def test_a_text_of_bounds_alone_is_left_to_the_official_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    text = HEAD + "".join(line + "\n" for line in BOUNDS.splitlines()[:5])
    assert large(text, monkeypatch).assertions == parse_property(text).assertions
