# SPDX-License-Identifier: Apache-2.0
"""Declared tensors that mean the model's elements in order are taken so, with a warning; no others are."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from vnnverify.errors import SpecError, VnnverifyError
from vnnverify.loading.fitting import same_order
from vnnverify.loading.loader import load_query
from vnnverify.query import Query

Load = Callable[..., Query]
WEIGHT = np.arange(1.0, 7.0, dtype=np.float32)


@pytest.mark.parametrize(
    ("declared", "found", "same"),
    [
        ((6,), (1, 2, 3), True),
        ((1, 6), (2, 3), True),
        ((6, 1), (1, 2, 3), True),
        ((2, 3), (1, 2, 1, 3), True),
        ((1, 2, 3), (2, 3), True),
        ((), (1, 1), True),
        ((1,), (), True),
        ((3, 2), (2, 3), False),
        ((1, 3, 2), (1, 2, 3), False),
        ((2, 3), (6,), False),
        ((5,), (1, 2, 3), False),
        ((), (2,), False),
    ],
)
def test_same_order(declared: tuple[int, ...], found: tuple[int, ...], same: bool) -> None:
    assert same_order(declared, found) is same


def save(path: Path, shape: list[int | str], kind: int = TensorProto.FLOAT) -> None:
    """Inputs x of a shape and b (1, 1): y = Σ k·x_k + b (2, 1), twice, in two orders; h = k·x inside it."""
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x"], ["c"], to=TensorProto.FLOAT),
            helper.make_node("Reshape", ["c", "flat"], ["f"]),
            helper.make_node("Mul", ["f", "W"], ["h"]),
            helper.make_node("ReduceSum", ["h"], ["s"], keepdims=1),
            helper.make_node("Add", ["s", "b"], ["y"]),
            helper.make_node("Neg", ["y"], ["z"]),
        ],
        "g",
        [
            helper.make_tensor_value_info("x", kind, shape),
            helper.make_tensor_value_info("b", TensorProto.FLOAT, [1, 1]),
        ],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1]),
            helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 1]),
        ],
        [
            numpy_helper.from_array(np.array([1, 6], dtype=np.int64), "flat"),
            numpy_helper.from_array(WEIGHT.reshape(1, 6), "W"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """load(declarations, shape): the query of a property in which x_4 is 1, b is 0.5, and all else is 0."""
    monkeypatch.chdir(tmp_path)

    def build(
        declared: str, element: str, shape: list[int | str], *, strict: bool = False, kind: int = 1
    ) -> Query:
        save(tmp_path / "m.onnx", shape, kind)
        bounds = f"(assert (and (>= {element} 1.0) (<= B 0.5) (>= B 0.5) (>= Y 5.0)))"
        for k in range(6):
            bounds += f"(assert (and (>= X[{k}] 0.0) (<= X[{k}] 1.0)))"
        text = f"(vnnlib-version <2.0>)\n(declare-network f {declared})\n{bounds}"
        Path("p.vnnlib").write_text(text)
        return load_query("m.onnx", "p.vnnlib", strict=strict)

    return build


def judged(query: Query, *x: float) -> tuple[bool, tuple[float, ...]]:
    replay = query.source.replay(torch.tensor(x, dtype=torch.float64))
    return replay.valid, replay.y


FLAT = (
    "(declare-input X Real [6]) (declare-input B Real [1]) "
    "(declare-output Y Real []) (declare-output Z Real [1])"
)
POINT = (0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.5)


@pytest.mark.parametrize("shape", [[1, 2, 3], [1, 6], [6], ["N", 3], ["N", "M", 6], [1, 2, 1, 3]])
def test_flat_shapes(load: Load, shape: list[int | str], caplog: pytest.LogCaptureFixture) -> None:
    query = load(FLAT, "X[4]", shape)
    assert judged(query, *POINT) == (True, (5.5, -5.5))
    assert [(t.name, t.type, t.shape) for t in query.layout.tensors] == [
        ("X", "real", (6,)), ("B", "real", (1,)), ("Y", "real", ()), ("Z", "real", (1,)),
    ]  # fmt: skip
    told = [m for m in caplog.messages if "input X is declared [6], 'x' of m.onnx has the shape [" in m]
    assert len(told) == (shape != [6]) and all(m.endswith("; read as its elements in order") for m in told)


def test_to_the_letter_the_model_s_shape_is_wanted(load: Load) -> None:
    plain = FLAT.replace("Real", "real").replace("[1]", "[]")
    message = "p.vnnlib:2:2: input X is declared [6], 'x' of m.onnx has the shape [1, 2, 3]; declare that one"
    with pytest.raises(SpecError, match=re.escape(message)):
        load(plain, "X[4]", [1, 2, 3], strict=True)
    with pytest.raises(SpecError, match=re.escape("the element type Real is read as real")):
        load(FLAT.replace("[1]", "[]"), "X[4]", [1, 2, 3], strict=True)


def test_names_of_the_model_say_which_is_which(load: Load) -> None:
    declared = (
        '(declare-input B Real [1] "b") (declare-input X Real [6] "x") '
        '(declare-hidden H Real [6] "h") (declare-output Z Real [] "z") (declare-output Y Real [1,1] "y")'
    )
    query = load(declared, "X[4]", [1, 2, 3])
    assert [(t.name, t.start) for t in query.layout.tensors] == [
        ("B", 0), ("X", 1), ("H", 2), ("Z", 0), ("Y", 1),
    ]  # fmt: skip
    assert judged(query, 0.5, *POINT[:6]) == (True, (-5.5, 5.5, 0.0, 0.0, 0.0, 0.0, 5.0, 0.0))
    x = torch.tensor([[0.5, *POINT[:6]]], dtype=torch.float64)
    assert query.graph(x)[0, :8].tolist() == [-5.5, 5.5, 0.0, 0.0, 0.0, 0.0, 5.0, 0.0]


def test_whole_numbers_have_the_model_s_type(load: Load) -> None:
    query = load(FLAT.replace("X Real", "X Int"), "X[4]", [1, 6], kind=TensorProto.INT32)
    assert [t.type for t in query.layout.tensors] == ["int32", "real", "real", "real"]
    assert judged(query, *POINT) == (True, (5.5, -5.5))


BAD = {
    "another order": (FLAT.replace("[6]", "[3,2]"), "X[4]", "X is declared [3, 2], 'x' of m.onnx has the"),
    "size": (FLAT.replace("[6]", "[7]"), "X[4]", "X is declared [7], 'x' of m.onnx has the shape"),
    "whole numbers": (FLAT.replace("X Real", "X Int"), "X[4]", "X is declared Int, 'x' of m.onnx is float32"),
    "no such input": (
        FLAT.replace("[6])", '[6] "x")').replace("B Real [1])", 'B Real [1] "c")')
        .replace("[])", '[] "y")').replace("Z Real [1])", 'Z Real [1] "z")'),
        "X[4]",
        "m.onnx: there is no input called 'c'; there are: 'x', 'b'",
    ),
    "one output": (FLAT.split(" (declare-output Z")[0], "X[4]", "declares 1 outputs, its model m.onnx has 2"),
}  # fmt: skip


@pytest.mark.parametrize(("declared", "element", "message"), BAD.values(), ids=BAD)
def test_refuses(load: Load, declared: str, element: str, message: str) -> None:
    with pytest.raises(VnnverifyError, match=re.escape(message)) as caught:
        load(declared, element, [1, 2, 3])
    assert "\n" not in str(caught.value)
