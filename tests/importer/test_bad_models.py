# SPDX-License-Identifier: Apache-2.0
"""Each model that cannot be read is refused by one line with the place and the remedy."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vnnverify.errors import FileError, ModelError, UnsupportedModelError, VnnverifyError
from vnnverify.importer import load_model, read_model

X, Y = {"x": [1, 3]}, {"y": [1, 3]}
W = np.eye(3, dtype=np.float32)
STRANGE = [helper.make_opsetid("strange", 1)]
Build = Callable[..., onnx.ModelProto]


def relu(source: str = "x", target: str = "y", **more: Any) -> onnx.NodeProto:
    return helper.make_node("Relu", [source], [target], name=more.pop("name", "act"), **more)


def not_finite(build: Build, value: float) -> onnx.ModelProto:
    weight = W.copy()
    weight[1, 2] = value
    return build([helper.make_node("MatMul", ["x", "w1"], ["y"], name="fc")], X, Y, {"w1": weight})


def in_node(build: Build) -> onnx.ModelProto:
    value = numpy_helper.from_array(np.array([1, np.nan, 0], np.float32))
    nodes = [
        helper.make_node("Constant", [], ["c"], value=value),
        helper.make_node("Add", ["x", "c"], ["y"], name="sum"),
    ]
    return build(nodes, X, Y)


def external(build: Build, location: str) -> onnx.ModelProto:
    model = build([helper.make_node("MatMul", ["x", "w1"], ["y"])], X, Y, {"w1": W})
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value=location)
    return model


def with_function(build: Build) -> onnx.ModelProto:
    body = helper.make_function(
        "strange", "Twice", ["a"], ["b"], [helper.make_node("Twice", ["a"], ["b"], domain="strange")], []
    )
    model = build([helper.make_node("Twice", ["x"], ["y"], name="f", domain="strange")], X, Y, opsets=STRANGE)
    model.functions.append(body)
    model.functions[0].opset_import.append(helper.make_opsetid("strange", 1))
    return model


def with_branch(build: Build) -> onnx.ModelProto:
    """Branches of different shapes, and a condition that is computed."""
    flat = helper.make_node("Flatten", ["x"], ["y"], axis=0)
    wide = helper.make_node("Concat", ["x", "x"], ["y"], axis=1)
    shapes = ((flat, [1, 3]), (wide, [1, 6]))
    branches = [
        helper.make_graph([n], "branch", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, s)])
        for n, s in shapes
    ]
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
        helper.make_node("Cast", ["s"], ["c"], to=TensorProto.BOOL),
        helper.make_node("If", ["c"], ["y"], name="choice", then_branch=branches[0], else_branch=branches[1]),
    ]
    return build(nodes, X, {"y": [1, "n"]})


def sparse(build: Build) -> onnx.ModelProto:
    model = build([helper.make_node("Add", ["x", "thin"], ["y"])], X, Y)
    values = numpy_helper.from_array(np.ones(1, np.float32), "thin")
    indices = numpy_helper.from_array(np.array([2]), "thin_indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [3]))
    return model


def bomb(op: str, *constants: np.ndarray) -> Callable[[Build], onnx.ModelProto]:
    names = [f"c{k}" for k in range(len(constants))]
    inputs = names if op in ("ConstantOfShape", "Range") else ["x", *names]
    node = helper.make_node(op, inputs, ["y"], name="bomb")
    return lambda build: build([node], X, {"y": [1, "n"]}, dict(zip(names, constants, strict=True)))


def big(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


REFUSED: list[tuple[str, Callable[[Build], onnx.ModelProto], type[ModelError], str]] = [
    ("nan", lambda b: not_finite(b, np.nan), ModelError, "initializer 'w1' holds NaN or infinity"),
    ("infinity", lambda b: not_finite(b, np.inf), ModelError, "initializer 'w1' holds NaN or infinity"),
    (
        "minus infinity",
        lambda b: not_finite(b, -np.inf),
        ModelError,
        "node 'fc': has NaN or infinity among its constants; export it again",
    ),
    (
        "infinite number",
        lambda b: b(
            [helper.make_node("Pow", ["x", "p"], ["y"], name="pow")], X, Y, {"p": np.float32(-np.inf)}
        ),
        ModelError,
        "node 'pow': has NaN or infinity among its constants",
    ),
    (
        "unknown operator",
        lambda b: b(
            [helper.make_node("Frobnicate", ["x"], ["y"], name="n7", domain="strange")], X, Y, opsets=STRANGE
        ),
        UnsupportedModelError,
        "node 'n7': operator strange.Frobnicate .*is not supported; a backend that takes black boxes",
    ),
    (
        "standard operator without a reader",
        lambda b: b([helper.make_node("Unique", ["x"], ["y"], name="h")], X, Y),
        UnsupportedModelError,
        "node 'h': operator Unique .*a backend that takes black boxes may still run it: see",
    ),
    (
        "cycle",
        lambda b: b(
            [helper.make_node("Add", ["x", "r"], ["y"], name="a"), relu("y", "r", name="back")], X, Y
        ),
        ModelError,
        "node '(a|back)' depends on its own output: the graph is cyclic; export it again",
    ),
    (
        "external",
        lambda b: external(b, "w.bin"),
        ModelError,
        "external file 'w.bin', .* load it with onnx.load",
    ),
    ("outside", lambda b: external(b, "../../etc/passwd"), ModelError, "external file '../../etc/passwd'"),
    ("no input", lambda b: b([relu("c")], {}, Y, {"c": W}), ModelError, "the model has no input"),
    ("no output", lambda b: b([relu()], X, {}), ModelError, "the model has no output"),
    ("missing input", lambda b: b([relu("ghost")], X, Y), ModelError, "'ghost'"),
    ("missing output", lambda b: b([relu("x", "z")], X, Y), ModelError, "'y'"),
    ("endless function", with_function, ModelError, "must not be recursive"),
    (
        "branches",
        with_branch,
        UnsupportedModelError,
        r"node 'choice' \(If\): a choice between float32 \(1, 3\) and float32 \(1, 6\) is not supported",
    ),
    ("sparse", sparse, UnsupportedModelError, "initializer 'thin' is sparse; save it as a dense tensor"),
    (
        "old opset",
        lambda b: b([relu()], X, Y, opset=5),
        UnsupportedModelError,
        "operator set 5 is older than 7",
    ),
    (
        "mean of whole numbers",
        lambda b: b([helper.make_node("ReduceMean", ["x"], ["y"], name="a")], X, Y, kind=TensorProto.INT32),
        UnsupportedModelError,
        r"node 'a' \(ReduceMean\): rounding to whole numbers is not supported",
    ),
    ("input without shape", lambda b: b([relu()], {"x": None}, Y), ModelError, "states no shape of 'x'"),
    ("not finite in a node", in_node, ModelError, "node 'sum': has NaN or infinity among its constants"),
    ("huge input", lambda b: b([relu()], {"x": [1 << 20, 1 << 20]}, Y), ModelError, "'x' has 1,099,511,"),
    (
        "shapes that do not fit",
        lambda b: b([helper.make_node("MatMul", ["x", "w"], ["y"], name="fc")], X, Y, {"w": W[:2]}),
        ModelError,
        r"node 'fc' \(MatMul\).*\(1, 3\) and \(2, 3\)",
    ),
    (
        "reshape",
        lambda b: b([helper.make_node("Reshape", ["x", "s"], ["y"], name="r")], X, Y, {"s": big(2, 2)}),
        ModelError,
        r"node 'r' \(Reshape\): cannot reshape \(1, 3\) to \(2, 2\)",
    ),
    (
        "axis",
        lambda b: b([helper.make_node("Gather", ["x", "i"], ["y"], name="g", axis=4)], X, Y, {"i": big(0)}),
        ModelError,
        "node 'g'.*axis",
    ),
    (
        "index out of range",
        lambda b: b([helper.make_node("Gather", ["x", "i"], ["y"], name="g", axis=1)], X, Y, {"i": big(9)}),
        ModelError,
        "node 'g'.*out of bounds",
    ),
    (
        "division by zero",
        lambda b: b(
            [helper.make_node("Div", ["x", "z"], ["y"], name="d")], X, Y, {"z": np.zeros(3, np.float32)}
        ),
        ModelError,
        "node 'd'.*divides by a constant zero",
    ),
    (
        "constants that overflow",
        lambda b: b(
            [helper.make_node("Exp", ["k"], ["e"], name="e"), helper.make_node("Add", ["x", "e"], ["y"])],
            X,
            Y,
            {"k": np.array([1e4], np.float32)},
        ),
        ModelError,
        "node 'e'.*NaN or infinity",
    ),
    (
        "bomb of ones",
        bomb("ConstantOfShape", big(1 << 20, 1 << 20)),
        ModelError,
        "'bomb'.*(refused|elements|constants)",
    ),
    (
        "range bomb",
        bomb("Range", big(0)[0], big(1 << 60)[0], big(1)[0]),
        ModelError,
        "'bomb'.*(refused|elements|constants)",
    ),
    (
        "expanding bomb",
        bomb("Expand", big(1 << 20, 1 << 20, 3)),
        ModelError,
        "'bomb'.*(refused|elements|constants)",
    ),
    ("tiling bomb", bomb("Tile", big(1 << 30, 1 << 30)), ModelError, "'bomb'.*(refused|elements|constants)"),
    ("padding bomb", bomb("Pad", big(0, 0, 0, 1 << 40)), ModelError, "'bomb'.*(refused|elements|constants)"),
]


@pytest.mark.parametrize(("make", "kind", "text"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_bad_model_is_refused(build: Build, make: Any, kind: type[ModelError], text: str) -> None:
    with pytest.raises(ModelError) as caught:
        read_model(make(build).SerializeToString(), path="net.onnx")
    message = str(caught.value)
    assert type(caught.value) is kind
    assert re.search(text, message), message
    assert message.startswith("net.onnx: ")
    assert "\n" not in message
    assert len(message) < 600


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.3, 0.5, 0.9, 0.99])
def test_truncated_model_is_refused(build: Build, share: float) -> None:
    whole = build([helper.make_node("MatMul", ["x", "w"], ["y"])], X, Y, {"w": W}).SerializeToString()
    with pytest.raises(ModelError, match="export it again"):
        read_model(whole[: int(share * len(whole))])


@pytest.mark.parametrize(
    "data", [b"\x00" * 64, b"hello, world", b"(declare-const X_0 Real)", bytes(range(256))]
)
def test_what_is_not_onnx_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match=r"not an ONNX model|not a valid ONNX model"):
        read_model(data)


def test_damaged_bytes_never_escape_as_other_errors(build: Build) -> None:
    """Flip single bytes all over a model: it loads, or is refused by an expected error."""
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], transB=1),
        helper.make_node("Reshape", ["h", "s"], ["r"]),
        relu("r", "y"),
    ]
    constants = {"w": W, "b": np.ones(3, np.float32), "s": big(1, -1)}
    whole = build(nodes, X, Y, constants).SerializeToString()
    generator = np.random.default_rng(4)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[generator.integers(len(whole))] = generator.integers(256)
        try:
            read_model(bytes(damaged))
        except VnnverifyError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 50


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"absent\.onnx"):
        load_model(str(tmp_path / "absent.onnx"))
