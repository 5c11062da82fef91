# SPDX-License-Identifier: Apache-2.0
"""What the official parser refuses, and what is kept from it, is one line with place and remedy."""

from __future__ import annotations

import pytest

from vnnverify.errors import SpecError
from vnnverify.vnnlib.official import MAX_NESTING, assertion_offsets, parse_officially
from vnnverify.vnnlib.second import parse_second

TENSORS = "(declare-input X real [2]) (declare-output Y real [2])"


EQUAL = "(declare-network g (equal-to h) (declare-input A real [2]) (declare-output B real [2]))\n"


def text(assertions: str, tensors: str = TENSORS, more: str = "") -> str:
    return f"(vnnlib-version <2.0>)\n(declare-network f {tensors})\n{more}{assertions}\n"


def nested(depth: int) -> str:
    return "(assert " + "(and " * depth + "(<= X[0] 1.0)" + ")" * depth + ")"


REFUSED = {
    "NUL": (text("(assert (<= X[0] 1.0\0))"), "3:21: NUL byte"),
    "depth": (text(nested(MAX_NESTING)), f"3:5004: parentheses nested deeper than {MAX_NESTING:,} levels"),
    "index of 64 bits": (
        text("(assert (<= X[99999999999999999999] 1.0))"),
        "3:15: an index or dimension of 20 digits; at most 9 are read",
    ),
    "index that 32 bits cut to 0": (text("(assert (<= X[4294967296] 1.0))"), "3:15: an index or dimension"),
    "dimension": (text("(assert (<= X[0] 1.0))", "(declare-input X real [9999999999])"), "2:43: an index or"),
    "whole number": (
        text("(assert (<= X[0] 99999999999999999999))", TENSORS.replace("real", "int64")),
        "3:18: a whole number of 20 digits; at most 18 are read",
    ),
    "huge number": (text(f"(assert (<= X[0] 1{'0' * 400}.0))"), "a number beyond the range of 64 bits"),
    "not ASCII": (text("(assert (<= X[0] ١.0))"), "3:18: the character '١' stands outside of a comment"),
    "exponent": (text("(assert (<= X[0] 1e-3))"), "3:19: syntax error at 'e'"),
    "version": (text("").replace("<2.0>", "2.0"), "1:17: write the version in angle brackets: (vnnlib"),
    "third version": (text("(assert (<= X[0] 1.0))").replace("2.0", "3.0"), "1: <3.0>: Incompatible VNNLib"),
    "no assertion": (text(""), "the text ends too early: an (assert …) or a ) is missing"),
    "first version": (
        "(vnnlib-version <2.0>)\n(declare-const X_0 Real)\n",
        "2:1: syntax error at '('; VNN-LIB 2.0 wants (declare-network …); `declare-const` is of VNN-LIB 1.0",
    ),
    "let": (text("(assert (let ((a X[0])) (<= a 1.0)))"), "3:10: (let …) is not in VNN-LIB; write out what"),
    "implication": (
        text("(assert (=> (<= X[0] 1.0) (<= Y[0] 1.0)))"),
        "3:10: syntax error at '='; VNN-LIB 2.0 wants no (=>",
    ),
    "operator": (
        text("(assert (<= (sin X[0]) 1.0))"),
        "3:14: syntax error at 'sin'; VNN-LIB 2.0 wants one of",
    ),
    "one =": (text("(assert (= X[0] 1.0))"), "3:10: syntax error at '='; VNN-LIB 2.0 wants == for equality"),
    "order": (
        text("(assert (<= X[0] 1.0))", "(declare-output Y real [2]) (declare-input X real [2])"),
        "VNN-LIB 2.0 wants (declare-network …) with inputs, hidden nodes and outputs in this order",
    ),
    "undeclared": (text("(assert (<= Z[0] 1.0))"), "3: Z: Undeclared variable; Variable must be declared"),
    "out of range": (text("(assert (<= X[5] 1.0))"), "3: X[5]: Index out of bounds for variable; Index 5"),
    "rank": (text("(assert (<= X[0,0] 1.0))"), "3: X[0,0]: Too many indices for variable; Expected 1"),
    "twice": (text("(assert (<= X[0] 1.0))", TENSORS.replace("Y", "X")), "2: X: Duplicate variable decl"),
    "constant's type": (text("(assert (<= X[0] 3))"), "3: 3: Type mismatch in arithmetic expression"),
    "unknown type": (
        text("(assert (<= X[0] 1.0))", TENSORS.replace("real", "floot")),
        "2:37: input X: unknown or unsupported element type floot; there are: bfloat16, bool, float16",
    ),
    "real and float": (
        text("(assert (<= X[0] 1.0))", "(declare-input X real [2]) (declare-output Y float32 [2])"),
        "declares tensors of type real and of type float32; a text about real numbers is so throughout",
    ),
    "equal to nobody": (
        text("(assert (<= X[0] A[0]))", more=EQUAL),
        "Referenced network 'h' not found for equal-to statement",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("given", "message"), REFUSED.values(), ids=REFUSED)
def test_refuses(given: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_second(given, "p.vnnlib", strict=True)
    found = str(caught.value)
    assert found.startswith("p.vnnlib:") and message in found and "\n" not in found


def test_what_is_allowed_in_comments_and_names_of_nodes() -> None:
    hidden = (
        '(declare-input X real [2]) (declare-hidden H real [1] "é/99999999999 (") (declare-output Y real [2])'
    )
    found = parse_second(text("; é [99999999999999999999] ((\n(assert (<= H[0] 1.0))", hidden))
    assert found.networks[0].hidden[0].node == "é/99999999999 ("


def test_names_may_hold_many_digits() -> None:
    given = text("(assert (<= X[0] 1.0))").replace("network f", "network eps0_0014379084967320263999")
    assert parse_second(given, strict=True).networks[0].name == "eps0_0014379084967320263999"


def test_deepest_nesting_that_is_read() -> None:
    assert len(parse_officially(text(nested(MAX_NESTING - 2))).assertions) == 1


def test_offsets_of_assertions_skip_comments_and_quotations() -> None:
    given = '; (assert\n(declare-hidden H real [1] "(assert") (assert a)\n  (assert b)'
    assert [given[k:] for k in assertion_offsets(given)] == ["(assert a)\n  (assert b)", "(assert b)"]
