# SPDX-License-Identifier: Apache-2.0
"""Properties built in Python: their text says exactly what they mean."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vnnverify.errors import SpecError
from vnnverify.properties import Property
from vnnverify.properties.text import exact
from vnnverify.vnnlib import parse_property

UNIT = Property.box([0.0, 0.0], [1.0, 1.0])
Y = [(a, b, c) for a in (-1.0, 0.0, 0.5, 2.0) for b in (-1.0, 0.0, 0.5, 2.0) for c in (0.0, 0.5)]


def violated(prop: Property, y: tuple[float, ...], x: tuple[float, ...] = (0.5, 0.5)) -> bool:
    """Whether the text is satisfied at (x, y)."""
    return parse_property(prop.to_vnnlib(len(y))).holds_at(x, y)[0]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_written_exactly(value: float) -> None:
    assert Fraction(exact(value)) == Fraction(value)


def test_short_numbers_stay_short() -> None:
    assert [exact(v) for v in (0.5, -1.0, 0.0, 3e8)] == ["0.5", "-1.0", "0.0", "300000000.0"]
    assert exact(0.1) == "0.1000000000000000055511151231257827021181583404541015625"


@pytest.mark.parametrize("y", Y)
def test_what_violates_each_requirement(y: tuple[float, ...]) -> None:
    A, b = np.array([[1.0, -2.0, 0.0], [0.0, 0.0, 1.0]]), np.array([0.25, 0.25])
    within = all(A @ y <= b)
    assert violated(UNIT.keeps_class(1), y) == (max(y[0], y[2]) >= y[1])
    assert violated(UNIT.keeps_class(1, margin=0.5), y) == (max(y[0], y[2]) + 0.5 >= y[1])
    assert violated(UNIT.avoids_class(0), y) == (y[0] >= max(y[1], y[2]))
    assert violated(UNIT.always(A, b), y) == (not within)
    assert violated(UNIT.never(A, b), y) == within
    bounds = UNIT.outputs_within(-0.5, [1.0, 1.0, 0.25])
    assert violated(bounds, y) == (not (-0.5 <= y[0] <= 1 and -0.5 <= y[1] <= 1 and -0.5 <= y[2] <= 0.25))
    for low, high in ((-0.5, None), (None, 0.25), (-0.5, 0.25), ([-0.5, 0.0, 0.0], None)):
        least, most = np.array(-np.inf if low is None else low), np.inf if high is None else high
        kept = all((least <= np.array(y)) & (np.array(y) <= most))
        assert violated(UNIT.outputs_within(low, high), y) == (not kept)
        one = None if low is None else -0.5
        inside = (one is None or y[1] >= one) and (high is None or y[1] <= high)
        assert violated(UNIT.output_range(1, one, high), y) == (not inside)
    both = UNIT.never(A, b).keeps_class(1)
    assert violated(both, y) == (within or max(y[0], y[2]) >= y[1])


def test_regions_of_a_conjunction_keep_their_own_requirements() -> None:
    left = Property.box([0, 0], [0.4, 1]).always([1.0], 0.0)
    right = Property.box([0.6, 0], [1, 1]).always([-1.0], 0.0)
    both = left & right
    assert (violated(both, (1.0,), (0.2, 0.5)), violated(both, (-1.0,), (0.2, 0.5))) == (True, False)
    assert (violated(both, (1.0,), (0.8, 0.5)), violated(both, (-1.0,), (0.8, 0.5))) == (False, True)
    assert not violated(both, (1.0,), (0.5, 0.5))
    more = both.always([1.0], 5.0)
    assert violated(more, (6.0,), (0.8, 0.5)) and violated(more, (6.0,), (0.2, 0.5))


def test_linear_rows_cut_the_region() -> None:
    cut = UNIT.where([1.0, 1.0], 1.0).always([1.0], 0.0)
    assert violated(cut, (1.0,), (0.5, 0.5)) and not violated(cut, (1.0,), (0.75, 0.5))


@pytest.mark.parametrize("kind", [np.array, torch.tensor, list], ids=["array", "tensor", "list"])
def test_ball_holds_its_float32_numbers_and_stays_in_the_clip(kind: type) -> None:
    x = np.array([0.1, 0.9, 0.5], dtype=np.float32)
    ball = Property.linf_ball(kind(x.tolist()) if kind is list else kind(x), 0.2, clip=(0, 1)).never([1.0], 0)
    (case,) = ball.cases
    assert case.region.lower[0] == 0.0 and case.region.upper[1] == 1.0
    point = Property.linf_ball(x, 0.0).always([1.0], 0.0)
    assert violated(point, (1.0,), tuple(map(float, x)))
    assert ball.shape == (3,)


def test_tensor_that_requires_a_gradient_is_taken() -> None:
    x = torch.zeros(1, 2, dtype=torch.bfloat16, requires_grad=True)
    assert Property.linf_ball(x, 0.5).shape == (1, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Property.box([0, 1], [1, 0]), "input 1: the lower bound 1.0 is above the upper bound 0.0"),
        (lambda: Property.box([0, 1], [1, 1, 1]), r"lower has shape \(2,\), upper \(3,\)"),
        (lambda: Property.box([0, np.nan], [1, 1]), "lower holds a number that is not finite"),
        (lambda: Property.box("a", 1), "lower is not an array of numbers"),
        (lambda: Property.box([], []), "the box has no inputs"),
        (lambda: Property.linf_ball([0.0], -1.0), "eps is negative"),
        (lambda: Property.linf_ball([2.0], 0.1, clip=(0, 1)), "lower bound 1.9 is above the upper bound 1.0"),
        (lambda: UNIT.to_vnnlib(2), "requires nothing of the outputs"),
        (
            lambda: UNIT.keeps_class(1).to_vnnlib(),
            r"how many outputs are there\? give keeps_class\(label, classes=10",
        ),
        (lambda: UNIT.outputs_within(0).to_vnnlib(), "how many outputs are there"),
        (lambda: UNIT.outputs_within(), "give lower, upper, or both"),
        (lambda: UNIT.outputs_within(1, 0), "a lower bound is above its upper bound"),
        (lambda: UNIT.outputs_within([1, 0], [1, 2, 3]), r"lower has shape \(2,\), upper \(3,\)"),
        (lambda: UNIT.outputs_within([1, 0]).to_vnnlib(3), "speaks of 2 outputs, the model has 3"),
        (lambda: UNIT.output_range(3, 0, 1).to_vnnlib(3), "output 3: the network has outputs Y_0 to Y_2"),
        (lambda: UNIT.output_range(0, [0, 1]), "output_range is about one output"),
        (lambda: UNIT.output_range(0.5, 0), "output 0.5: expected a whole number from 0"),
        (lambda: UNIT.keeps_class(2).to_vnnlib(2), "class 2: the network has outputs Y_0 to Y_1"),
        (lambda: UNIT.keeps_class(0).to_vnnlib(1), "no other class"),
        (lambda: UNIT.keeps_class(-1), "expected a whole number"),
        (lambda: UNIT.keeps_class(0, classes=3).to_vnnlib(2), "speaks of 3 outputs, the model has 2"),
        (lambda: UNIT.keeps_class(0, classes=3).always([1.0, 0], 0).to_vnnlib(), "speak of 2 and 3 outputs"),
        (lambda: UNIT.always([[1.0, 2.0]], [1.0, 2.0]), r"shapes \(1, 2\) and \(2,\)"),
        (lambda: UNIT.where([1.0], 0.0), "A has 1 columns for 2 inputs"),
        (lambda: UNIT & Property.box([0], [1]), "have 2 and 1 inputs"),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        make()  # type: ignore[operator]


def test_save_writes_the_text(tmp_path: Path) -> None:
    prop = UNIT.keeps_class(1)
    prop.save(tmp_path / "p.vnnlib", outputs=3)
    assert (tmp_path / "p.vnnlib").read_text() == prop.to_vnnlib(3)
    assert repr(prop) == "<Property: 2 inputs, 1 regions, 1 requirements>"


@pytest.mark.parametrize(("norm", "inside", "outside"), [
    ("l2_ball", [(0.375, 0.5), (0.625, 0.0)], [(0.375, 0.5 + 1e-15), (0.5, 0.5)]),
    ("l1_ball", [(0.375, 0.25), (0.625, 0.0)], [(0.375, 0.25 + 1e-15), (0.5, 0.5)]),
])  # fmt: skip
def test_balls_hold_exactly_what_is_near(
    norm: str, inside: list[tuple[float, float]], outside: list[tuple[float, float]]
) -> None:
    prop = getattr(Property, norm)([0.0, 0.0], 0.625).outputs_within(lower=0)
    assert [violated(prop, (-1.0,), x) for x in inside] == [True, True]
    assert [violated(prop, (-1.0,), x) for x in outside] == [False, False]
    assert not violated(prop, (1.0,), inside[0])


@pytest.mark.parametrize("norm", ["l1_ball", "l2_ball"])
def test_balls_are_cut_and_checked(norm: str) -> None:
    ball = getattr(Property, norm)
    cut = ball([0.25, 0.5], 0.5, clip=(0, 1)).outputs_within(lower=0)
    assert violated(cut, (-1.0,), (0.0, 0.5)) and not violated(cut, (-1.0,), (-0.125, 0.5))
    assert ball([[0.0], [0.0]], 0.1).shape == (2, 1)
    for bad in (lambda: ball([0.0], -1), lambda: ball([0.0], [1, 2]), lambda: ball([0.0], float("nan"))):
        with pytest.raises(SpecError, match="eps"):
            bad()


def test_l1_balls_of_many_inputs_cannot_be_written() -> None:
    with pytest.raises(SpecError, match=r"L1 ball of 9 inputs cannot be written .*vnnverify\.bounds"):
        Property.l1_ball([0.0] * 9, 1).outputs_within(lower=0).to_vnnlib(1)
