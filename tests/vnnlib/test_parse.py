# SPDX-License-Identifier: Apache-2.0
"""The fast reader: every dialect met in the wild, and errors that say where and why."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from vnnverify.errors import SpecError
from vnnverify.vnnlib.ast import And, Arithmetic, Compare, Expr, Number, Or, Variable
from vnnverify.vnnlib.parse import MAX_DEPTH, parse

X0, X1, Y0, Y1 = Variable("X", 0), Variable("X", 1), Variable("Y", 0), Variable("Y", 1)


def num(text: str) -> Number:
    return Number(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(assert (<= X_0 0.5))", Compare("<=", X0, num("0.5"))),
        ("(assert\n(<= Y_0 Y_1)\n)", Compare("<=", Y0, Y1)),
        ("( assert\t( >=\r\n X_0   -1e-06 ) )", Compare(">=", X0, num("-1e-06"))),
        ("(assert (< X_0 .5))", Compare("<", X0, num(".5"))),
        ("(assert (> X_0 5.))", Compare(">", X0, num("5."))),
        ("(assert (= X_0 +1))", Compare("=", X0, num("+1"))),
        ("(assert (<= X_0 (- 5.0)))", Compare("<=", X0, num("-5.0"))),
        ("(assert (<= X_0 (- -5.0)))", Compare("<=", X0, num("5.0"))),
        ("(assert (<= 1E5 X_0))", Compare("<=", num("1E5"), X0)),
        ("(assert (<= X_0 X_1))", Compare("<=", X0, X1)),
        ("(assert (<= X_0 Y_1))", Compare("<=", X0, Y1)),
        ("(assert (<= ; a comment ( with ) parentheses\n X_0 1))", Compare("<=", X0, num("1"))),
        ("(assert (<= X_0 1) ; before the last one\n)", Compare("<=", X0, num("1"))),
        ("(assert(<= X_0 1))", Compare("<=", X0, num("1"))),
        ("(assert (or (and (<= Y_0 1))))", Or((And((Compare("<=", Y0, num("1")),)),))),
        (
            "(assert (or(and(<= X_0 1)(>= X_0 0))(<= Y_0 Y_1)))",
            Or((And((Compare("<=", X0, num("1")), Compare(">=", X0, num("0")))), Compare("<=", Y0, Y1))),
        ),
        (
            "(assert (<= (+ X_0 (* 2 X_1) (- Y_0 Y_1)) (- X_0)))",
            Compare(
                "<=",
                Arithmetic("+", (X0, Arithmetic("*", (num("2"), X1)), Arithmetic("-", (Y0, Y1)))),
                Arithmetic("-", (X0,)),
            ),
        ),
    ],
)
def test_reads(text: str, expected: Expr) -> None:
    assert parse(text).assertions == (expected,)


@pytest.mark.parametrize(
    "text",
    [
        "(declare-const X_0 Real)(declare-const Y_0 Real)",
        "\ufeff(declare-const X_0 Real)\r\n(declare-const Y_0 Real)\r\n",
        "(declare-fun X_0 () Real)\n( declare-fun Y_0 ( ) Real )",
        "; first\n(declare-const X_0 Real) ; second (\n(declare-const ; in between\nY_0 Real)\n; no newline",
        '(set-logic QF_LRA)(set-info :source |not (a\n statement|)(set-info :note "nor ( this")\n'
        "(declare-const X_0 Real)\n(declare-const Y_0 Real)(check-sat)(get-model)(exit)",
        "(vnnlib-version <1.0>)(declare-const X_0 Real)(declare-const Y_0 Real)",
    ],
)
def test_reads_declarations_in_every_dress(text: str) -> None:
    script = parse(text)
    assert [(d.name, d.sort) for d in script.declarations] == [("X_0", "Real"), ("Y_0", "Real")]
    assert script.assertions == ()


def test_equal_comparisons_are_shared_but_assertions_keep_their_places() -> None:
    script = parse(
        "(assert (or (<= X_0 1)\n(<= X_0 1)\n(<= X_0 2)))\n(assert (<= X_0 1))\n(assert (<= X_0 1))"
    )
    assert isinstance(script.assertions[0], Or)
    assert script.assertions[0].args[0] is script.assertions[0].args[1]
    assert script.offsets == (0, 47, 67)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("(assert (<= X_0 1)", 1, 1, "never closed"),
        ("(assert (or\n(and (<= X_0 1)\n", 1, 1, "never closed"),
        ("\n  )", 2, 3, "closes nothing"),
        ("(assert (<= X_0 1)))", 1, 20, "closes nothing"),
        ("hello", 1, 1, "this is not VNN-LIB: it begins with 'hello', not with (declare-const X_0 Real)"),
        ("(<= X_0 1)", 1, 1, "must stand inside (assert"),
        ("(frobnicate)", 1, 1, "unknown command 'frobnicate'"),
        ("(define-fun f () Real 1)", 1, 1, "(define-fun …) is not in VNN-LIB; write out what it stands for"),
        ("(push 1)", 1, 1, "unknown command 'push'"),
        ("()", 1, 1, "expected an operator or a command"),
        ("(assert ())", 1, 1, "expected a comparison"),
        ("((assert))", 1, 2, "inside a parenthesis that is still open"),
        ("(assert)", 1, 1, "takes one argument, found 0"),
        ("(assert (<= X_0 1) (<= X_0 2))", 1, 1, "takes one argument, found 2"),
        ("(assert X_0)", 1, 9, "expected a comparison"),
        ("(assert (+ X_0 1))", 1, 1, "expected a comparison"),
        ("(assert (and))", 1, 9, "(and) needs at least one argument"),
        ("(assert (or))", 1, 9, "(or) needs at least one argument"),
        ("(assert (and 5))", 1, 14, "expected a comparison"),
        ("(assert (not (<= X_0 1)))", 1, 9, "(not …) is not in VNN-LIB; turn the comparison round"),
        ("(assert (let ((a X_0)) (<= a 1)))", 1, 9, "(let …) is not in VNN-LIB; write out what its names"),
        ("(assert (<= (+ 1 (ite (<= X_0 1) 1 2)) 1))", 1, 18, "(ite …) is not in VNN-LIB; write its two"),
        ("(assert (<= (/ X_0 2) 1))", 1, 13, "(/ …) is not in VNN-LIB; multiply by a decimal"),
        ("(assert (== X_0 1))", 1, 9, "== is of VNN-LIB 2.0; write ="),
        ("(assert (!= X_0 1))", 1, 9, "!= is of VNN-LIB 2.0; write (or (< a b) (> a b))"),
        ("(assert (<= X_0 1e99999))", 1, 17, "1e99999: exponents of more than 4 digits are not read"),
        ("(assert (<= X_0))", 1, 9, "compares two terms, found 1"),
        ("(assert (<= 0 X_0 1))", 1, 9, "compares two terms, found 3"),
        ("(assert (<= (2.18 (- Y_0 1))))", 1, 13, "unknown operator '2.18'"),
        ("(assert (<= (<= X_0 1) 1))", 1, 9, "expected a number, a variable"),
        ("(assert (<= (+ X_0) 1))", 1, 13, "(+ …) needs more arguments"),
        ("(assert (<= (*) 1))", 1, 13, "(* …) needs more arguments"),
        ("(assert\n  (<= X_0 1.2.3))", 2, 11, "malformed number '1.2.3'"),
        ("(assert (<= X_0 1e))", 1, 17, "malformed number '1e'"),
        ("(assert (<= X_0 -))", 1, 17, "malformed number '-'"),
        ("(assert (<= X_0 ٣))", 1, 17, "malformed number"),
        ("(assert (<= X_0 " + "1" * 5001 + "))", 1, 17, "a number of 5,001 characters"),
        ("(assert (<= X_0 nan))", 1, 17, "variable 'nan' is not declared"),
        ("(assert (<= X_01 1))", 1, 13, "variable 'X_01' is not declared"),
        ("(assert (<= X_0 1\0))", 1, 18, "NUL byte"),
        ('(set-info :a "open', 1, 14, "never ends"),
        ("(declare-const X_0)", 1, 1, "takes a name and a sort"),
        ("(declare-fun X_0 Real Real)", 1, 1, "takes a name and a sort"),
        ("(assert (<= X_0 1)\n(assert (<= X_0 1))", 2, 1, "is a ) missing before"),
        ("(assert (and (<= X_0 1)\n(declare-const X_0 Real)))", 2, 1, "is a ) missing before"),
        ("(check-sat)\n(assert (<= X_0 1))", 2, 1, "after (check-sat)"),
        ("(vnnlib-version <2.0>)\n(declare-network N)", 1, 1, "a statement of VNN-LIB 2.0 in a text of 1.0"),
        (
            "; x\n(declare-network N (declare-input X Real []))",
            2,
            20,
            "a statement of VNN-LIB 2.0 in a text of 1.0",
        ),
        ("(declare-network N)", 1, 1, "a statement of VNN-LIB 2.0 in a text of 1.0"),
    ],
)
def test_refuses_with_the_place_and_the_cause(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)) as caught:
        parse(text, "p.vnnlib")
    assert str(caught.value).startswith(f"p.vnnlib:{line}:{column}: ")
    assert (caught.value.line, caught.value.column) == (line, column)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("opening", ["(and ", "(or ", "(<= (+ 1 ", "(", "(assert "])
def test_refuses_endless_nesting(opening: str) -> None:
    with pytest.raises(SpecError, match="nested deeper than 10,000 levels"):
        parse("(assert " + opening * 100_000)


@pytest.mark.parametrize(
    "nest", [lambda inner: f"(and {inner})", lambda inner: f"(or {inner} (<= X_0 2))"], ids=["and", "or"]
)
def test_reads_nesting_up_to_the_limit(nest: Callable[[str], str]) -> None:
    before, after = nest("|").split("|")
    depth = MAX_DEPTH - 2
    script = parse(f"(assert {before * depth}(<= X_0 1){after * depth})")
    expr, found = script.assertions[0], 0
    while not isinstance(expr, Compare):
        expr, found = expr.args[0], found + 1
    assert found == depth
