# SPDX-License-Identifier: Apache-2.0
"""The judge of witnesses: inside the box to the last bit, by the numbers of the text itself."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from vnnverify import Backend, Context, Deadline, NoOptions, Outcome, Query, Verdict
from vnnverify.engine.runner import make_context
from vnnverify.engine.schedule import sequence
from vnnverify.engine.strategy import decide
from vnnverify.importer import read_model
from vnnverify.loading.loader import build_query
from vnnverify.query import Replay
from vnnverify.testing import Network
from vnnverify.vnnlib import parse_property

IDENTITY = Network.of(([[1.0]], [0.0]))


def asked(data: bytes, inputs: int, outputs: int, *assertions: str, opaque: bool = False) -> Query:
    names = [f"X_{k}" for k in range(inputs)] + [f"Y_{k}" for k in range(outputs)]
    text = "".join(f"(declare-const {name} Real)\n" for name in names)
    text += "".join(f"(assert {a})\n" for a in assertions)
    return build_query(read_model(data, opaque=opaque), parse_property(text))


def of_identity(*assertions: str) -> Query:
    """A query about y = x in float32."""
    return asked(IDENTITY.to_onnx(), 1, 1, *assertions)


def replay(query: Query, *x: float) -> Replay:
    return query.source.replay(torch.tensor(x, dtype=torch.float64))


def typed(kind: int, constant: np.ndarray | None = None) -> bytes:
    """y = x + constant, or y = float(x), for an input X of shape (1, 1) and this type."""
    if constant is None:
        node, out = helper.make_node("Cast", ["X"], ["Y"], to=TensorProto.FLOAT), TensorProto.FLOAT
    else:
        node, out = helper.make_node("Add", ["X", "c"], ["Y"]), kind
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("X", kind, [1, 1])],
        [helper.make_tensor_value_info("Y", out, [1, 1])],
        [] if constant is None else [numpy_helper.from_array(constant, "c")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def intervals(count: int, seed: int) -> list[tuple[str, str]]:
    """Decimal intervals of all magnitudes, each with a float32 inside, many with only one or two."""
    rng = random.Random(seed)
    found = []
    while len(found) < count:
        middle = float(np.float32(rng.uniform(-1, 1) * 10.0 ** rng.randint(-44, 37)))
        ulp = float(np.spacing(np.float32(abs(middle))))
        low, high = (repr(middle + sign * ulp * rng.choice([0, 1e-8, 0.3, 1, 3, 1e4])) for sign in (-1, 1))
        if Fraction(low) <= Fraction(middle) <= Fraction(high):
            found.append((low, high))
    return found


def test_a_confirmed_point_is_not_judged_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend asks about it, then the runner does; a million bounds take seconds each time."""
    query = of_identity("(>= X_0 0)", "(<= X_0 1)", "(<= Y_0 0.5)")
    first = replay(query, 0.25)
    assert first.valid and not replay(query, 0.75).valid
    monkeypatch.setattr(type(query.source), "_judge", lambda *_: pytest.fail("judged again"))
    assert replay(query, 0.25) is first


@pytest.mark.parametrize("where", ["lower", "upper", "below", "above", "inside"])
def test_point_is_rounded_into_the_box_of_the_text(where: str) -> None:
    boxes = intervals(200, seed=1)
    n = len(boxes)
    sums = Network.of(([[0.0] * n], [0.0]))
    bounds = [a for k, (low, high) in enumerate(boxes) for a in (f"(>= X_{k} {low})", f"(<= X_{k} {high})")]
    query = asked(sums.to_onnx(), n, 1, *bounds, "(<= Y_0 0)")
    lower, upper = query.clauses[0].region.lower, query.clauses[0].region.upper
    x = {
        "lower": lower,
        "upper": upper,
        "below": lower - lower.abs() - 1,
        "above": upper + upper.abs() + 1,
        "inside": lower + (upper - lower) / 3,
    }[where]
    answer = query.source.replay(x)
    assert answer.valid, answer.reason
    assert answer.rounded == 0
    for value, (low, high) in zip(answer.x, boxes, strict=True):
        assert float(np.float32(value)) == value
        assert Fraction(low) <= Fraction(value) <= Fraction(high)


