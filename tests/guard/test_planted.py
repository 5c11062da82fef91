# SPDX-License-Identifier: Apache-2.0
"""Operators that compute something else, planted one at a time: no competition network gets past it."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from vnnverify.guard import Guard
from vnnverify.guard.comparison import Comparison
from vnnverify.guard.points import as_read
from vnnverify.ir import Op
from vnnverify.loading.loader import load_query
from vnnverify.ops.arrangement import Concat, Transpose
from vnnverify.ops.bilinear import MatMul, Mul
from vnnverify.ops.conv import Conv, ConvTranspose
from vnnverify.ops.linear import Linear
from vnnverify.ops.maximum import MaxPool
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.sigmoidal import Sigmoid, Tanh
from vnnverify.ops.steps import Sign
from vnnverify.ops.sums import Sum
from vnnverify.query import Query

FOLDER = Path(__file__).parents[3] / "shared" / "benchmarks"
MOST = 2
"""Networks for each misreading."""

PLANTED: dict[str, tuple[type[Op], Callable[[Tensor], Tensor]]] = {
    "a leaking ReLU": (Relu, lambda y: y - 1e-2),
    "a product off by a thousandth": (Linear, lambda y: y * 1.001),
    "a convolution turned round": (Conv, lambda y: y.flip(-1)),
    "a convolution off by a thousandth": (Conv, lambda y: y * 1.001),
    "a transposed convolution shifted": (ConvTranspose, lambda y: y.roll(1, -1)),
    "a sigmoid off by a hundredth": (Sigmoid, lambda y: y + 1e-2),
    "a tanh off by a hundredth": (Tanh, lambda y: y * 0.99),
    "a sign without zero and minus": (Sign, lambda y: y.clamp(min=0.0)),
    "a pool of the wrong window": (MaxPool, lambda y: y.roll(1, -1)),
    "a product of variables off by a hundredth": (MatMul, lambda y: y * 1.01),
    "a product of elements off by a hundredth": (Mul, lambda y: y * 1.01),
    "parts joined in another order": (Concat, lambda y: y.flip(-1)),
    "axes in another order": (Transpose, lambda y: y.flip(-1)),
    "a sum that doubles": (Sum, lambda y: 2 * y),
}


def instances() -> Iterator[tuple[str, str]]:
    """Model and property of the first instance of each network, the smallest files first."""
    found: dict[Path, Path] = {}
    for listing in sorted(FOLDER.glob("*/instances.csv")):
        with listing.open(newline="", encoding="utf-8") as file:
            for row in csv.reader(file):
                model, prop = (_packed(listing.parent / cell.strip()) for cell in row[:2])
                found.setdefault(model, prop)
    for model, prop in sorted(found.items(), key=lambda pair: pair[0].stat().st_size):
        yield str(model), str(prop)


def _packed(path: Path) -> Path:
    return path if path.exists() else path.with_name(path.name + ".gz")


@pytest.fixture(scope="module")
def queries() -> list[Query]:
    """Some networks of every family; of each family the three smallest."""
    if not FOLDER.exists():
        pytest.skip("the competition's networks are not at hand")
    seen: dict[str, int] = {}
    found = []
    for model, prop in instances():
        family = Path(model).parts[-3]
        if seen.get(family, 0) < 3:
            seen[family] = seen.get(family, 0) + 1
            found.append(load_query(model, prop))
    return found


def agrees(query: Query) -> bool:
    """Whether the planted operator changes nothing at many other points, as a factor before a sign."""
    comparison = Comparison(query.graph, query.layout, query.source.models)
    x = query.clauses[0].region.sample(100, torch.Generator().manual_seed(9))
    return comparison.at(as_read(x, query.layout), query.source.judges)[0] is None


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", PLANTED)
def test_planted_operator_is_seen(name: str, queries: list[Query], monkeypatch: pytest.MonkeyPatch) -> None:
    kind, change = PLANTED[name]
    right = kind.__call__
    fitting = [q for q in queries if any(type(n.op) is kind for n in q.graph.nodes)][:MOST]
    if not fitting:
        pytest.skip(f"no network here has a {kind.__name__}")

    def wrong(self: Any, *inputs: Tensor) -> Tensor:
        return change(right(self, *inputs))

    for query in fitting:
        clean = Guard(query)
        clean.check()
        assert clean.objection == ""
    monkeypatch.setattr(kind, "__call__", wrong)
    for query in fitting:
        guard = Guard(query)
        guard.check()
        assert "read differently" in guard.objection or agrees(query), name
