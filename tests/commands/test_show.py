# SPDX-License-Identifier: Apache-2.0
"""`vnnverify show` describes a model, what is asked about it, and who can answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from onnx import TensorProto, helper


def test_model_node_by_node(inside: Callable[..., Any], tiny: Path) -> None:
    done = inside("show", tiny)
    assert (done.code, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["linear0", "Linear", "1×4", "12", "exact"]
    assert lines[1][:4] == ["relu1", "Relu", "1×4", "0"] and "relaxed" in lines[1][4]
    assert lines[2] == ["linear2", "Linear", "1×2", "10", "exact"]
    assert " ".join(lines[3]) == "2 inputs, 2 outputs, 3 nodes, 22 parameters, 4 ReLU"
    assert lines[4][:4] == ["onnxruntime", "agrees", "to", "0.0e+00"]


def test_query_clause_by_clause(inside: Callable[..., Any], tiny: Path, specs: Path) -> None:
    done = inside("show", tiny, specs / "tiny_boxes.vnnlib")
    assert (done.code, done.stderr) == (0, "")
    assert "\n2 clauses\n" in done.stdout
    for index in (0, 1):
        text = f"  clause {index}: 2 of 2 inputs vary, widest 0.5; 1 unsafe polytopes with rows 1\n"
        assert text in done.stdout


def test_operators_that_cannot_be_read_are_counted(inside: Callable[..., Any], tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Unique", ["X"], ["h"], name="first"),
        helper.make_node("Unique", ["h"], ["Y"], name="second"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("X", "Y")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    path = tmp_path / "net.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    done = inside("show", path)
    assert (done.code, done.stderr) == (0, "")
    assert "node 'first': operator Unique" in done.stdout
    assert "  unsupported: Unique (2 nodes)\n" in done.stdout
