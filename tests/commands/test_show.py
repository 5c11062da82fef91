# SPDX-License-Identifier: Apache-2.0
"""`vnnverify show` describes a model, what is asked about it, and who can answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from onnx import TensorProto, helper

from vnnverify.importer import load_model


def test_model_node_by_node(inside: Callable[..., Any], tiny: Path) -> None:
    done = inside("show", tiny)
    assert (done.code, done.stderr) == (0, "")
    header, *lines = (line.split() for line in done.stdout.splitlines())
    assert header == ["node", "operator", "output", "parameters", "bounded"]
    nodes = load_model(str(tiny)).graph.nodes
    assert [line[:2] for line in lines[: len(nodes)]] == [[n.name, n.op.kind] for n in nodes]
    assert all(line[4] == ("relaxed/cases" if line[1] == "Relu" else "exact") for line in lines[: len(nodes)])
    parameters = sum(int(line[3]) for line in lines[: len(nodes)])
    rest = done.stdout.splitlines()[1 + len(nodes) :]
    assert rest[0] == f"2 inputs, 2 outputs, {len(nodes)} nodes, {parameters} parameters"
    assert rest[2].startswith("onnxruntime agrees to 0.0e+00 ")
    assert rest[-1].startswith(f"{len(nodes)} of {len(nodes)} nodes bounded (")


def test_json_says_the_same(inside: Callable[..., Any], tiny: Path, specs: Path) -> None:
    done = inside("show", tiny, specs / "tiny_boxes.vnnlib", "--json")
    assert (done.code, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["readable"], found["inputs"], found["outputs"]) == (True, 2, 2)
    assert sum(found["bounded"].values()) == len(found["nodes"])
    assert found["clauses"][1] == {"inputs": 2, "varying": 2, "widest": 0.5, "rows": [1]}
    takes = {answer["name"]: answer["takes"] for answer in found["backends"]}
    assert takes["milp"] and not takes["smoothing"]
    assert found["summary"] in inside("show", tiny, specs / "tiny_boxes.vnnlib").stdout


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
    assert done.stdout.splitlines()[-1].startswith("cannot be read (2 nodes without a reader); ")
    found = json.loads(inside("show", path, "--json").stdout)
    assert (found["readable"], found["unsupported"], found["nodes"]) == (False, {"Unique": 2}, [])
    assert "operator Unique" in found["problem"]


def long_chain(path: Path, length: int) -> Path:
    """A network of so many nodes on X (1, 2): a quarter of them in module `tail`, the others in `body`."""
    names = [f"/{'body' if k < 3 * length // 4 else 'tail'}/part.{k}/Op" for k in range(length)]
    kinds = [("Tanh", "Sigmoid")[k % 2] for k in range(length)]
    values = ["X", *(f"h{k}" for k in range(1, length)), "Y"]
    nodes = [
        helper.make_node(kind, [values[k]], [values[k + 1]], name=name)
        for k, (kind, name) in enumerate(zip(kinds, names, strict=True))
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("X", "Y")]
    model = helper.make_model(
        helper.make_graph(nodes, "g", ends[:1], ends[1:]),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    path.write_bytes(model.SerializeToString())
    return path


def test_many_nodes_share_a_row_by_module(inside: Callable[..., Any], tmp_path: Path) -> None:
    path = long_chain(tmp_path / "net.onnx", 80)
    lines = inside("show", path).stdout.splitlines()
    assert [re.split("  +", line) for line in lines[1:3]] == [
        ["body", "30 Tanh, 30 Sigmoid", "1×2", "0", "relaxed"],
        ["tail", "10 Tanh, 10 Sigmoid", "1×2", "0", "relaxed"],
    ]
    assert lines[3] == "(80 nodes in 2 rows by module; --all shows each)"
    assert lines[4].startswith("2 inputs, 2 outputs, 80 nodes, ")
    every = inside("show", path, "--all").stdout.splitlines()
    assert len(every) == len(lines) + 77
    assert every[1].split() == ["/body/part.0/Op", "Tanh", "1×2", "0", "relaxed"]
    assert len(json.loads(inside("show", path, "--json").stdout)["nodes"]) == 80
