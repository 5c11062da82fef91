# SPDX-License-Identifier: Apache-2.0
"""`vnnverify slice` cuts out what fails, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vnnverify.guard import Finding, FindingKind
from vnnverify.loading.loader import load_query
from vnnverify.verdict import Support


def save(path: Path, *nodes: onnx.NodeProto, weight: np.ndarray | None = None) -> Path:
    """A network from X (1, 4) to Y (1, 4) with the constant W."""
    value = np.eye(4, dtype=np.float32) if weight is None else weight
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in "XY"]
    graph = helper.make_graph(list(nodes), "g", ends[:1], ends[1:], [numpy_helper.from_array(value, "W")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def chain(path: Path, middle: str, **attributes: Any) -> Path:
    return save(
        path,
        helper.make_node("MatMul", ["X", "W"], ["a"], name="first"),
        helper.make_node(middle, ["a"], ["b"], name="here", **attributes),
        helper.make_node("Sigmoid", ["b"], ["c"], name="after"),
        helper.make_node(middle, ["c"], ["d"], name="again", **attributes),
        helper.make_node("Relu", ["d"], ["Y"], name="last"),
    )


@pytest.mark.parametrize(("options", "name"), [((), "here"), (("--node", "again"), "again")])
def test_an_operator_that_cannot_be_read_alone(
    options: tuple[str, ...], name: str, inside: Callable[..., Any], tmp_path: Path
) -> None:
    done = inside("slice", chain(tmp_path / "m.onnx", "Unique"), *options, "--output", tmp_path / "out")
    assert (done.code, done.stderr) == (0, "")
    first, second, _ = done.stdout.splitlines()
    assert first.startswith(f"cannot be read: node '{name}': operator Unique")
    assert second == f"1 of 5 nodes: {name}"
    found = onnx.load(tmp_path / "out" / "slice.onnx")
    assert [node.name for node in found.graph.node] == [name]
    onnx.checker.check_model(found)
    query = load_query(
        str(tmp_path / "out" / "slice.onnx"), str(tmp_path / "out" / "slice.vnnlib"), opaque=True
    )
    region = query.clauses[0].region
    assert bool((region.lower <= region.upper).all()) and region.varying > 0


@pytest.mark.parametrize("options", [(), ("--node", "here")])
def test_a_healthy_model(options: tuple[str, ...], inside: Callable[..., Any], tmp_path: Path) -> None:
    done = inside("slice", chain(tmp_path / "m.onnx", "Tanh"), *options, "--output", tmp_path / "out")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith("nothing fails")
    assert not (tmp_path / "out").exists()


def test_constants_and_whole_numbers_are_never_cut_off(inside: Callable[..., Any], tmp_path: Path) -> None:
    path = save(
        tmp_path / "m.onnx",
        helper.make_node("Relu", ["X"], ["a"], name="before"),
        helper.make_node("Shape", ["a"], ["s"], name="shape"),
        helper.make_node("Reshape", ["a", "s"], ["b"], name="reshape"),
        helper.make_node("Unique", ["b"], ["Y"], name="here"),
    )
    done = inside("slice", path, "--node", "reshape", "--output", tmp_path / "out")
    assert done.stdout == "nothing fails at node 'reshape'\n"


def test_the_rest_of_the_graph_is_grown_into(
    inside: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import vnnverify.diagnosis.slicing as slicing

    class Differing:
        def __init__(self, graph: Any, layout: Any, models: Any) -> None:
            self.kinds = [n.op_type for n in onnx.load_model_from_string(models[0].data).graph.node]

        def at(self, x: Any, judges: Any) -> tuple[Finding | None, None]:
            fits = "Tanh" in self.kinds and "MatMul" in self.kinds
            return Finding(FindingKind.MISREAD, x[0], 0, 2.0, (1.0, 1.0)) if fits else None, None

    monkeypatch.setattr(slicing, "Comparison", Differing)
    done = inside("slice", chain(tmp_path / "m.onnx", "Tanh"), "--output", tmp_path / "out")
    assert done.stdout.splitlines()[:2] == [
        "differs from onnxruntime: 2 instead of 1",
        "2 of 5 nodes: first, here",
    ]


def test_an_operator_that_cannot_be_bounded(
    inside: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import vnnverify.diagnosis.slicing as slicing

    def supports(graph: Any) -> Support:
        names = [node.name for node in graph.nodes if node.op.kind == "Tanh"]
        return (
            Support.no(f"node {names[0]!r}: interval cannot bound operator Tanh") if names else Support.yes()
        )

    monkeypatch.setattr(slicing.interval, "supports", supports)
    done = inside("slice", chain(tmp_path / "m.onnx", "Tanh"), "--output", tmp_path / "out")
    assert done.stdout.splitlines()[:2] == [
        "cannot be bounded: node 'here': interval cannot bound operator Tanh",
        "1 of 5 nodes: here",
    ]


def test_bad_input_is_one_line(inside: Callable[..., Any], tmp_path: Path) -> None:
    path = chain(tmp_path / "m.onnx", "Unique")
    (tmp_path / "broken.onnx").write_bytes(path.read_bytes()[:-60])
    for arguments, text in [
        ((path, "--node", "nope"), "no node is called 'nope'; there are: 'first', 'here'"),
        ((tmp_path / "absent.onnx",), "no such file"),
        ((tmp_path / "broken.onnx",), "ONNX model"),
        ((path, "--output", path), "cannot be written"),
    ]:
        done = inside("slice", *arguments)
        assert (done.code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert text in done.stderr