@pytest.mark.parametrize(
    ("assertions", "x", "expected"),
    [
        (("(>= X_0 0.5)", "(<= X_0 0.75)"), 0.5, 0.5),
        (("(> X_0 0.5)", "(< X_0 0.75)"), 0.5, float(np.nextafter(np.float32(0.5), np.float32(1)))),
        (("(> X_0 0.5)", "(< X_0 0.75)"), 0.75, float(np.nextafter(np.float32(0.75), np.float32(0)))),
        # the bound lies between 0.5 and the next float64: the box begins at 0.5, the interval does not
        (
            ("(>= X_0 0.50000000000000001)", "(<= X_0 1)"),
            0.5,
            float(np.nextafter(np.float32(0.5), np.float32(1))),
        ),
        (("(>= X_0 0)", "(<= X_0 1e39)"), 1e39, float(np.finfo(np.float32).max)),
        (("(>= X_0 -1e39)", "(<= X_0 0)"), -1e39, float(np.finfo(np.float32).min)),
    ],
)
def test_ends_of_the_box(assertions: Sequence[str], x: float, expected: float) -> None:
    answer = replay(of_identity(*assertions, "(<= Y_0 1e39)"), x)
    assert answer.valid, answer.reason
    assert answer.x == (expected,) and answer.rounded == 0


@pytest.mark.parametrize("decimal", ["0.1", "-0.3", "1e-46", "16777217", "1.00000000001"])
def test_a_decimal_that_is_no_number_of_the_models_type_means_its_nearest(decimal: str) -> None:
    """If the decimal itself is unsafe as well."""
    query = of_identity(f"(>= X_0 {decimal})", f"(<= X_0 {decimal})", "(>= Y_0 -1)")
    answer = replay(query, float(decimal))
    assert answer.valid, answer.reason
    assert answer.x == answer.y == (float(np.float32(float(decimal))),)
    assert answer.rounded == 1


@pytest.mark.parametrize(
    ("decimal", "unsafe"),
    [
        ("16777217", "(<= Y_0 16777216.5)"),
        ("0.1", "(> Y_0 0.1)"),
        ("0.1", "(>= Y_0 0.1000000001)"),
        ("0.1", "(= Y_0 0.100000001490116119384765625)"),
        ("-0.3", "(<= Y_0 -0.300000001)"),
        ("0.1", "(> Y_0 X_0)"),
    ],
)
def test_a_decimal_is_not_unsafe_just_because_its_nearest_number_is(decimal: str, unsafe: str) -> None:
    answer = replay(of_identity(f"(= X_0 {decimal})", unsafe), float(decimal))
    assert not answer.valid
    answer = replay(of_identity(f"(>= X_0 {decimal})", "(<= X_0 1e9)", "(>= Y_0 -1)"), float(decimal))
    assert answer.valid, answer.reason


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("0.1", "0.10000000000000001"),
        ("1e-46", "2e-46"),
        ("16777216.5", "16777217.5"),
        ("1e39", "2e39"),
        ("-2e39", "-1e39"),
        ("3.4028235e38", "3.5e38"),
        ("1e39", "1e39"),
    ],
)
def test_interval_without_a_number_of_the_models_type_has_no_witness(low: str, high: str) -> None:
    query = of_identity(f"(>= X_0 {low})", f"(<= X_0 {high})", "(or (>= Y_0 0) (<= Y_0 0))")
    for x in (float(low), float(high), 0.0):
        answer = replay(query, x)
        assert (answer.valid, answer.reason) == (False, "no float32 lies between the bounds of X_0")


@pytest.mark.parametrize(
    ("kind", "bound", "number"),
    [
        (TensorProto.FLOAT16, "2049", None),
        (TensorProto.FLOAT16, "2050", 2050.0),
        (TensorProto.FLOAT, "2049", 2049.0),
        (TensorProto.FLOAT, "0.1", None),
        (TensorProto.DOUBLE, "16777217", 16777217.0),
    ],
)
def test_each_type_has_its_own_numbers(kind: int, bound: str, number: float | None) -> None:
    """With an upper end a little above: an interval."""
    data = typed(kind)
    query = asked(
        data,
        1,
        1,
        f"(>= X_0 {bound})",
        f"(<= X_0 {bound}.01)" if "." not in bound else f"(<= X_0 {bound}0000000001)",
        "(>= Y_0 0)",
    )
    answer = replay(query, float(bound))
    assert answer.valid is (number is not None)
    assert number is None or answer.x == (number,)


