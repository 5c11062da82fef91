# SPDX-License-Identifier: Apache-2.0
"""Small properties and the graphs to put them on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from vnnverify.ir import Graph, Node, Value
from vnnverify.ops.linear import Linear
from vnnverify.query import Layout, Query, Replay, TensorSpec
from vnnverify.vnnlib import ParsedProperty, normalize, parse_property


class NoReplay:
    """A source that is never asked."""

    def replay(self, x: torch.Tensor) -> Replay:
        raise AssertionError("normalisation replays nothing")


def declarations(inputs: int, outputs: int) -> str:
    """X_0 … and Y_0 …, one a line."""
    names = [f"X_{k}" for k in range(inputs)] + [f"Y_{k}" for k in range(outputs)]
    return "".join(f"(declare-const {name} Real)\n" for name in names)


def model(inputs: int, outputs: int) -> tuple[Graph, Layout]:
    """One matrix product whose output k is the sum of all inputs plus k."""
    x, y = Value("in", (1, inputs)), Value("out", (1, outputs))
    weight = torch.ones(outputs, inputs, dtype=torch.float64)
    bias = torch.arange(outputs, dtype=torch.float64)
    layout = Layout(
        (TensorSpec("in", (1, inputs), "float32"),), (TensorSpec("out", (1, outputs), "float32"),)
    )
    return Graph((x,), (y,), (Node(Linear(weight, bias), (x,), y, "sum"),)), layout


@pytest.fixture
def declare() -> Callable[[int, int], str]:
    return declarations


@pytest.fixture
def prop() -> Callable[[int, int, str], ParsedProperty]:
    """prop(inputs, outputs, assertions) -> the property."""

    def build(inputs: int, outputs: int, assertions: str) -> ParsedProperty:
        return parse_property(declarations(inputs, outputs) + assertions, "p.vnnlib")

    return build


@pytest.fixture
def compiled() -> Callable[..., Query]:
    """compiled(property, inputs, outputs) -> the query on a model of that size, by default one that fits."""

    def build(found: ParsedProperty, inputs: int = 0, outputs: int = 0) -> Query:
        return normalize(found, *model(inputs or found.inputs, outputs or found.outputs), NoReplay())

    return build
