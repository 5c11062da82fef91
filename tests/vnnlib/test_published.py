# SPDX-License-Identifier: Apache-2.0
"""Texts besides the letter of VNN-LIB 2.0 say what the same texts to the letter say, with a warning for each
kind of difference; to the letter they are refused."""

from __future__ import annotations

import logging

import pytest

from vnnverify.errors import SpecError
from vnnverify.vnnlib import second
from vnnverify.vnnlib.property import ParsedProperty
from vnnverify.vnnlib.reading import parse_property

VERSION = "(vnnlib-version <2.0>)\n"
TENSORS = '(declare-input X real [1,2,3])\n(declare-hidden H real [2] "h;(")\n(declare-output Y real [1,4])'
LETTER = f"{VERSION}(declare-network f\n{TENSORS}\n)\n"
BOUND = "(assert (<= X[0,1,2] 1.5))"
ELEMENT = "(assert (<= X[0,1,2] 1.0))"

READ = {
    "Real": ((" real", " Real"), "the element type Real is read as real"),
    "REAL": ((" real", " REAL"), "the element type REAL is read as real"),
    "no version": ((VERSION, ""), "the version is not stated; read as <2.0>"),
    "plain version": (("<2.0>", "2.0"), "the version 2.0 is read as <2.0>"),
    "quoted version": (("<2.0>", '"2.0"'), 'the version "2.0" is read as <2.0>'),
    "short version": (("<2.0>", "2"), "the version 2 is read as <2.0>"),
    "no commas": (("[1,2,3]", "[1 2 3]"), "the shape [1 2 3] is read as [1,2,3]"),
    "shape first": (("real [1,2,3]", "[1,2,3] real"), "a shape before the element type is read"),
    "exponent": (("1.5", "15e-1"), "numbers are read in every form of VNN-LIB 1.0"),
    "plus": (("1.5", "+1.5"), "numbers are read in every form of VNN-LIB 1.0"),
    "blank behind (": (("(assert", "(\n  assert"), "blanks behind a parenthesis are passed over"),
    "blank in a declaration": (("(declare-hidden", "( declare-hidden"), "blanks behind a parenthesis"),
    "place in order": (("X[0,1,2]", "X[5]"), "X is declared [1,2,3]; X[5] is read as X[0,1,2], others alike"),
    "axis of one left out": (("X[0,1,2]", "X[1,2]"), "X[1,2] is read as X[0,1,2], others alike"),
    "axis of one in front": (("X[0,1,2]", "X[0,0,1,2]"), "X[0,0,1,2] is read as X[0,1,2], others alike"),
    "order": (
        (TENSORS, "\n".join(TENSORS.split("\n")[k] for k in (2, 0, 1))),
        "declarations are read in the order of inputs, hidden nodes, outputs",
    ),
    "network's name": (("-network f", "-network 300_ieee.b-c"), "the network's name 300_ieee.b-c is no"),
}  # fmt: skip


def said(prop: ParsedProperty) -> object:
    tensors = [(t.name, t.type, t.shape, t.kind, t.start, t.node) for n in prop.networks for t in n.tensors]
    numbers = [prop.holds_at([x] * 6, [0.0] * 6)[0] for x in (1.0, 1.5, 1.5000001)]
    return sorted(tensors), numbers, prop.inputs, prop.outputs


@pytest.mark.parametrize(("change", "note"), READ.values(), ids=READ)
def test_reads(change: tuple[str, str], note: str, caplog: pytest.LogCaptureFixture) -> None:
    letter = LETTER + BOUND
    given = letter.replace(*change)
    assert given != letter
    assert said(parse_property(given, "p.vnnlib")) == said(parse_property(letter, strict=True))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert caplog.messages[0].startswith("p.vnnlib: ") and note in caplog.messages[0]
    with pytest.raises(SpecError, match=r"p\.vnnlib"):
        parse_property(given, "p.vnnlib", strict=True)


@pytest.mark.parametrize("element", ["1", "1e0", "10e-1", "1.", "+1"])
def test_numbers(element: str) -> None:
    prop = parse_property(LETTER + ELEMENT.replace("1.0", element))
    assert [prop.holds_at([x] * 6, [0.0] * 6)[0] for x in (1.0, 1.0000001)] == [True, False]


def test_numbers_that_no_float_reaches() -> None:
    for literal, holds in (("1e400", True), (f"1{'0' * 400}.0", True), ("-1e400", False), ("1e-400", False)):
        prop = parse_property(LETTER + f"(assert (<= X[0,0,0] {literal}))")
        assert prop.holds_at([1.0] * 6, [0.0] * 6)[0] is holds
    assert parse_property(LETTER + "(assert (<= X[0,0,0] 1e-400))").holds_at([0.0] * 6, [0.0] * 6)[0]


