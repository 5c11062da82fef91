# SPDX-License-Identifier: Apache-2.0
"""Random VNN-LIB 2.0 texts over two networks: what is said to be unsat holds at no sampled point."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from vnnverify.deadline import Deadline
from vnnverify.loading.loader import load_query
from vnnverify.process.answering import verify
from vnnverify.process.job import Job
from vnnverify.query import Query
from vnnverify.vnnlib import load_property
from vnnverify.vnnlib.merging import merge_equal_inputs

SAMPLES = 20_000
SECONDS = 3.0
NETWORKS = """(vnnlib-version <2.0>)
(declare-network f (declare-input X real [2]) (declare-hidden H real [3] "h") (declare-output Y real [2]))
(declare-network g ({relation} f) (declare-input A real [2]) (declare-output B real [2]))
"""
BOX = "".join(f"(assert (and (>= X[{k}] -1.0) (<= X[{k}] 1.0)))\n" for k in (0, 1))
NAMES = [
    f"{name}[{k}]" for name, count in (("X", 2), ("A", 2), ("H", 3), ("Y", 2), ("B", 2)) for k in range(count)
]


def save(path: Path, source: random.Random) -> None:
    """W2 relu(W1 x + b), with the value called `h` after the activation."""

    def matrix(*shape: int) -> np.ndarray:
        numbers = [source.randint(-8, 8) / 4 for _ in range(int(np.prod(shape)))]
        return np.array(numbers, dtype=np.float32).reshape(shape)

    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "W1"], ["a"]),
            helper.make_node("Add", ["a", "b"], ["c"]),
            helper.make_node("Relu", ["c"], ["h"]),
            helper.make_node("MatMul", ["h", "W2"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
        [
            numpy_helper.from_array(m, n)
            for n, m in (("W1", matrix(2, 3)), ("b", matrix(3)), ("W2", matrix(3, 2)))
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def term(source: random.Random, depth: int) -> str:
    if depth == 0 or source.random() < 0.3:
        return source.choice(NAMES) if source.random() < 0.75 else f"{source.randint(-30, 30) / 10:.1f}"
    parts = " ".join(term(source, depth - 1) for _ in range(source.choice((2, 2, 3))))
    return f"({source.choice('+-**')} {parts})"


def formula(source: random.Random, depth: int) -> str:
    if depth == 0 or source.random() < 0.3:
        operator = source.choice(("<", "<=", ">", ">=", "<=", ">=", "!="))
        return f"({operator} {source.choice(NAMES)} {term(source, 2)})"
    parts = " ".join(formula(source, depth - 1) for _ in range(2))
    return f"({source.choice(('and', 'and', 'or'))} {parts})"


def text(source: random.Random) -> str:
    linked = source.choice(
        (
            "(assert (== X[0] A[0]))(assert (and (>= A[1] -0.5) (<= A[1] 0.5)))",
            "(assert (== X[0] A[0]))(assert (== (- A[1] X[1]) 0.0))",
            "(assert (and (<= (- A[0] X[0]) 0.25) (>= A[0] X[0])))(assert (== A[1] (* -1.0 X[1])))",
        )
    )
    relation = source.choice(("equal-to", "isomorphic-to"))
    asserted = "".join(f"(assert {formula(source, 2)})\n" for _ in range(source.choice((2, 3))))
    return NETWORKS.format(relation=relation) + BOX + linked + asserted


def someone_holds(query: Query, seed: int) -> bool:
    """Whether some sampled point is in a region and unsafe, by more than rounding."""
    generator = torch.Generator().manual_seed(seed)
    for clause in query.clauses:
        x = clause.region.sample(SAMPLES, generator)
        if bool(clause.violated_by(x, query.graph(x)).any()):
            return True
    return False


@pytest.mark.parametrize("seed", range(20))
def test_the_normal_form_leaves_nothing_out(tmp_path: Path, seed: int) -> None:
    source = random.Random(100 + seed)
    for name in ("f", "g"):
        save(tmp_path / f"{name}.onnx", source)
    path = tmp_path / "q.vnnlib"
    path.write_text(text(source).replace("equal-to", "isomorphic-to"))
    query = load_query({name: str(tmp_path / f"{name}.onnx") for name in "fg"}, str(path))
    prop = merge_equal_inputs(load_property(path), ["float32"] * 4)
    for clause in query.clauses:
        x = clause.region.sample(100, torch.Generator().manual_seed(seed))
        y = query.graph(x)
        known = torch.stack([c.violated_by(x, y) for c in query.clauses]).any(dim=0).tolist()
        for point, outputs, hit in zip(x.tolist(), y[:, : prop.outputs].tolist(), known, strict=True):
            assert hit or not prop.holds_at(point, outputs)[0]


@pytest.mark.parametrize("seed", range(8))
def test_unsat_is_true_of_every_sample(tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)
    for name in ("f", "g"):
        save(tmp_path / f"{name}.onnx", source)
    query = tmp_path / "q.vnnlib"
    query.write_text(text(source))
    models = {"f": str(tmp_path / "f.onnx")}
    if "equal-to" not in query.read_text():
        models["g"] = str(tmp_path / "g.onnx")
    found = verify(Job(models, str(query), SECONDS, device="cpu", seed=seed), Deadline.after(SECONDS))
    assert found["verdict"] in ("sat", "unsat", "unknown", "timeout"), found["reason"]
    if found["verdict"] == "unsat":
        assert not someone_holds(load_query(models, str(query)), seed)