def test_interval_without_a_number_excuses_no_other_input() -> None:
    both = Network.of(([[1.0, 1.0]], [0.0]))
    query = asked(
        both.to_onnx(), 2, 1, "(= X_0 0.1)", "(>= X_1 0)", "(<= X_1 1)", "(>= X_1 0.5)", "(<= Y_0 0.55)"
    )
    answer = replay(query, 0.1, 0.25)
    assert not answer.valid
    assert answer.x[1] == 0.5


def test_float64_model_is_replayed_in_float64() -> None:
    data = typed(TensorProto.DOUBLE, np.array([[0.0]]))
    inside = asked(data, 1, 1, "(>= X_0 0.1)", "(<= X_0 0.3)", "(>= Y_0 0.1)")
    answer = replay(inside, 0.2)
    assert answer.valid and answer.x == answer.y == (0.2,)
    answer = replay(asked(data, 1, 1, "(>= X_0 0.1)", "(<= X_0 0.1)", "(>= Y_0 0)"), 0.1)
    assert answer.valid, answer.reason
    assert answer.x == (0.1,) and answer.rounded == 1


def test_float64_interval_between_two_neighbours_means_its_nearest_number() -> None:
    """0.3 lies between two float64 numbers, of which it is nearer to the smaller: only that one will do."""
    data = typed(TensorProto.DOUBLE, np.array([[0.0]]))
    query = asked(data, 1, 1, "(= X_0 0.3)", "(>= Y_0 0)")
    for x in (0.3, float(np.nextafter(0.3, 1)), 7.0):
        answer = replay(query, x)
        assert answer.valid and answer.x == (0.3,) and answer.rounded == 1


def test_of_two_neighbours_the_one_in_the_interval_is_taken() -> None:
    """The first float32 above 1/2 lies just outside the interval, the second just inside, nothing between."""
    a = np.nextafter(np.float32(0.5), np.float32(1))
    b = np.nextafter(a, np.float32(1))
    low, high = Fraction(float(a)) + Fraction(1, 10**30), Fraction(float(b))
    assert len(decimal(low)) > 30
    answer = replay(
        of_identity(f"(>= X_0 {decimal(low)})", f"(<= X_0 {decimal(high)})", "(>= Y_0 0)"), float(a)
    )
    assert answer.valid, answer.reason
    assert answer.x == (float(b),) and answer.rounded == 0


def decimal(value: Fraction) -> str:
    """Its digits, all of them."""
    digits = str(int(value * 10**60)).zfill(61)
    assert Fraction(int(digits), 10**60) == value
    return f"{digits[:-60]}.{digits[-60:]}".rstrip("0")


def test_whole_number_input_has_no_nearest_number(caplog: pytest.LogCaptureFixture) -> None:
    data = typed(TensorProto.INT64)
    between = asked(data, 1, 1, "(>= X_0 0.25)", "(<= X_0 0.75)", "(>= Y_0 -9)", opaque=True)
    assert not between.clauses and "no int64 lies between the bounds of X_0" in caplog.text
    assert replay(between, 0.5).reason == "no disjunct of the property has a non-empty input box"
    wide = asked(data, 1, 1, "(>= X_0 0.25)", "(<= X_0 1.75)", "(>= Y_0 -9)", opaque=True)
    answer = replay(wide, 0.3)
    assert answer.valid, answer.reason
    assert answer.x == answer.y == (1.0,)


def test_whole_number_output_that_is_no_float64_confirms_nothing() -> None:
    """2^53 + 1 as a float64 would be 2^53, and that would be a witness."""
    data = typed(TensorProto.INT64, np.array([[2**53]]))
    query = asked(data, 1, 1, "(>= X_0 0)", "(<= X_0 4)", "(<= Y_0 9007199254740992)", opaque=True)
    assert replay(query, 0.0).valid
    answer = replay(query, 1.0)
    assert (answer.valid, answer.x, answer.reason) == (False, (1.0,), "an output is not finite")
    assert replay(query, 2.0).y == (2.0**53 + 2,)


def test_bfloat16_model_is_replayed_in_bfloat16() -> None:
    query = asked(typed(TensorProto.BFLOAT16), 1, 1, "(>= X_0 256.5)", "(<= X_0 259)", "(>= Y_0 0)")
    answer = replay(query, 257.0)
    assert answer.valid, answer.reason
    assert answer.x == answer.y == (258.0,)
    assert query.source.outputs(torch.tensor([257.4], dtype=torch.float64)) == (258.0,)
    between = asked(typed(TensorProto.BFLOAT16), 1, 1, "(>= X_0 256.5)", "(<= X_0 257.5)", "(>= Y_0 0)")
    assert replay(between, 257.0).reason == "no bfloat16 lies between the bounds of X_0"


