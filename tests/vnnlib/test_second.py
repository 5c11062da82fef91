# SPDX-License-Identifier: Apache-2.0
"""VNN-LIB 2.0 text becomes the same tree that VNN-LIB 1.0 text does, with numbered elements as variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from vnnverify.inputs.dialect import is_second
from vnnverify.vnnlib import load_property
from vnnverify.vnnlib.ast import And, Arithmetic, Compare, Number, Or, Variable
from vnnverify.vnnlib.merging import merge_equal_inputs
from vnnverify.vnnlib.second import parse_second

TWO = """(vnnlib-version <2.0>)
(declare-network f
    (declare-input A real [2,3]) (declare-input B real [])
    (declare-hidden H real [2] "relu")
    (declare-output C real [1,2]))
(declare-network g (isomorphic-to f)
    (declare-input D real [2,3]) (declare-input E real [])
    (declare-output F real [1,2]))
"""


def test_elements_are_numbered_through_all_networks() -> None:
    found = parse_second(TWO + "(assert (<= A[1,2] (+ B D[0,1] E)))(assert (<= C[0,1] (+ H[1] F[0,0])))")
    assert (found.inputs, found.outputs) == (14, 6)
    assert [n.isomorphic_to for n in found.networks] == ["", "f"]
    first, second = found.assertions
    x, y = [Variable("X", k) for k in (5, 6, 8, 13)], [Variable("Y", k) for k in (1, 3, 4)]
    assert first == Compare("<=", x[0], Arithmetic("+", tuple(x[1:])))
    assert second == Compare("<=", y[0], Arithmetic("+", tuple(y[1:])))
    assert [found.name(v) for v in x + y] == ["A[1,2]", "B", "D[0,1]", "E", "C[0,1]", "H[1]", "F[0,0]"]
    assert [(t.name, t.start) for n in found.networks for t in n.tensors] == [
        ("A", 0), ("B", 6), ("H", 2), ("C", 0), ("D", 7), ("E", 13), ("F", 4),
    ]  # fmt: skip


def test_every_connective_comparison_and_operation() -> None:
    (found,) = parse_second(
        TWO + "(assert (or (and (< B -1.50) (!= E 2.0)) (== (- B) (* B (- E B 1.0)))))"
    ).assertions
    b, e = Variable("X", 6), Variable("X", 13)
    product = Arithmetic("*", (b, Arithmetic("-", (e, b, Number("1.0")))))
    less, unequal = Compare("<", b, Number("-1.50")), Compare("!=", e, Number("2.0"))
    assert found == Or((And((less, unequal)), Compare("=", Arithmetic("-", (b,)), product)))


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("(vnnlib-version <2.0>)", True),
        ("; é\n\n  (vnnlib-version <2.1>)", True),
        ("\ufeff(vnnlib-version 2.0)", True),
        ("(declare-network f", True),
        ("(vnnlib-version <1.0>)", False),
        ("; (vnnlib-version <2.0>)\n(declare-const X_0 Real)", False),
        ("", False),
    ],
)
def test_version_is_told_by_the_first_statement(text: str, second: bool) -> None:
    assert is_second(text) is second


def test_a_folder_called_2_may_hold_the_first_version(tmp_path: Path) -> None:
    path = tmp_path / "2.0" / "p.vnnlib"
    path.parent.mkdir()
    path.write_text("(declare-const X_0 Real)(declare-const Y_0 Real)(assert (<= X_0 1))")
    assert load_property(path).networks == ()


def merged(assertions: str, types: str = "float32") -> tuple[int, ...] | None:
    return merge_equal_inputs(parse_second(TWO + assertions), [types] * 7 + ["float32"] * 7).columns


def test_equal_inputs_become_one_variable() -> None:
    found = merged(
        "(assert (and (== A[0,0] D[0,0]) (== (- E B) 0.0)))(assert (== D[0,0] A[0,1]))(assert (<= B 1.0))"
    )
    assert found == (0, 0, 1, 2, 3, 4, 5, 0, 6, 7, 8, 9, 10, 5)


@pytest.mark.parametrize(
    "assertion",
    [
        "(or (== A[0,0] D[0,0]) (<= B 1.0))",
        "(== A[0,0] (+ D[0,0] 0.5))",
        "(== A[0,0] (* 2.0 D[0,0]))",
        "(== B C[0,0])",
    ],
)
def test_what_may_differ_is_not_merged(assertion: str) -> None:
    assert merged(f"(assert {assertion})") is None


def test_inputs_of_different_types_are_not_merged() -> None:
    assert merged("(assert (== A[0,0] D[0,0]))", "float64") is None


def test_names_after_merging() -> None:
    found = merge_equal_inputs(
        parse_second(TWO + "(assert (== B E))(assert (<= D[1,2] 1.0))"), ["float32"] * 14
    )
    assert (found.inputs, found.name(Variable("X", 6)), found.name(Variable("X", 12))) == (13, "B", "D[1,2]")
