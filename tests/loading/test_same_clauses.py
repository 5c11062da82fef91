# SPDX-License-Identifier: Apache-2.0
"""Where a text of VNN-LIB 1.0 and one of 2.0 say the same, the clauses are equal."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from vnnverify.errors import SpecError
from vnnverify.importer import load_model
from vnnverify.loading.loader import load_query
from vnnverify.query import Polytope, Query
from vnnverify.vnnlib import load_property
from vnnverify.vnnlib.translation import translate

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT.parent / "shared" / "published-2.0"
FAR_APART = " coefficients beyond the range of float64, or too far apart for it; scale them"
BIG = 64 << 20
"""Bytes of a model beyond which reading it takes too long for a test."""


def published() -> list[tuple[str, str, str]]:
    if not PUBLISHED.is_dir():
        return []
    with (PUBLISHED / "pairs.csv").open(newline="") as file:
        return [(row["onnx"], row["one"], row["two"]) for row in csv.DictReader(file)]


def numbers(polytope: Polytope | None) -> object:
    return polytope and (polytope.A.tolist(), polytope.b.tolist(), polytope.strict.tolist())


def clauses(query: Query) -> list[object]:
    return [
        (
            c.region.lower.tolist(),
            c.region.upper.tolist(),
            numbers(c.region.linear),
            [*map(numbers, c.unsafe)],
        )
        for c in query.clauses
    ]


def assert_same(model: Path, one: Path, two: Path) -> None:
    found: list[Query] = []
    refused = []
    for path in (one, two):
        try:
            found.append(load_query(str(model), str(path), opaque=True))
        except SpecError as error:
            refused.append(str(error).rpartition(":")[2])
    if refused:
        assert (
            refused == [" coefficients beyond the range of float64, or too far apart for it; scale them"] * 2
        )
        return
    first, second = found
    assert clauses(first) == clauses(second)
    x = first.clauses[0].region.sample(8, torch.Generator().manual_seed(0)) if first.clauses else None
    if x is not None:
        assert torch.equal(first.graph(x), second.graph(x))


@pytest.mark.skipif(not published(), reason="the published pairs are not at hand, in ../shared/published-2.0")
@pytest.mark.parametrize(("model", "one", "two"), published(), ids=lambda text: Path(text).stem)
def test_published_pairs(model: str, one: str, two: str) -> None:
    path = PUBLISHED / model
    if path.stat().st_size > BIG:
        pytest.skip("a large model")
    assert_same(path, PUBLISHED / one, PUBLISHED / two)


def save(path: Path) -> None:
    """A network of two inputs, (1, 2) and (2, 1, 2), and outputs (1, 2) and a scalar."""
    graph = helper.make_graph(
        [
            helper.make_node("Relu", ["a"], ["y"]),
            helper.make_node("ReduceSum", ["b"], ["s"], keepdims=0),
            helper.make_node("Tanh", ["s"], ["z"]),
        ],
        "g",
        [
            helper.make_tensor_value_info("a", TensorProto.FLOAT, [1, 2]),
            helper.make_tensor_value_info("b", TensorProto.FLOAT, [2, 1, 2]),
        ],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2]),
            helper.make_tensor_value_info("z", TensorProto.FLOAT, []),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def text(source: random.Random) -> str:
    """A random property of that network in VNN-LIB 1.0."""
    x, y = [f"X_{k}" for k in range(6)], [f"Y_{k}" for k in range(3)]
    literals = ["0", "-1", "1.5", "2.5e-1", "-.5", "1e-12", "+3", "0.1", "7.", "1E2"]
    literals += ["1e400", "-1e400", "1e-400"]

    def term(depth: int) -> str:
        if depth == 0 or source.random() < 0.4:
            return source.choice([source.choice(x), *y, source.choice(literals)])
        head = source.choice("+-*")
        return f"({head} {' '.join(term(depth - 1) for _ in range(source.choice((2, 2, 3))))})"

    def formula(depth: int) -> str:
        if depth == 0 or source.random() < 0.3:
            left = source.choice([*x, *y, term(1)])
            return f"({source.choice(('<=', '>=', '<', '>'))} {left} {term(2)})"
        return f"({source.choice(('and', 'or'))} {' '.join(formula(depth - 1) for _ in range(2))})"

    bounds = [
        f"(assert (and (>= {name} -2) (<= {name} {source.choice(('2', '3.25', '2.0e0'))})))" for name in x
    ]
    asserted = [f"(assert {formula(2)})" for _ in range(source.choice((1, 2, 3)))]
    return "\n".join([*(f"(declare-const {name} Real)" for name in (*x, *y)), *bounds, *asserted])


@pytest.mark.parametrize("seed", range(40))
def test_random_properties_translated(seed: int, tmp_path: Path) -> None:
    source = random.Random(seed)
    model, one, two = (tmp_path / name for name in ("m.onnx", "one.vnnlib", "two.vnnlib"))
    save(model)
    one.write_text(text(source))
    two.write_text("\n".join(translate(load_property(one), load_model(str(model)).layout)))
    assert_same(model, one, two)


@pytest.mark.parametrize(
    "equal",
    [
        "(= X_0 X_3)",
        "(and (= X_0 X_3) (= (- X_5 X_3) 0))",
        "(= X_0 (+ X_1 1))",
        "(or (= X_0 X_1) (= X_2 X_3))",
    ],
)
def test_inputs_that_are_set_equal(equal: str, tmp_path: Path) -> None:
    model, one, two = (tmp_path / name for name in ("m.onnx", "one.vnnlib", "two.vnnlib"))
    save(model)
    names = [f"X_{k}" for k in range(6)]
    declared = "".join(f"(declare-const {name} Real)\n" for name in (*names, "Y_0", "Y_1", "Y_2"))
    bounds = "".join(f"(assert (and (>= {name} -2) (<= {name} 2)))\n" for name in names)
    one.write_text(f"{declared}{bounds}(assert {equal})\n(assert (>= Y_0 1))\n")
    two.write_text("\n".join(translate(load_property(one), load_model(str(model)).layout)))
    assert_same(model, one, two)
    point = torch.tensor([1.5, 0.5, 1.0, 1.5, 0.0, 1.5], dtype=torch.float64)
    first, second = (load_query(str(model), str(path)) for path in (one, two))
    assert first.layout.columns == second.layout.columns
    (a, b) = (query.source.replay(query.layout.gather(point)) for query in (first, second))
    assert (a.valid, a.x, a.y) == (b.valid, b.x, b.y) and len(a.x) == 6
    assert a.valid is ("or" not in equal)
