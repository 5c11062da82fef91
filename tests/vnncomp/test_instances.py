# SPDX-License-Identifier: Apache-2.0
"""The competition's scripts: what lands in the result file passes the organisers' rules."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "vnncomp"
DECLARED_EQUAL = """(vnnlib-version <2.0>)
(declare-network f (declare-input X_f float32 [1,2]) (declare-output Y_f float32 [1,1]))
(declare-network g (equal-to f) (declare-input X_g float32 [1,2]) (declare-output Y_g float32 [1,1]))
"""
BOX = """
(assert (and (>= X_f[0,0] -1.0) (<= X_f[0,0] 0.7)))
(assert (and (>= X_f[0,1] 0.1) (<= X_f[0,1] 0.3)))
(assert (== X_f[0,1] X_g[0,1]))
(assert (and (>= X_g[0,0] -1.0) (<= X_g[0,0] 1.0)))
"""
Values = dict[str, tuple[str, tuple[int, ...], list[float]]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A benchmark: two.onnx with Y = relu(2 X_0 + X_1), a copy of it, another network, and a tool to run."""
    for name, weight in (("two", [[2.0], [1.0]]), ("copy", [[2.0], [1.0]]), ("other", [[1.0], [1.0]])):
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "W"], ["h"]), helper.make_node("Relu", ["h"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1])],
            [numpy_helper.from_array(np.array(weight, dtype=np.float32), "W")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.save(model, tmp_path / f"{name}.onnx")
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name, words in (("vnnverify", f"{sys.executable} -m vnnverify"), ("python3", sys.executable)):
        (binaries / name).write_text(f'#!/bin/bash\nexec {words} "$@"\n')
        (binaries / name).chmod(0o755)
    return tmp_path


def run(folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", str(SCRIPTS / script), "v1", "test", *arguments], cwd=folder,
        env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def instance(folder: Path, model: str, query: str) -> str:
    """The result file of an instance that is prepared and run from the benchmark's folder."""
    assert run(folder, "prepare_instance.sh", model, query).returncode == 0
    done = run(folder, "run_instance.sh", model, query, "out.txt", "60")
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in folder.glob("out.txt*")) == ["out.txt"]
    return (folder / "out.txt").read_text()


def network(folder: Path, name: str, x: list[float]) -> np.ndarray:
    session = onnxruntime.InferenceSession(folder / name, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": np.array(x, dtype=np.float32).reshape(1, 2)})
    return np.asarray(y)


def first_version(content: str) -> tuple[list[float], list[float]]:
    """The witness as the organisers read it: split at ), names counted up in order."""
    word, _, rest = content.partition("\n")
    assert word == "sat"
    rest = rest.strip()
    assert rest.startswith("(") and rest.endswith(")")
    values: dict[str, list[float]] = {"X": [], "Y": []}
    for part in rest[1:-1].split(")"):
        if part.strip():
            name, number = part.strip().removeprefix("(").split()
            kind, index = name.split("_")
            assert int(index) == len(values[kind])
            values[kind].append(float(number))
    return values["X"], values["Y"]


def second_version(content: str) -> Values:
    """The assignment as the organisers read it: a header, then its values, nothing after the last."""
    lines = content.splitlines()
    assert lines.pop(0) == "sat"
    found: Values = {}
    while lines:
        header = re.fullmatch(r"^(\S+)\s+(\S+)\s+\[([0-9,\s]*)\]$", lines.pop(0))
        assert header is not None
        shape = tuple(int(n) for n in header[3].split(",") if n)
        count = int(np.prod(shape))
        found[header[1]] = (header[2], shape, [float(line) for line in lines[:count]])
        assert len(found[header[1]][2]) == count
        del lines[:count]
    return found


def test_first_version_from_gzipped_files(folder: Path) -> None:
    text = "".join(f"(declare-const {name} Real)\n" for name in ("X_0", "X_1", "Y_0"))
    text += "(assert (>= X_0 -1))(assert (<= X_0 0.1))(assert (>= X_1 0))(assert (<= X_1 0.7))"
    text += "(assert (>= Y_0 0.8))"
    (folder / "p.vnnlib.gz").write_bytes(gzip.compress(text.encode()))
    (folder / "two.onnx.gz").write_bytes(gzip.compress((folder / "two.onnx").read_bytes()))
    x, y = first_version(instance(folder, "two.onnx.gz", "p.vnnlib"))
    assert [float(np.float32(v)) for v in x] == x
    assert -1 <= x[0] <= 0.1 and 0 <= x[1] <= 0.7
    assert len(y) == 1 and float(network(folder, "two.onnx", x)[0, 0]) >= 0.8


def test_equal_networks_are_listed_twice_and_given_once(folder: Path) -> None:
    (folder / "p.vnnlib").write_text(DECLARED_EQUAL + BOX + "(assert (> Y_g[0,0] (+ Y_f[0,0] 0.25)))")
    found = second_version(instance(folder, "[('f', 'two.onnx'), ('g', 'copy.onnx')]", "./p.vnnlib"))
    assert [(name, kind, shape) for name, (kind, shape, _) in found.items()] == [
        ("X_f", "float32", (1, 2)),
        ("Y_f", "float32", (1, 1)),
        ("X_g", "float32", (1, 2)),
        ("Y_g", "float32", (1, 1)),
    ]
    f, g = found["X_f"][2], found["X_g"][2]
    assert f[1] == g[1] and 0.1 <= f[1] <= 0.3 and -1 <= f[0] <= 0.7 and -1 <= g[0] <= 1
    y_f, y_g = (float(network(folder, "two.onnx", x)[0, 0]) for x in (f, g))
    assert [y_f] == found["Y_f"][2] and [y_g] == found["Y_g"][2] and y_g > y_f + 0.25


def test_two_networks_that_cannot_differ_so_much(folder: Path) -> None:
    text = DECLARED_EQUAL.replace("(equal-to f)", "(isomorphic-to f)")
    box = "".join(
        f"(assert (and (>= X_f[0,{k}] 0.0) (<= X_f[0,{k}] 1.0)))(assert (== X_f[0,{k}] X_g[0,{k}]))"
        for k in (0, 1)
    )
    (folder / "p.vnnlib").write_text(
        text + box + "(assert (or (> (- Y_f[0,0] Y_g[0,0]) 1.125) (< Y_f[0,0] (- Y_g[0,0] 0.125))))"
    )
    answer = instance(folder, "[('f', 'two.onnx'), ('g', 'other.onnx')]", "p.vnnlib")
    assert answer == "unsat\n"


@pytest.mark.parametrize(
    ("model", "query"),
    [
        ("[('f', 'two.onnx'), ('g', 'other.onnx')]", "p.vnnlib"),  # g is to be the same
        ("[('f', 'two.onnx'", "p.vnnlib"),
        ("absent.onnx", "p.vnnlib"),
        ("two.onnx", "absent.vnnlib"),
        ("two.onnx", "bad.vnnlib"),
    ],
)
def test_what_cannot_be_run_is_an_error_in_the_file(folder: Path, model: str, query: str) -> None:
    (folder / "p.vnnlib").write_text(DECLARED_EQUAL + BOX + "(assert (> Y_g[0,0] Y_f[0,0]))")
    (folder / "bad.vnnlib").write_text("(vnnlib-version <2.0>)\n(assert")
    done = run(folder, "run_instance.sh", model, query, "out.txt", "60")
    assert done.returncode == 0
    assert (folder / "out.txt").read_text() == "error\n"
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("vnnverify: error: ")
    assert run(folder, "prepare_instance.sh", model, query).returncode == (0 if query == "bad.vnnlib" else 1)


def test_a_run_that_is_killed_leaves_timeout(folder: Path) -> None:
    (folder / "bin" / "vnnverify").write_text("#!/bin/bash\nkill -9 $PPID\n")
    text = DECLARED_EQUAL.splitlines()
    (folder / "p.vnnlib").write_text("\n".join(text[:2]) + "(assert (> Y_f[0,0] 1.0))")
    run(folder, "run_instance.sh", "two.onnx", "p.vnnlib", "out.txt", "60")
    assert (folder / "out.txt").read_text() == "timeout\n"
