# SPDX-License-Identifier: Apache-2.0
"""Checked properties: what is refused, and what holds exactly at a point."""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vnnverify.errors import FileError, SpecError
from vnnverify.vnnlib import ParsedProperty, load_property, parse_property

Build = Callable[[int, int, str], ParsedProperty]
F32_TENTH = float(np.float32("0.1"))


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (
            "(declare-const X_0 Real)\n(declare-const Y_0 Real)\n(assert (<= X_1 1))",
            "3:13",
            "variable X_1 is not",
        ),
        (
            "(declare-const X_0 Real)\n(declare-const Y_0 Real)\n(assert (<= 1 Y_7))",
            "3:15",
            "variable Y_7 is not",
        ),
        (
            "(declare-const X_0 Real)\n(declare-const Y_0 Real)\n(declare-const X_0 Real)",
            "3:1",
            "X_0 is declared twice, first in line 1",
        ),
        ("(declare-const X_0 Int)", "1:1", "sort 'Int' is not supported; use Real"),
        ("(declare-const Z_0 Real)", "1:1", "variable 'Z_0': inputs are called X_0"),
        ("(declare-const X_00 Real)", "1:1", "variable 'X_00': inputs are called X_0"),
        (
            "(declare-const Y_0 Real)\n(declare-const X_0 Real)\n(declare-const X_2 Real)",
            "3:1",
            "X_2 is declared, but X_1 is not",
        ),
        ("(declare-const X_0 Real)", "", "no variable Y_0 is declared"),
        ("", "", "no variable X_0 is declared"),
        ("(declare-const X_0 Real)(declare-const Y_0 Real)", "", "no (assert …) found"),
    ],
)
def test_refuses(text: str, place: str, message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)) as caught:
        parse_property(text, "p.vnnlib")
    assert str(caught.value).startswith(f"p.vnnlib:{place}: " if place else "p.vnnlib: ")


def test_variables_may_be_declared_in_any_order(declare: Callable[[int, int], str]) -> None:
    lines = declare(12, 2).splitlines()
    found = parse_property("".join(reversed(lines)) + "(assert (<= X_11 Y_1))")
    assert (found.inputs, found.outputs) == (12, 2)


def test_loads_plain_and_compressed_files(tmp_path: Path, declare: Callable[[int, int], str]) -> None:
    text = "\ufeff" + declare(1, 1) + "(assert (<= X_0 1))"
    (tmp_path / "a.vnnlib").write_text(text, encoding="utf-8")
    (tmp_path / "b.vnnlib.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("a.vnnlib", "b.vnnlib"):
        found = load_property(tmp_path / name)
        assert (found.inputs, found.outputs, found.line(found.offsets[0])) == (1, 1, 3)
        assert found.source.endswith(name)


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        (b"(assert\n(<= X\xff_0 1))", "2:6", "not UTF-8 text (byte 0xff)"),
        ("(assert)".encode("utf-16"), "1:1", "not UTF-8 text"),
        ("(assert)".encode("utf-16-le"), "1:2", "NUL byte"),
        (b"(assert (<= X_0 1))\0(garbage", "1:20", "NUL byte"),
    ],
)
def test_refuses_what_is_no_text(tmp_path: Path, content: bytes, place: str, message: str) -> None:
    path = tmp_path / "p.vnnlib"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=re.escape(message)) as caught:
        load_property(path)
    assert str(caught.value).startswith(f"{path}:{place}: ")


def test_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        load_property(tmp_path / "nothing.vnnlib")


