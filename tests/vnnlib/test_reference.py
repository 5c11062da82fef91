# SPDX-License-Identifier: Apache-2.0
"""The fast reader and the grammar agree: on every small competition file, and on written-out trees."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lark.exceptions import LarkError

from vnnverify.errors import SpecError
from vnnverify.inputs.files import read_bytes
from vnnverify.vnnlib.ast import And, Arithmetic, Compare, Expr, Number, Or, Term, Variable
from vnnverify.vnnlib.parse import make_arithmetic, parse
from vnnverify.vnnlib.reference import parse_by_grammar

SHARED = Path(os.environ.get("VNNVERIFY_SHARED", Path(__file__).resolve().parents[3] / "shared"))
SMALL = 20_000
"""Characters up to which a file is read whole by the slow reader; of longer ones it reads an excerpt."""
EXCERPT = 6_000
LONG_FILES = 4

FAMILIES = sorted(path.name for path in (SHARED / "benchmarks").glob("*") if path.is_dir())


def _excerpt(text: str) -> str:
    """The first and the last statements of a long text."""
    if len(text) <= SMALL:
        return text
    head = text[: max(text.rfind("\n(declare", 0, EXCERPT), text.rfind("\n(assert", 0, EXCERPT))]
    tail = text.rfind("\n(assert", 0, len(text) - EXCERPT)
    return head + text[tail:] if len(text) - tail < 2 * EXCERPT else head


@pytest.mark.parametrize("family", FAMILIES or ["none"])
def test_agree_on_competition_files(family: str) -> None:
    paths = sorted((SHARED / "benchmarks" / family).rglob("*.vnnlib*"))
    if not paths:
        pytest.skip("no benchmarks here; set VNNVERIFY_SHARED to their folder")
    texts = {path: read_bytes(path).decode() for path in paths}
    small = [path for path in paths if len(texts[path]) <= SMALL]
    long = [path for path in paths if len(texts[path]) > SMALL]
    for path in small + long[:: max(1, len(long) // LONG_FILES)]:
        text = _excerpt(texts[path])
        found = parse(text, str(path))
        assert found.declarations, path
        assert found == parse_by_grammar(text), path


LITERAL = st.sampled_from(["0", "1.5", "-2", "+3", ".5", "5.", "1e-06", "-1E+3", "0.1"]).map(Number)
VARIABLE = st.builds(Variable, st.sampled_from("XY"), st.integers(0, 12))
TERM: st.SearchStrategy[Term] = st.recursive(
    LITERAL | VARIABLE,
    lambda inner: st.one_of(
        st.builds(
            lambda operator, args: Arithmetic(operator, tuple(args)),
            st.sampled_from("+-*"),
            st.lists(inner, min_size=2, max_size=3),
        ),
        st.builds(lambda arg: make_arithmetic("-", (arg,)), inner),
    ),
    max_leaves=6,
)
COMPARE = st.builds(Compare, st.sampled_from(["<=", "<", ">=", ">", "="]), TERM, TERM)
EXPR: st.SearchStrategy[Expr] = st.recursive(
    COMPARE,
    lambda inner: st.builds(
        lambda kind, args: kind(tuple(args)),
        st.sampled_from([And, Or]),
        st.lists(inner, min_size=1, max_size=4),
    ),
    max_leaves=12,
)
GAPS = [" ", "\t", "\n", "\r\n", "  ", " ; (or a ) comment\n", ";\r\n"]


def _words(item: Expr | Term) -> list[str]:
    if isinstance(item, Number):
        return [item.text]
    if isinstance(item, Variable):
        return [item.name]
    head: str
    parts: Sequence[Expr | Term]
    if isinstance(item, Compare):
        head, parts = item.operator, (item.lhs, item.rhs)
    elif isinstance(item, Arithmetic):
        head, parts = item.operator, item.args
    else:
        head, parts = type(item).__name__.lower(), item.args
    return ["(", head, *(word for part in parts for word in _words(part)), ")"]


def _written(expressions: Sequence[Expr], gaps: st.DataObject) -> str:
    """The text of the assertions, with every sort of gap, or none where none is needed."""
    words = [w for expr in expressions for w in ("(", "assert", *_words(expr), ")")]
    text = ""
    for word in words:
        needed = bool(text) and text[-1] not in "()\n" and word not in "()"
        text += gaps.draw(st.sampled_from(GAPS if needed else ["", *GAPS])) + word
    return text


@given(st.lists(EXPR, min_size=1, max_size=3), st.data())
def test_agree_on_written_trees(expressions: list[Expr], data: st.DataObject) -> None:
    text = _written(expressions, data)
    found = parse(text)
    assert found.assertions == tuple(expressions)
    assert parse_by_grammar(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "(declare-const X_0 Real)(declare-fun Y_0 () Real) (assert (<= X_0 Y_0))(check-sat)",
        "\ufeff(set-logic QF_LRA)\n(set-info :x |a (b|)\n(set-info :y 1.5) ; end",
        "",
        "; nothing",
    ],
)
def test_agree_on_whole_texts(text: str) -> None:
    assert parse(text) == parse_by_grammar(text)


@pytest.mark.parametrize(
    "text",
    [
        "(assert (<= X_0 1)",
        "(assert (<= X_0))",
        "(assert (<= X_0 1 2))",
        "(assert (not (<= X_0 1)))",
        "(assert (and))",
        "(assert (+ X_0 1))",
        "(assert (<= X_0 1e))",
        "(assert (<= X_0 1.2.3))",
        "(assert (<= (* X_0) 1))",
        "(declare-const X_0)",
        "(frobnicate)",
        ")(",
        "X_0",
    ],
)
def test_agree_on_what_is_malformed(text: str) -> None:
    with pytest.raises(SpecError):
        parse(text)
    with pytest.raises(LarkError):
        parse_by_grammar(text)
