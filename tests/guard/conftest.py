# SPDX-License-Identifier: Apache-2.0
"""Models of a few nodes, boxes around their inputs, and what the guard says of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from vnnverify.guard import Guard
from vnnverify.importer import Model, read_model
from vnnverify.ir import Graph
from vnnverify.loading.loader import build_query
from vnnverify.query import Query
from vnnverify.vnnlib import parse_property

Nodes = Sequence[onnx.NodeProto]


def model(
    nodes: Nodes,
    size: int,
    constants: Mapping[str, np.ndarray] | None = None,
    *,
    shape: Sequence[int] | None = None,
    opset: int = 17,
    kind: int = TensorProto.FLOAT,
    out: int = TensorProto.FLOAT,
) -> Model:
    """x (1, size) to y, of whatever shape it has."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", kind, list(shape or (1, size)))],
        [helper.make_tensor_value_info("y", out, [None] * len(shape or (1, size)))],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return read_model(proto.SerializeToString())


def query(found: Model, lower: float, upper: float, never: str = "(assert (>= Y_0 1e30))") -> Query:
    """About every input between the two."""
    inputs, outputs = found.graph.input_size, found.graph.output_size
    lines = [f"(declare-const X_{k} Real)" for k in range(inputs)]
    lines += [f"(declare-const Y_{k} Real)" for k in range(outputs)]
    lines += [f"(assert (>= X_{k} {lower!r}))\n(assert (<= X_{k} {upper!r}))" for k in range(inputs)]
    return build_query(found, parse_property("\n".join([*lines, never]), "p.vnnlib"))


def checked(about: Query, graph: Graph | None = None) -> Guard:
    """The guard after it has compared; `graph` stands for what the model was read as."""
    guard = Guard(about if graph is None else dataclasses.replace(about, graph=graph))
    guard.check()
    return guard


@pytest.fixture
def make_model() -> Callable[..., Model]:
    return model


@pytest.fixture
def ask() -> Callable[..., Query]:
    return query


@pytest.fixture
def check() -> Callable[..., Guard]:
    return checked


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)
