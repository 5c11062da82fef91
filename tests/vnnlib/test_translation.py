# SPDX-License-Identifier: Apache-2.0
"""A property and its translation compile to the same query, number by number."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vnnverify.errors import SpecError
from vnnverify.importer import load_model
from vnnverify.loading.loader import build_query
from vnnverify.query import Layout, Query, TensorSpec
from vnnverify.vnnlib import load_property, parse_property
from vnnverify.vnnlib.second import parse_second
from vnnverify.vnnlib.translation import translate

ROOT = Path(__file__).parents[2]
SPECS = [p for p in sorted((ROOT / "specs").glob("*.vnnlib")) if not p.stem.startswith("pair_")]


def numbers(query: Query) -> list[torch.Tensor]:
    found = []
    for clause in query.clauses:
        found += [clause.region.lower, clause.region.upper]
        polytopes = [*clause.unsafe, *([clause.region.linear] if clause.region.linear else [])]
        found += [t.double() for p in polytopes for t in (p.A, p.b, p.strict)]
    return found


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_same_query(path: Path) -> None:
    stems = sorted(
        (p for p in (ROOT / "models_onnx").glob("*.onnx") if path.stem.startswith(p.stem)), key=len_of
    )
    if not stems:
        pytest.skip(f"{path.stem} is about a model that is called otherwise")
    model = load_model(str(stems[-1]))
    old = load_property(path)
    new = parse_second("\n".join(translate(old, model.layout)), "new.vnnlib")
    pairs = zip(numbers(build_query(model, old)), numbers(build_query(model, new)), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def len_of(path: Path) -> int:
    return len(path.stem)


def layout(*types: str) -> Layout:
    first, second, third = types
    names = (TensorSpec("in:0", (1,), first), TensorSpec("in_0", (2, 1), second))
    return Layout(names, (TensorSpec("7", (), third),))


OLD = (
    "".join(f"(declare-const {name} Real)" for name in ("X_0", "X_1", "X_2", "Y_0")) + "(assert (<= X_2 Y_0))"
)


@pytest.mark.parametrize(
    ("types", "declared"), [(("float64",) * 3, "float64"), (("float32", "int64", "float32"), "real")]
)
def test_names_shapes_and_types(types: tuple[str, ...], declared: str) -> None:
    assert list(translate(parse_property(OLD), layout(*types))) == [
        "(vnnlib-version <2.0>)",
        "(declare-network N",
        f"    (declare-input in_0 {declared} [1])",
        f"    (declare-input in_0_2 {declared} [2,1])",
        f"    (declare-output Y {declared} [])",
        ")",
        "(assert (<= in_0_2[1,0] Y))",
    ]


def test_refuses_what_does_not_fit() -> None:
    floats = layout("float32", "float32", "float32")
    few = parse_property(OLD.replace("(declare-const X_2 Real)", "").replace("<= X_2", "<= X_1"))
    with pytest.raises(SpecError, match="declares 2 inputs X, the model has 3"):
        list(translate(few, floats))
    new = parse_property("\n".join(translate(parse_property(OLD), floats)))
    with pytest.raises(SpecError, match=r"is VNN-LIB 2\.0 already"):
        list(translate(new, floats))
