# SPDX-License-Identifier: Apache-2.0
"""Properties about two runs: their text says exactly what they mean, to the letter of VNN-LIB 2.0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vnnverify.errors import SpecError
from vnnverify.properties import Interface, Property, RelationalProperty
from vnnverify.vnnlib import parse_property

UNIT = Property.box(np.zeros((1, 3)), np.ones((1, 3)))


def violated(
    prop: RelationalProperty, x: tuple[float, ...], other: tuple[float, ...], y: tuple[float, ...]
) -> bool:
    """Whether the text is satisfied by runs with inputs x and other, and all outputs y."""
    text = prop.to_vnnlib(len(y) // 2)
    return parse_property(text, strict=True).holds_at([*x, *other], list(y))[0]


X = (0.25, 0.5, 0.75)


@pytest.mark.parametrize(
    ("other", "y", "rises", "falls"),
    [
        ((0.25, 0.75, 0.75), (9.0, 1.0, 0.0, 0.9), True, False),
        ((0.25, 0.75, 0.75), (0.0, 1.0, 9.0, 1.1), False, True),
        ((0.25, 0.75, 0.75), (0.0, 1.0, 9.0, 1.0), False, False),
        ((0.25, 0.25, 0.75), (9.0, 1.0, 0.0, 0.0), False, False),
        ((0.5, 0.75, 0.75), (9.0, 1.0, 0.0, 0.0), False, False),
        ((0.25, 1.25, 0.75), (9.0, 1.0, 0.0, 0.0), False, False),
    ],
)
def test_monotone(other: tuple[float, ...], y: tuple[float, ...], rises: bool, falls: bool) -> None:
    assert violated(UNIT.monotone(1, 1), X, other, y) is rises
    assert violated(UNIT.monotone((0, 1), 1), X, other, y) is rises
    assert violated(UNIT.monotone(1, 1, decreasing=True), X, other, y) is falls
    assert violated(UNIT.monotone(1, 1, tolerance=0.5), X, other, y) is (rises and y[1] - y[3] > 0.5)


def test_both_runs_lie_in_one_region() -> None:
    two = Property.box([0, 0], [1, 1]).never([1.0], 0)  # only to be joined
    left, right = ({"lower": [a, 0], "upper": [a + 1, 1]} for a in (0, 2))
    both = Property.box(**left).always([1.0], 0) & Property.box(**right).always([1.0], 0)
    with pytest.raises(SpecError, match="a property about two runs says nothing else"):
        both.monotone(0, 0)
    with pytest.raises(SpecError, match="a property about two runs says nothing else"):
        two.equal_outputs()
    joined = (Property.box(**left) & Property.box(**right)).monotone(0, 0)
    assert violated(joined, (0.5, 0.0), (1.0, 0.0), (1.0, 0.0))
    assert violated(joined, (2.5, 0.0), (3.0, 0.0), (1.0, 0.0))
    assert not violated(joined, (0.5, 0.0), (2.5, 0.0), (1.0, 0.0))
    cut = Property.box(**left).where([1.0, 1.0], 1.0).monotone(0, 0)
    assert violated(cut, (0.25, 0.5), (0.5, 0.5), (1.0, 0.0))
    assert not violated(cut, (0.25, 0.5), (0.75, 0.5), (1.0, 0.0))


@pytest.mark.parametrize(
    ("y", "differs", "by_half"),
    [
        ((1.0, 2.0, 1.0, 2.0), False, False),
        ((1.0, 2.0, 1.25, 2.0), True, False),
        ((1.0, 2.0, 1.0, 1.0), True, True),
    ],
)
def test_equal_outputs(y: tuple[float, ...], differs: bool, by_half: bool) -> None:
    assert violated(UNIT.equal_outputs(), X, X, y) is differs
    assert violated(UNIT.equal_outputs(0.5), X, X, y) is by_half
    assert not violated(UNIT.equal_outputs(), X, (0.25, 0.5, 0.5), y)


def test_the_text_has_the_models_shapes() -> None:
    one, other = Interface(((1, 2), (1,)), ((1, 2),)), Interface(((3,),), ((), (1, 1)))
    text = UNIT.equal_outputs(networks=("old", "new")).to_vnnlib(models=[one, other])
    prop = parse_property(text, strict=True)
    assert [(t.name, t.type, t.shape) for n in prop.networks for t in n.tensors] == [
        ("X_old_0", "real", (1, 2)), ("X_old_1", "real", (1,)), ("Y_old", "real", (1, 2)),
        ("X_new", "real", (3,)), ("Y_new_0", "real", ()), ("Y_new_1", "real", (1, 1)),
    ]  # fmt: skip
    assert [n.equal_to for n in prop.networks] == ["", ""]
    mono = parse_property(UNIT.monotone(0, 0).to_vnnlib(models=[one]), strict=True)
    assert [n.equal_to for n in mono.networks] == ["", "f"]


def test_small_numbers_have_no_exponent() -> None:
    text = Property.box([1e-30], [1e30]).equal_outputs(1e-9).to_vnnlib(1)
    bounds = parse_property(text, strict=True)
    assert bounds.holds_at([1e-30, 1e-30], [1.0, 1.0 + 2e-9])[0]
    assert not bounds.holds_at([0.9e-30, 0.9e-30], [1.0, 2.0])[0]
    assert not bounds.holds_at([1e-30, 1e-30], [1.0, 1.0 + 0.9e-9])[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UNIT.monotone(3, 0), r"input 3: the region has the shape \[3\]"),
        (lambda: UNIT.monotone((0, 3), 0), r"input \(0, 3\): the region has the shape \[1, 3\]"),
        (lambda: UNIT.monotone((0,), 0), r"input \(0,\): the region has the shape \[1, 3\]"),
        (lambda: UNIT.monotone(-1, 0), "input -1: expected a whole number from 0"),
        (lambda: UNIT.monotone(0, "y"), "output 'y': expected a whole number from 0"),
        (lambda: UNIT.monotone(0, 2).to_vnnlib(2), "output 2: the network has outputs 0 to 1"),
        (
            lambda: UNIT.monotone(0, 0).to_vnnlib(),
            r"how many outputs are there\? give save\(path, outputs=10\)",
        ),
        (lambda: UNIT.equal_outputs(-1), "tolerance -1: expected a number, zero or more"),
        (lambda: UNIT.equal_outputs(networks=("f", "f")), "expected two names"),
        (lambda: UNIT.equal_outputs(networks=("f", "2")), "expected two names"),
        (
            lambda: UNIT.equal_outputs().to_vnnlib(models=[Interface(((3,),), ((k,),)) for k in (1, 2)]),
            "the networks f and g have 1 and 2 outputs",
        ),
        (
            lambda: UNIT.equal_outputs().to_vnnlib(models=[Interface(((2,),), ((2,),))]),
            "the property has 3 inputs, network f has 2",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        make()  # type: ignore[operator]


def test_save(tmp_path: Path) -> None:
    prop = UNIT.monotone(0, 0)
    prop.save(tmp_path / "p.vnnlib", outputs=2)
    assert (tmp_path / "p.vnnlib").read_text() == prop.to_vnnlib(2)
    assert repr(prop) == "<RelationalProperty: Monotone, 3 inputs, 1 regions>"
