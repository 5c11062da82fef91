# SPDX-License-Identifier: Apache-2.0
"""Inputs that a model cuts to whole numbers before it does anything else with them."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from vnnverify.importer import read_model
from vnnverify.loading.loader import load_query

PLACES = """
    <ir_version: 8, opset_import: ["" : 13]>
    g (float[4] x) => (float[1] y)
    <int64[1] two = {2}, int64[1] four = {4}, int64 three = {3}, int64[1] all = {-1}>
    {
"""
"""A model of x_0 … x_3; x_2 and x_3 tell places."""


def model(body: str) -> bytes:
    text = PLACES + body + "}"
    data: bytes = onnx.parser.parse_model(text).SerializeToString()
    return data


@pytest.mark.parametrize(
    ("body", "truncated"),
    [
        (
            """tail = Slice(x, two, four)  moved = Reshape(tail, all)  k = Cast<to = 7>(moved)
            f = Cast<to = 1>(k)  y = ReduceSum<keepdims = 1>(f)""",
            (0, 1, 2, 3),  # the first two are not read at all
        ),
        (
            """tail = Slice(x, two, four)  k = Cast<to = 6>(tail)  f = Cast<to = 1>(k)
            s = ReduceSum<keepdims = 1>(f)  t = ReduceSum<keepdims = 1>(x)  y = Add(s, t)""",
            (),
        ),
        (
            """one = Gather(x, three)  k = Cast<to = 7>(one)  f = Cast<to = 1>(k)
            head = Slice(x, all, four)  s = Floor(head)  y = Add(s, f)""",
            (0, 1, 2),  # Slice from −1 is x_3: Floor is not what a cast does
        ),
        (
            """place = Gather(x, three)  k = Cast<to = 7>(place)  one = Gather(x, k)
            f = Cast<to = 7>(one)  h = Cast<to = 1>(f)  y = Reshape(h, all)""",
            (),  # which element is moved is computed
        ),
        (
            """k = Cast<to = 7>(x)  f = Cast<to = 1>(k)  s = ReduceSum<keepdims = 1>(f)
            tail = Slice(x, two, four)  t = ReduceSum<keepdims = 1>(tail)  y = Add(s, t)""",
            (0, 1),
        ),
    ],
)
def test_what_is_read_but_for_its_fraction_is_found(body: str, truncated: tuple[int, ...]) -> None:
    assert read_model(model(body), opaque=True).truncated == truncated


def test_a_property_about_inputs_and_outputs_together_reads_their_fractions(tmp_path: Path) -> None:
    body = "k = Cast<to = 7>(x)  f = Cast<to = 1>(k)  y = ReduceSum<keepdims = 1>(f)"
    (tmp_path / "m.onnx").write_bytes(model(body))
    declared = "".join(f"(declare-const X_{k} Real)\n" for k in range(4)) + "(declare-const Y_0 Real)\n"
    bounds = "".join(f"(assert (>= X_{k} 0))(assert (<= X_{k} 3))\n" for k in range(4))
    for row, expected in (("(<= Y_0 1)", (0, 1, 2, 3)), ("(<= Y_0 X_0)", ())):
        (tmp_path / "p.vnnlib").write_text(f"{declared}{bounds}(assert {row})\n")
        assert load_query(str(tmp_path / "m.onnx"), str(tmp_path / "p.vnnlib")).truncated == expected