TENTH = Fraction(float(np.float32(0.1)))  # a little more than 1/10


@pytest.mark.parametrize(
    ("unsafe", "valid"),
    [
        ("(>= Y_0 0.1)", True),
        ("(> Y_0 0.1)", True),
        ("(<= Y_0 0.1)", False),  # float32 arithmetic would say that they are equal
        ("(= Y_0 0.1)", False),
        ("(<= Y_0 0.100000001490116)", False),
        ("(<= Y_0 0.100000001490116119384765625)", True),
        ("(< Y_0 0.100000001490116119384765625)", False),
        ("(<= Y_0 X_0)", True),
        ("(< Y_0 X_0)", False),
        ("(<= (* 10 Y_0) 1)", False),
        ("(<= (- Y_0 X_0) -1e-30)", False),
        ("(or (<= Y_0 0) (and (>= X_0 0.1) (>= Y_0 0.1)))", True),
    ],
)
def test_property_is_judged_by_the_numbers_of_the_text(unsafe: str, valid: bool) -> None:
    assert Fraction(1, 10) < TENTH == Fraction("0.100000001490116119384765625")
    answer = replay(of_identity("(>= X_0 0)", "(<= X_0 1)", unsafe), float(TENTH))
    assert answer.x == answer.y == (float(TENTH),)
    assert answer.valid is valid
    assert answer.reason == ("" if valid else "the assertion in line 5 does not hold")


def test_point_goes_into_the_nearest_of_several_boxes() -> None:
    query = of_identity(
        "(or (and (>= X_0 0) (<= X_0 1) (>= Y_0 0)) (and (>= X_0 4) (<= X_0 5) (>= Y_0 4.5)))"
    )
    assert len(query.clauses) == 2
    assert replay(query, 1.75).x == (1.0,)
    assert replay(query, 5.5).x == (5.0,)
    assert not replay(query, 3.5).valid  # at 4, where 4.5 is not reached


def test_input_tensors_are_filled_in_order() -> None:
    data = Network.of(([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [0.0] * 3)).to_onnx(apart=True)
    bounds = [f"({sign} X_{k} {end})" for k in range(3) for sign, end in ((">=", -4), ("<=", 4))]
    answer = replay(asked(data, 3, 3, *bounds, "(>= Y_2 3)"), 1.0, 2.0, 3.0)
    assert answer.valid and answer.x == answer.y == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_is_put_into_the_box_or_refused(value: float) -> None:
    answer = replay(of_identity("(>= X_0 0)", "(<= X_0 1)", "(>= Y_0 0)"), value)
    assert answer.valid is not np.isnan(value)
    assert np.isnan(value) or answer.x in ((0.0,), (1.0,))


def test_output_that_overflows_confirms_nothing() -> None:
    large = Network.of(([[2.0**127]], [0.0]))
    query = asked(large.to_onnx(), 1, 1, "(>= X_0 0)", "(<= X_0 4)", "(>= Y_0 1)")
    assert replay(query, 1.0).valid
    answer = replay(query, 4.0)
    assert (answer.valid, answer.reason) == (False, "an output is not finite")


class Liar(Backend[NoOptions]):
    """Says sat at a point of its own choice."""

    def __init__(self, *points: float) -> None:
        super().__init__()
        self.point = torch.tensor(points, dtype=torch.float64)

    def verify(self, query: Query, ctx: Context) -> Outcome:
        return Outcome.sat(self.point)


@pytest.mark.parametrize("point", [0.0, 0.05, float(TENTH), 0.5, 1.0, 7.0, -7.0, float("nan"), 1e300])
def test_lying_backend_is_never_reported_sat(point: float) -> None:
    """y = x reaches 0.1 nowhere on [0, 1] in float32: no number is just that, so no point is a witness."""
    query = of_identity("(>= X_0 0)", "(<= X_0 1)", "(= Y_0 0.1)")
    ctx = make_context(query, Deadline.after(30))
    result = decide(query, sequence(["liar"]), {"liar": Liar(point)}, ctx)
    assert result.verdict is Verdict.UNKNOWN
    assert result.witness is None
    assert not ctx.confirm(torch.tensor([point], dtype=torch.float64))