@pytest.mark.parametrize(
    ("assertion", "x", "y", "expected"),
    [
        ("(<= X_0 0.5)", 0.5, 0.0, True),
        ("(< X_0 0.5)", 0.5, 0.0, False),
        ("(< X_0 0.5)", math.nextafter(0.5, 0), 0.0, True),
        ("(>= X_0 0.5)", 0.5, 0.0, True),
        ("(> X_0 0.5)", 0.5, 0.0, False),
        ("(= X_0 0.5)", 0.5, 0.0, True),
        ("(<= X_0 0.1)", 0.1, 0.0, False),  # the float64 0.1 is above the decimal
        ("(>= X_0 0.1)", 0.1, 0.0, True),
        ("(= X_0 0.1)", 0.1, 0.0, False),
        ("(>= 0.1 X_0)", 0.1, 0.0, False),
        ("(< 0.1 X_0)", 0.1, 0.0, True),
        ("(<= Y_0 -0.1)", 0.0, -0.1, True),
        ("(<= X_0 Y_0)", 1.0, 1.0, True),
        ("(< X_0 Y_0)", 1.0, 1.0, False),
        ("(<= (+ X_0 Y_0) 0.3)", 0.1, 0.2, False),  # exact: 0.1 + 0.2 as float64 is above 0.3
        ("(<= (* X_0 Y_0) 0.25)", 0.5, 0.5, True),
        ("(<= (- X_0) -0.5)", 0.5, 0.0, True),
        ("(<= (- X_0 Y_0 1) (* 2 X_0 3))", 1.0, -6.0, True),
        ("(<= (- X_0 Y_0 1) (* 2 X_0 3))", 1.0, -6.5, False),
        ("(and (<= X_0 1) (or (<= Y_0 0) (>= Y_0 2)))", 1.0, 2.0, True),
        ("(and (<= X_0 1) (or (<= Y_0 0) (>= Y_0 2)))", 1.0, 1.0, False),
        ("(or (and (<= X_0 0) (<= Y_0 0)) (and (<= X_0 1) (<= Y_0 1)))", 1.0, 1.0, True),
        ("(or (and (<= X_0 0) (<= Y_0 0)) (and (<= X_0 1) (<= Y_0 1)))", 0.0, 2.0, False),
        ("(<= Y_0 1e400)", 0.0, 1.7e308, True),
        ("(> Y_0 1e-400)", 0.0, 0.0, False),
    ],
)
def test_holds_exactly(prop: Build, assertion: str, x: float, y: float, expected: bool) -> None:
    assert prop(1, 1, f"(assert {assertion})").holds_at([x], [y])[0] is expected


def test_names_the_last_assertion_that_fails(prop: Build) -> None:
    found = prop(1, 1, "(assert (<= X_0 1))\n(assert (or\n(<= Y_0 0)\n(>= Y_0 9)))\n(assert (<= X_0 1))")
    assert found.holds_at([1.0], [0.0]) == (True, "")
    assert found.holds_at([1.0], [1.0]) == (False, "the assertion in line 4 does not hold")
    assert found.holds_at([2.0], [0.0]) == (False, "the assertion in line 7 does not hold")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_never_holds_where_a_number_is_not_finite(prop: Build, bad: float) -> None:
    found = prop(1, 1, "(assert (<= X_0 1))(assert (or (<= Y_0 1) (>= Y_0 1)))")
    assert found.holds_at([0.0], [bad]) == (False, f"Y_0 is {bad}, not a finite number")
    assert found.holds_at([bad], [0.0])[0] is False


def test_wants_a_value_for_every_variable(prop: Build) -> None:
    with pytest.raises(ValueError, match="1 values for 2 variables X"):
        prop(2, 1, "(assert (<= X_0 1))").holds_at([0.0], [0.0])


@pytest.mark.parametrize(
    ("rounded", "dtype", "x", "expected"),
    [
        (frozenset[int](), "float32", F32_TENTH, False),
        (frozenset({0}), "float32", F32_TENTH, True),
        (frozenset({0}), "float32", 0.1, False),
        (frozenset({0}), "float64", 0.1, True),
        (frozenset({1}), "float32", F32_TENTH, False),
    ],
)
def test_bounds_of_rounded_inputs_are_read_as_the_model_reads_them(
    prop: Build, rounded: frozenset[int], dtype: str, x: float, expected: bool
) -> None:
    found = prop(2, 1, "(assert (>= X_0 0.1))(assert (<= X_0 0.1))(assert (<= X_1 1))")
    assert found.holds_at([x, 0.0], [0.0], rounded, dtype)[0] is expected


def test_deep_formulas_need_no_recursion(prop: Build) -> None:
    depth = 4_900
    nested = "(and (<= X_0 1) (or (<= X_0 0) " * depth + "(<= Y_0 0)" + "))" * depth
    found = prop(1, 1, f"(assert {nested})")
    assert found.holds_at([1.0], [0.0])[0]
    assert not found.holds_at([1.0], [1.0])[0]
    summed = prop(1, 1, f"(assert (<= {'(+ X_0 ' * depth}Y_0{')' * depth} {depth}))")
    assert summed.holds_at([1.0], [0.0])[0]
    assert not summed.holds_at([1.0], [0.5])[0]