def test_equality() -> None:
    prop = parse_property(LETTER + "(assert (= X[0,0,0] 1.5))")
    assert [prop.holds_at([x] * 6, [0.0] * 6)[0] for x in (1.5, 1.25)] == [True, False]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Float32", "float32"), ("float", "float32"), ("F32", "float32"), ("double", "float64"),
        ("half", "float16"), ("FLOAT64", "float64"), ("I64", "int64"), ("UINT8", "uint8"), ("u8", "uint8"),
        ("BF16", "bfloat16"), ("Bool", "bool"), ("Int", "int"),
    ],
)  # fmt: skip
def test_element_types(name: str, kind: str) -> None:
    prop = parse_property(LETTER.replace(" real", f" {name}") + ELEMENT)
    assert {t.type for t in prop.networks[0].tensors} == {kind}


def test_whole_and_real_numbers_are_compared() -> None:
    text = LETTER.replace("X real", "X Int").replace(" real", " Real")
    prop = parse_property(text + "(assert (<= X[0,0,0] Y[0,1]))")
    assert [t.type for t in prop.networks[0].tensors] == ["int", "real", "real"]
    assert prop.holds_at([1.0] * 6, [0.0, 1.0, 0.0, 0.0, 0.0, 0.0])[0]


def test_scalars_and_tensors_of_one_element() -> None:
    for shape, element in (("[]", "Y[0]"), ("[]", "Y"), ("[1]", "Y"), ("[1,1]", "Y[0]"), ("[1,1]", "Y")):
        text = LETTER.replace("[1,4]", shape) + f"(assert (<= {element} 1.0))"
        assert [parse_property(text).holds_at([0.0] * 6, [y, 9.0, 9.0])[0] for y in (1.0, 2.0)] == [
            True,
            False,
        ]


def test_names_of_the_model() -> None:
    text = LETTER.replace("[1,2,3])", '[1,2,3] "in/put")').replace("[1,4])", '[1,4] "out")')
    prop = parse_property(text + ELEMENT)
    assert [t.node for t in prop.networks[0].tensors] == ["in/put", "h;(", "out"]


def test_several_networks_with_odd_names() -> None:
    text = LETTER.replace("-network f", "-network 1-a") + (
        "(declare-network g ( equal-to 1-a) (declare-output B Real [1,4]) (declare-input A Real [1,2,3]))"
    )
    prop = parse_property(text + "(assert (<= A[5] X[0,1,2]))")
    assert [(n.name, n.equal_to) for n in prop.networks] == [("1-a", ""), ("g", "1-a")]
    assert [(t.name, t.start) for t in prop.networks[1].tensors] == [("A", 6), ("B", 6)]
    assert prop.line(prop.offsets[0]) == 7


REFUSED = {
    "no element": ("(assert (<= X[6] 1.0))", "7:13: X[6] is no element of X, which is declared [1,2,3]; ind"),
    "two meanings": ("(assert (<= X[1,0,0,2] 1.0))", "7:13: X[1,0,0,2] is no element of X"),
    "a part": ("(assert (<= X 1.0))", "7:13: X is no element of X"),
    "behind other changes": ("(assert (<= X[5] 1e-10 3.0))", "7:24: syntax error at '3.0'"),
    "undeclared": ("\n(assert (<= Z[0] 1e-10))", "8: Z: Undeclared variable"),
    "after a swap": ("(assert (let ((a X[5])) (<= a 1)))", "7:10:"),
}


@pytest.mark.parametrize(("assertion", "message"), REFUSED.values(), ids=REFUSED)
def test_mistakes_are_found_where_they_are(assertion: str, message: str) -> None:
    given = LETTER.replace("real [1,2,3]", "[1,2,3] Real").replace(" real", " Real").replace("<2.0>", "2.0")
    with pytest.raises(SpecError) as caught:
        parse_property(given + assertion, "p.vnnlib")
    assert str(caught.value).startswith(f"p.vnnlib:{message}") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            (" real", " floot"),
            ":3:18: input X: unknown or unsupported element type floot; there are: b",
        ),
        (("[1,2,3])", '[1,2,3] "x")'), ":2:1: network f: Y has no ONNX name, others have; name all or none"),
        (("[1,2,3])", "[1,2,3] initialized)"), "without `initialized`, which is of version 2.1"),
        (("<2.0>", "<3.0>"), "Incompatible VNNLib"),
        ((" real", " Real", 1), "of type real and of type float32"),
    ],
)
def test_refuses(change: tuple[str, str], message: str) -> None:
    text = LETTER.replace("Y real", "Y float32") if "float32" in message else LETTER
    with pytest.raises(SpecError) as caught:
        parse_property(text.replace(*change) + ELEMENT, "p.vnnlib")
    assert message in str(caught.value)


def test_large_texts(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    text = LETTER.replace(" real", " Real") + "\n".join(f"(assert (<= X[0,1,{k}] 1.5))" for k in range(3))
    text += "\n(assert (<= X[0] 2.5))\n"
    plain = parse_property(text)
    monkeypatch.setattr(second, "LARGE", 0)
    quick = parse_property(text)
    assert set(quick.assertions) == set(plain.assertions) and set(quick.offsets) == set(plain.offsets)
    assert caplog.messages[:2] == caplog.messages[2:]
