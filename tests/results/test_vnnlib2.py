# SPDX-License-Identifier: Apache-2.0
"""Assignments of VNN-LIB 2.0, to the letter and back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vnnverify.errors import SpecError
from vnnverify.inputs.declared import Declared
from vnnverify.results import Report, Witness
from vnnverify.results.jsonl import JsonWriter, read_report
from vnnverify.results.vnnlib2 import Vnnlib2Writer, assigned, read_assignment
from vnnverify.verdict import Verdict

TENSORS = (
    Declared("X", "float32", (1, 2), "input", 0),
    Declared("H", "real", (), "hidden", 1),
    Declared("Y", "int64", (1,), "output", 0),
    Declared("A", "float32", (1,), "input", 2),
    Declared("B", "real", (2,), "output", 2),
)
WITNESS = Witness((0.10000000149011612, -1e-45, 2.5), (7.0, 1e20, 0.5, -0.0), tensors=TENSORS)
TEXT = """sat
X float32 [1,2]
0.10000000149011612
-0.000000000000000000000000000000000000000000001
H real []
100000000000000000000
Y int64 [1]
7
A float32 [1]
2.5
B real [2]
0.5
-0.0
"""


def report(verdict: Verdict, witness: Witness | None = None) -> Report:
    return Report({"f": "a.onnx", "g": "b.onnx"}, "q.vnnlib", verdict, witness=witness)


def test_to_the_letter() -> None:
    assert Vnnlib2Writer().write(report(Verdict.SAT, WITNESS)) == TEXT
    assert Vnnlib2Writer(assignment=False).write(report(Verdict.SAT, WITNESS)) == "sat\n"


@pytest.mark.parametrize(
    ("verdict", "word"),
    [
        (Verdict.UNSAT, "unsat"),
        (Verdict.UNKNOWN, "unknown"),
        (Verdict.TIMEOUT, "timed-out"),
        (Verdict.ERROR, "unknown"),
    ],
)
def test_words(verdict: Verdict, word: str) -> None:
    assert Vnnlib2Writer().write(report(verdict)) == f"{word}\n"


def test_back_again() -> None:
    found = read_assignment(TEXT)
    assert [(t.name, t.type, t.shape) for t in found.tensors] == [(t.name, t.type, t.shape) for t in TENSORS]
    again = assigned(found, TENSORS)
    assert (again.x, again.y, again.tensors) == (WITNESS.x, WITNESS.y, TENSORS)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_have_no_exponent_and_read_back(value: float) -> None:
    witness = Witness((value,), (), tensors=(Declared("X", "real", (1,), "input", 0),))
    line = Vnnlib2Writer().write(report(Verdict.SAT, witness)).splitlines()[2]
    assert float(line) == value and re.fullmatch(r"-?\d+(\.\d+)?", line)


def test_first_version_has_two_tensors() -> None:
    text = Vnnlib2Writer().write(report(Verdict.SAT, Witness((1.0, 2.0), (3.0,))))
    assert text == "sat\nX real [2]\n1.0\n2.0\nY real [1]\n3.0\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sat\n", "the assignment ends after 0 of 0 values"),
        ("X real [2]\n1.0\n", "the assignment ends after 1 of 2 values"),
        ("X real [1]\none\n", "2: 'one' is not a number"),
        ("X real\n1.0\n", "1: expected a line `name type [shape]`"),
    ],
)
def test_refuses(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=f"^r.txt:.*{re.escape(message)}"):
        read_assignment(text, "r.txt")


def test_refuses_other_tensors() -> None:
    with pytest.raises(
        SpecError, match=r"the assignment holds X \[1, 2\] where the property declares Z \[1, 2\]"
    ):
        assigned(read_assignment(TEXT), (Declared("Z", "real", (1, 2), "input", 0),))
    with pytest.raises(SpecError, match=r"holds nothing where the property declares B \[2\]"):
        assigned(read_assignment(TEXT[: TEXT.index("B real")]), TENSORS)


def test_json_keeps_networks_and_tensors() -> None:
    found = read_report(JsonWriter().write(report(Verdict.SAT, WITNESS)))
    assert (found.model, found.witness) == ({"f": "a.onnx", "g": "b.onnx"}, WITNESS)
