# SPDX-License-Identifier: Apache-2.0
"""`vnnverify show`, on shipped and on small models."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

from vnnverify.commands.show import command
from vnnverify.diagnosis.coverage import treatment
from vnnverify.importer import load_model, read_model

ROOT = Path(__file__).parents[2]
TINY = str(ROOT / "models_onnx" / "tiny.onnx")


def show(*arguments: str) -> str:
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def backends(output: str) -> dict[str, str]:
    """Backend -> its answer."""
    rows = output.split("\nbackends\n")[1].splitlines()[:-1]
    return {name: rest.strip() for name, _, rest in (row.strip().partition(" ") for row in rows)}


def model(nodes: list[onnx.NodeProto], *, domain: str = "") -> onnx.ModelProto:
    """A model from X (1, 4) to Y."""
    x = helper.make_tensor_value_info("X", TensorProto.FLOAT, [1, 4])
    y = helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["rows", "columns"])
    opsets = [helper.make_opsetid("", 13)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(helper.make_graph(nodes, "g", [x], [y]), opset_imports=opsets, ir_version=8)


def test_nodes_summary_and_agreement() -> None:
    header, *lines = show(TINY).splitlines()
    assert header.split() == ["node", "operator", "output", "parameters", "bounded"]
    nodes = load_model(TINY).graph.nodes
    rows, rest = lines[: len(nodes)], lines[len(nodes) :]
    assert [row.split()[1] for row in rows] == [node.op.kind for node in nodes]
    bounded = ["relaxed/cases" if node.op.kind == "Relu" else "exact" for node in nodes]
    assert [row.split()[-1] for row in rows] == bounded
    assert rest[0].startswith(f"2 inputs, 2 outputs, {len(nodes)} nodes, ")
    relus = sum(node.output.size for node in nodes if node.op.kind == "Relu")
    assert rest[1] == f"nonlinear elements: {relus} Relu"
    assert rest[2].startswith("onnxruntime agrees to ")


def test_backends_are_asked_about_the_query() -> None:
    without, given = show(TINY), show(TINY, str(ROOT / "specs" / "tiny_boxes.vnnlib"))
    assert backends(without)["bound_propagation"] == backends(without)["milp"] == "yes"
    assert backends(without)["smoothing"] == "yes"
    assert "does not say that some other output beats" in backends(given)["smoothing"]
    assert "2 clauses" in given and "clause 1: 2 of 2 inputs vary" in given


@pytest.mark.parametrize(
    ("kind", "expected", "milp"),
    [
        ("ReduceMean", "exact", "yes"),
        ("Relu", "relaxed/cases", "yes"),
        ("Sigmoid", "relaxed", "no: node 'here'"),
        ("Softmax", "by parts", "no: node 'here'"),
    ],
)
def test_treatment(kind: str, expected: str, milp: str, tmp_path: Path) -> None:
    made = model([helper.make_node("Neg", ["X"], ["h"]), helper.make_node(kind, ["h"], ["Y"], name="here")])
    onnx.save(made, tmp_path / "m.onnx")
    nodes = {n.name: n for n in load_model(str(tmp_path / "m.onnx")).graph.nodes}
    assert treatment(nodes["here"], {}) == expected
    answers = backends(show(str(tmp_path / "m.onnx")))
    assert answers["milp"].startswith(milp)
    assert answers["bound_propagation"] == "yes"


def test_what_no_shared_domain_bounds() -> None:
    from vnnverify.ir import Node
    from vnnverify.testing.backend_checks.support import Riddle

    found = read_model(model([helper.make_node("Relu", ["X"], ["Y"])]).SerializeToString())
    (relu,) = found.graph.nodes
    riddle = Node(Riddle(), relu.inputs, relu.output, "riddle")
    assert treatment(riddle, {"mine": lambda graph: False}) == "not bounded"
    assert treatment(riddle, {"mine": lambda graph: len(graph.nodes) == 1}) == "by mine"


def test_unreadable_model(tmp_path: Path) -> None:
    made = model([helper.make_node("Whirl", ["X"], ["Y"], name="here", domain="strange")], domain="strange")
    onnx.save(made, tmp_path / "m.onnx")
    output = show(str(tmp_path / "m.onnx"))
    assert "operator strange.Whirl" in output and "unsupported: strange.Whirl (1 nodes)" in output
    assert backends(output)["falsification"].startswith("as a black box")
    assert backends(output)["milp"].startswith("no")
