# SPDX-License-Identifier: Apache-2.0
"""Models are matched with the networks that a text declares, joined, and judged by the text."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from vnnverify.errors import OptionError, SpecError, VnnverifyError
from vnnverify.inputs.declared import Networks
from vnnverify.loading.loader import load_query
from vnnverify.query import Query

ONE = "(declare-network f (declare-input X float32 [1,2]) {hidden}(declare-output Y float32 [1,1]))\n"
TWO = ONE.format(hidden="") + (
    "(declare-network g ({relation} f) (declare-input A float32 [1,2]) (declare-output B float32 [1,1]))\n"
)
BOX = "".join(f"(assert (and (>= X[0,{k}] -1.0) (<= X[0,{k}] 1.0)))\n" for k in range(2))
Load = Callable[..., Query]


def save(path: Path, weight: list[list[float]], dtype: int = TensorProto.FLOAT, batch: int | str = 1) -> None:
    """relu(x W) with the value called `hid` before the activation."""
    kind = helper.tensor_dtype_to_np_dtype(dtype)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "W"], ["hid"]), helper.make_node("Relu", ["hid"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", dtype, [batch, len(weight)])],
        [helper.make_tensor_value_info("y", dtype, [batch, len(weight[0])])],
        [numpy_helper.from_array(np.array(weight, dtype=kind), "W")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """load(text, models): the query, in a folder with f.onnx (2x + y), g.onnx (x + 3y) and others."""
    save(tmp_path / "f.onnx", [[2.0], [1.0]])
    save(tmp_path / "g.onnx", [[1.0], [3.0]])
    save(tmp_path / "wide.onnx", [[1.0], [3.0], [4.0]])
    save(tmp_path / "half.onnx", [[1.0], [3.0]], TensorProto.DOUBLE)
    save(tmp_path / "batch.onnx", [[2.0], [1.0]], batch="N")
    monkeypatch.chdir(tmp_path)

    def build(text: str, models: Networks, **options: bool) -> Query:
        Path("p.vnnlib").write_text(f"(vnnlib-version <2.0>)\n{text}")
        return load_query(models, "p.vnnlib", **options)

    return build


def judged(query: Query, *x: float) -> tuple[bool, tuple[float, ...], tuple[float, ...]]:
    replay = query.source.replay(torch.tensor(x, dtype=torch.float64))
    return replay.valid, replay.x, replay.y


def test_one_network(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    query = load(ONE.format(hidden="") + BOX + "(assert (> Y[0,0] 2.5))", "f.onnx")
    assert [(t.name, t.type, t.shape, t.kind, t.start) for t in query.layout.tensors] == [
        ("X", "float32", (1, 2), "input", 0),
        ("Y", "float32", (1, 1), "output", 0),
    ]
    assert [record.getMessage() for record in caplog.records] == [
        "p.vnnlib declares float32: proofs are about the real numbers, witnesses about the floats"
    ]
    assert judged(query, 1.0, 0.75) == (True, (1.0, 0.75), (2.75,))
    assert judged(query, 1.0, 0.5) == (False, (1.0, 0.5), (2.5,))


def test_hidden_node_is_an_output(load: Load) -> None:
    text = ONE.format(hidden='(declare-hidden H float32 [1,1] "hid") ')
    query = load(text + BOX + "(assert (and (<= H[0,0] -2.5) (>= Y[0,0] X[0,0])))", {"f": "f.onnx"})
    assert [t.name for t in query.layout.tensors] == ["X", "H", "Y"]
    assert judged(query, -1.0, -0.75) == (True, (-1.0, -0.75), (0.0, -2.75))
    x = torch.tensor([[-1.0, -0.75]], dtype=torch.float64)
    assert query.graph(x)[:, :2].tolist() == [[0.0, -2.75]]


def test_two_networks_with_own_inputs(load: Load) -> None:
    box = "".join(f"(assert (and (>= A[0,{k}] 0.0) (<= A[0,{k}] 0.5)))" for k in range(2))
    text = TWO.format(relation="isomorphic-to") + BOX + box + "(assert (>= B[0,0] Y[0,0]))"
    query = load(text, {"f": "f.onnx", "g": "g.onnx"})
    assert judged(query, 1.0, 0.0, 0.5, 0.5) == (True, (1.0, 0.0, 0.5, 0.5), (2.0, 2.0))
    assert query.graph(torch.tensor([[1.0, 0.0, 0.5, 0.5]], dtype=torch.float64))[:, :2].tolist() == [
        [2.0, 2.0]
    ]
    assert query.graph.nodes[0].name.startswith("f/") and query.graph.nodes[-1].name != ""


def test_equal_network_shares_the_model_and_equal_inputs_are_one(load: Load) -> None:
    text = (
        TWO.format(relation="equal-to")
        + BOX
        + "(assert (== X[0,1] A[0,1]))(assert (<= (- A[0,0] X[0,0]) 0.25))"
    )
    text += "(assert (>= A[0,0] X[0,0]))(assert (< B[0,0] Y[0,0]))"
    assert load(text, {"f": "f.onnx", "g": "./f.onnx"}).layout.columns == (0, 1, 2, 1)
    query = load(text, {"f": "f.onnx"})
    assert (query.graph.input_size, query.layout.columns) == (3, (0, 1, 2, 1))
    (clause,) = query.clauses
    assert (clause.region.lower.tolist(), clause.region.upper.tolist()) == ([-1, -1, -1], [1, 1, 1.25])
    valid, x, y = judged(query, 0.5, 1.0, 0.75)
    assert (valid, x, y) == (False, (0.5, 1.0, 0.75, 1.0), (2.0, 2.5))
    assert query.layout.gather(torch.tensor(x)).tolist() == [0.5, 1.0, 0.75]


def test_dynamic_axes_are_as_declared(load: Load) -> None:
    text = "(declare-network f (declare-input X float32 [2,2]) (declare-output Y float32 [2,1]))\n"
    box = "".join(f"(assert (and (>= X[{i},{j}] 0.0) (<= X[{i},{j}] 1.0)))" for i in (0, 1) for j in (0, 1))
    query = load(text + box + "(assert (> Y[1,0] (+ Y[0,0] 2.5)))", "batch.onnx")
    assert judged(query, 0.0, 0.0, 1.0, 1.0) == (True, (0.0, 0.0, 1.0, 1.0), (0.0, 3.0))


def test_products_and_unequal_inputs(load: Load) -> None:
    text = ONE.format(hidden="") + BOX + "(assert (<= (* X[0,0] X[0,1]) -0.5))(assert (!= Y[0,0] 1.0))"
    query = load(text, "f.onnx")
    assert len(query.clauses) == 1 and len(query.clauses[0].unsafe) == 2
    assert [judged(query, *x)[0] for x in ((1.0, -0.5), (0.75, -0.75), (0.75, -0.5), (0.875, -0.75))] == [
        True,
        True,
        False,
        False,
    ]


def test_what_has_no_bounds_is_of_its_type(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    query = load(
        ONE.format(hidden="") + "(assert (and (>= X[0,0] 5.0) (<= X[0,0] 6.0)))(assert (>= Y[0,0] 9.0))",
        "f.onnx",
    )
    largest = float(np.finfo(np.float32).max)
    assert query.clauses[0].region.upper.tolist() == [6.0, largest]
    assert "X[0,1]: no bound; taken to be any finite float32" in caplog.text


def test_real_inputs_need_bounds(load: Load) -> None:
    text = (
        ONE.format(hidden="").replace("float32", "real") + "(assert (<= X[0,1] 1.0))(assert (>= Y[0,0] 9.0))"
    )
    with pytest.raises(
        SpecError, match=re.escape("p.vnnlib: X[0,0] has no finite lower bound; add (assert (>= X")
    ):
        load(text, "f.onnx")


HIDDEN = ONE.format(hidden='(declare-hidden H float32 [{}] "{}") ')
HOLDS = "(assert (>= X[0,0] 0.0))"
BAD = {
    "another shape": (ONE, "wide.onnx", "input X is declared [1, 2], 'x' of wide.onnx has the shape [1, 3]"),
    "another type": (ONE, "half.onnx", "input X is declared float32, 'x' of half.onnx is float64; declare"),
    "missing output": (
        ONE.replace("(declare-out", "(declare-input Z float32 [1]) (declare-out"),
        "f.onnx",
        "network f declares 2 inputs, its model f.onnx has 1 (x [1, 2]); declare all of them, in this order",
    ),
    "hidden shape": (HIDDEN.format("1,7", "hid"), "f.onnx", "hidden H is declared [1, 7], 'hid' of"),
    "no such node": (
        HIDDEN.format("1,1", "nope"),
        "f.onnx",
        "f.onnx: no node has an output called 'nope'; there are: 'hid', 'y'",
    ),
    "no name": (TWO.format(relation="isomorphic-to"), "f.onnx", "give --network f=MODEL --network g=MODEL"),
    "missing": (
        TWO.format(relation="isomorphic-to"),
        {"f": "f.onnx"},
        "no model given for network g of p.vnnlib; add --network g=MODEL.onnx",
    ),
    "unknown": (ONE, {"h": "f.onnx"}, "p.vnnlib declares no network 'h'; it declares f"),
    "equal": (
        TWO.format(relation="equal-to"),
        {"f": "f.onnx", "g": "g.onnx"},
        "network g is equal-to f, but its model g.onnx is not f.onnx",
    ),
    "no file": (ONE, "absent.onnx", "absent.onnx: no such file"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "models", "message"), BAD.values(), ids=BAD)
def test_refuses(load: Load, text: str, models: Networks, message: str) -> None:
    with pytest.raises(VnnverifyError, match=re.escape(message)) as caught:
        load(text.replace("{hidden}", "") + HOLDS, models)
    assert "\n" not in str(caught.value)
    if "declare" in message and "p.vnnlib declares" not in message:
        assert str(caught.value).startswith("p.vnnlib:2:")


def test_strict(load: Load) -> None:
    text = ONE.format(hidden="") + BOX + "(assert (>= Y[0,0] 9.0))"
    with pytest.raises(SpecError, match="declares float32, but proofs are about real numbers"):
        load(text, "f.onnx", strict=True)
    assert load(text.replace("float32", "real"), "half.onnx", strict=True).layout.tensors[0].type == "real"


def test_the_first_version_has_one_network(load: Load) -> None:
    Path("old.vnnlib").write_text("(declare-const X_0 Real)")
    with pytest.raises((OptionError, SpecError)):
        load_query({"f": "f.onnx", "g": "g.onnx"}, "old.vnnlib")
