# SPDX-License-Identifier: Apache-2.0
"""Sequences of tensors are resolved while a model is read, as onnxruntime resolves them when it runs."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest
import torch

from vnnverify.errors import ModelError, UnsupportedModelError
from vnnverify.guard.agreement import check_against_onnxruntime
from vnnverify.importer import read_model
from vnnverify.importer.sequences import SEQUENCES
from vnnverify.plugin.capabilities import built_in_operators

PLACES = """<ir_version: 9, opset_import: ["" : 18]> g (float[3, 4] x) => (float[a, b] y)
<int64 zero = {0}, int64 one = {1}, int64 last = {-1}, int64 two = {2}, int64 three = {3}, int64 far = {7},
 int64[2] parts = {1, 3}, int64[1] alone = {2}, int64[1] whole = {4}, int64[3] none = {1, 0, 3},
 int64[1] first = {0}, int64[1] second = {1}, int64[1] end = {-1},
 float[3, 4] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}> {
"""
"""A model of x (3, 4) and a constant of that shape."""

Model = Callable[[str], bytes]


@pytest.fixture
def model() -> Model:
    """Bytes of a model of these nodes, from x to y."""

    def make(body: str) -> bytes:
        data: bytes = onnx.parser.parse_model(PLACES + body + "}").SerializeToString()
        return data

    return make


READ = {
    "joined": "r = Relu(x)  s = SequenceConstruct(x, r)  y = ConcatFromSequence<axis = 1>(s)",
    "joined at the end": "s = SequenceConstruct(x, w)  y = ConcatFromSequence<axis = -1>(s)",
    "stacked": "s = SequenceConstruct(x, w)  t = ConcatFromSequence<axis = 1, new_axis = 1>(s)  "
    "y = ReduceSum<keepdims = 0>(t, second)",
    "stacked at the end": "s = SequenceConstruct(x, w)  t = ConcatFromSequence<axis = -1, new_axis = 1>(s)  "
    "y = ReduceMax<keepdims = 0>(t, end)",
    "constants": "s = SequenceConstruct(w, w)  t = ConcatFromSequence<axis = 0, new_axis = 1>(s)  "
    "u = ReduceSum<keepdims = 0>(t, first)  y = Add(x, u)",
    "at": "s = SequenceConstruct(x, w)  a = SequenceAt(s, one)  b = SequenceAt(s, zero)  y = Sub(a, b)",
    "at from the end": "r = Relu(x)  s = SequenceConstruct(x, r)  y = SequenceAt(s, last)",
    "length": "s = SequenceConstruct(x, w, x)  n = SequenceLength(s)  f = Cast<to = 1>(n)  y = Mul(x, f)",
    "empty": "e = SequenceEmpty()  n = SequenceLength(e)  f = Cast<to = 1>(n)  y = Add(x, f)",
    "inserted": "e = SequenceEmpty<dtype = 1>()  r = Relu(x)  s = SequenceInsert(e, x)  "
    "t = SequenceInsert(s, r)  u = SequenceInsert(t, w, zero)  v = SequenceInsert(u, w, last)  "
    "y = ConcatFromSequence<axis = 0>(v)",
    "erased": "r = Relu(x)  s = SequenceConstruct(x, w, r)  t = SequenceErase(s, one)  "
    "u = SequenceErase(s)  v = SequenceErase(s, last)  a = ConcatFromSequence<axis = 0>(t)  "
    "b = ConcatFromSequence<axis = 0>(u)  c = ConcatFromSequence<axis = 0>(v)  "
    "y = Concat<axis = 0>(a, b, c)",
    "slices": "s = SplitToSequence<axis = 0>(x)  y = SequenceAt(s, two)",
    "slices without axis": "s = SplitToSequence<axis = 1, keepdims = 0>(x)  t = ConcatFromSequence<axis = 1, "
    "new_axis = 1>(s)  a = SequenceAt(s, three)  b = Unsqueeze(a, one)  y = Add(t, b)",
    "pieces": "s = SplitToSequence<axis = -1>(x, three)  y = SequenceAt(s, one)",
    "pieces keep their axis": "s = SplitToSequence<axis = 1, keepdims = 0>(x, one)  y = SequenceAt(s, one)",
    "sizes": "s = SplitToSequence<axis = 1>(x, parts)  y = SequenceAt(s, one)",
    "sizes with none": "s = SplitToSequence<axis = 1>(x, none)  n = SequenceLength(s)  f = Cast<to = 1>(n)  "
    "a = SequenceAt(s, last)  y = Mul(a, f)",
    "one size": "s = SplitToSequence<axis = 1>(x, whole)  y = SequenceAt(s, zero)",
    "constant pieces": "s = SplitToSequence<axis = 0>(w, one)  a = SequenceAt(s, two)  y = Add(x, a)",
    "handed on": "s = SequenceConstruct(x, w)  t = Identity(s)  y = ConcatFromSequence<axis = 0>(t)",
    "optional": "o = Optional(x)  b = OptionalHasElement(o)  c = Cast<to = 1>(b)  v = OptionalGetElement(o)  "
    "y = Mul(v, c)",
    "of a tensor": "b = OptionalHasElement(x)  v = OptionalGetElement(x)  y = Where(b, v, w)",
    "an absent one": "b = OptionalHasElement()  y = Where(b, w, x)",
    "chosen": "s = SequenceConstruct(x, w)  n = SequenceLength(s)  c = Equal(n, two)  y = If(c)"
    "<then_branch = a () => (float[p, q] u) {u = ConcatFromSequence<axis = 1>(s)}, "
    "else_branch = b () => (float[r, t] v) "
    "{v = ConcatFromSequence<axis = 0>(s)}>",
    "gathered by a loop": "e = SequenceEmpty<dtype = 1>()  c = Cast<to = 9>(one)  s = Loop(three, c, e)<body"
    " = l (int64 i, bool go, seq(float[p, q]) before) => (bool more, seq(float[r, t]) after) {"
    "more = Identity(go)  k = Cast<to = 1>(i)  m = Mul(x, k)  after = SequenceInsert(before, m)}>  "
    "y = ConcatFromSequence<axis = 0>(s)",
    "mapped": "r = Relu(x)  s = SequenceConstruct(x, r)  t = SequenceMap(s, w)<body = m (float[p, q] a, "
    "float[r, t] b) => (float[u, v] c) {c = Sub(a, b)}>  y = ConcatFromSequence<axis = 0>(t)",
}


@pytest.mark.parametrize("body", READ.values(), ids=READ.keys())
def test_read_as_onnxruntime_runs_it(model: Model, body: str) -> None:
    found = read_model(model(body))
    points = torch.randn(3, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert check_against_onnxruntime(found, points) < 1e-6


REFUSED = {
    "s = SequenceConstruct(x)  y = SequenceAt(s, far)": "place 7 is not in a sequence of 1",
    "s = SplitToSequence<axis = 1>(x, parts)  y = SequenceAt(s, two)": "place 2 is not in a sequence of 2",
    "e = SequenceEmpty()  y = ConcatFromSequence<axis = 0>(e)": "joins the tensors of an empty sequence",
    "s = SplitToSequence<axis = 1>(x, alone)  y = SequenceAt(s, zero)": r"splits 4 into \[2\]",
    "s = SplitToSequence<axis = 1>(x, zero)  y = SequenceAt(s, zero)": "splits into pieces of 0",
}


@pytest.mark.parametrize(("body", "text"), REFUSED.items(), ids=REFUSED.values())
def test_impossible_ones_are_errors(model: Model, body: str, text: str) -> None:
    with pytest.raises(ModelError, match=rf"node '\w+_1' \(\w+\): {text}|node '\w+_0' \(\w+\): {text}"):
        read_model(model(body))


def test_computed_place_is_refused(model: Model) -> None:
    body = """a = ArgMax<axis = 1, keepdims = 0>(x)  b = ReduceMax<keepdims = 0>(a)
    s = SequenceConstruct(x, w)  y = SequenceAt(s, b)"""
    with pytest.raises(
        UnsupportedModelError, match="a place in a sequence computed from the network's input"
    ):
        read_model(model(body))


def test_the_operators_are_listed() -> None:
    assert {*SEQUENCES, "SequenceMap"} <= set(built_in_operators())
