# SPDX-License-Identifier: Apache-2.0
"""Models of one node of any domain, held against onnxruntime, and their bounds against samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from vnnverify.domains.interval import bounds
from vnnverify.importer import Model, read_model
from vnnverify.query import Box

KINDS = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8, "int64": TensorProto.INT64}


@dataclass(frozen=True, eq=False)
class OneNode:
    """A node and what it reads: a tuple is a float variable of that shape, an array a constant, None nothing.

    With `cast`, variables are cast to that type first.
    """

    op: str
    inputs: tuple[Any, ...]
    domain: str = ""
    opset: int = 18
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: int = 1
    out_kind: int = TensorProto.FLOAT  # of the first output; further ones are floats
    cast: str = ""
    low: float = -2.0
    high: float = 2.0

    def __str__(self) -> str:
        return f"{self.op}-{self.attributes}".replace(" ", "")

    @cached_property
    def data(self) -> bytes:
        names = [f"in{k}" if part is not None else "" for k, part in enumerate(self.inputs)]
        variables = [(n, p) for n, p in zip(names, self.inputs, strict=True) if isinstance(p, tuple)]
        nodes, read = [], list(names)
        if self.cast:
            for name, _ in variables:
                nodes.append(helper.make_node("Cast", [name], [f"{name}c"], to=KINDS[self.cast]))
                read[names.index(name)] = f"{name}c"
        outs = [f"out{k}" for k in range(self.outputs)]
        nodes.append(helper.make_node(self.op, read, outs, "the_node", domain=self.domain, **self.attributes))
        graph = helper.make_graph(
            nodes,
            "one",
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, p) for n, p in variables],
            [
                helper.make_tensor_value_info(n, TensorProto.FLOAT if k else self.out_kind, None)
                for k, n in enumerate(outs)
            ],
            [
                numpy_helper.from_array(p, n)
                for n, p in zip(names, self.inputs, strict=True)
                if isinstance(p, np.ndarray)
            ],
        )
        for value in graph.output:
            value.type.tensor_type.shape.dim.add(dim_param="n")
        opsets = [helper.make_opsetid("", self.opset if not self.domain else 18)]
        if self.domain:
            opsets.append(helper.make_opsetid(self.domain, self.opset if self.domain == "ai.onnx.ml" else 1))
        return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())

    @cached_property
    def model(self) -> Model:
        return read_model(self.data)

    def points(self, count: int) -> torch.Tensor:
        n = sum(prod(p) for p in self.inputs if isinstance(p, tuple))
        x = (
            torch.rand(count, n, generator=torch.Generator().manual_seed(5)) * (self.high - self.low)
            + self.low
        )
        return (x.round() if self.cast else x).double()

    def run(self, x: torch.Tensor) -> np.ndarray:
        """What onnxruntime computes, flat, with optimisation off."""
        return run_onnxruntime(self.data, x)


def run_onnxruntime(data: bytes, x: torch.Tensor) -> np.ndarray:
    """Flat outputs (count, m) at points (count, n), in onnxruntime with optimisation off."""
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(data, settings, providers=["CPUExecutionProvider"])
    proto = onnx.load_from_string(data)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in proto.graph.input}
    rows = []
    for point in x.numpy():
        feed, start = {}, 0
        for value in session.get_inputs():
            size = prod(shapes[value.name])
            part = point[start : start + size].reshape(shapes[value.name])
            feed[value.name] = part.astype(np.float64 if "double" in value.type else np.float32)
            start += size
        rows.append(np.concatenate([np.asarray(v).reshape(-1) for v in session.run(None, feed)]))
    return np.stack(rows).astype(np.float64)


def check_values(one: OneNode, count: int = 20, *, exact: bool = False) -> None:
    """The graph computes what onnxruntime does; with `exact`, to the last unit."""
    x = one.points(count)
    expected, found = one.run(x), one.model.graph(x).numpy()
    assert found.shape == expected.shape
    tolerance = {"rtol": 0.0, "atol": 0.0} if exact else {"rtol": 2e-5, "atol": 2e-6}
    np.testing.assert_allclose(found, expected, **tolerance)


def check_bounds(one: OneNode, count: int = 200, width: float = 0.5) -> None:
    """Interval bounds over a box hold what onnxruntime computes inside it."""
    centre = one.points(1)[0]
    lower, upper = (centre - width).clamp(min=one.low), (centre + width).clamp(max=one.high)
    low, high = bounds(one.model.graph, Box(lower, upper))
    x = lower + torch.rand(count, len(centre), generator=torch.Generator().manual_seed(6)) * (upper - lower)
    x = x.float().double().clamp(lower, upper)
    y = one.run(x)
    slack = 1e-5 * (1 + np.abs(y))
    assert (y >= low.numpy() - slack).all()
    assert (y <= high.numpy() + slack).all()
