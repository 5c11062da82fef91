# SPDX-License-Identifier: Apache-2.0
"""A model of one node, and constants for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import torch
from onnx import TensorProto, helper, numpy_helper, shape_inference

from vnnverify.importer import Model, read_model

__all__ = ["Case", "case", "ints", "number", "weights"]

RNG = np.random.default_rng(7)


def weights(*shape: int, low: float = -1.0, high: float = 1.0) -> np.ndarray:
    return RNG.uniform(low, high, shape).astype(np.float32)


def number(value: float) -> np.ndarray:
    return np.array(value, dtype=np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Case:
    """One node. A tuple is a variable of that shape, an array a constant, None an input left out."""

    op: str
    inputs: tuple[Any, ...]
    attributes: dict[str, Any]
    opset: int
    outputs: int
    low: float
    high: float
    note: str
    whole: bool = False  # whether the node reads its variables cast to whole numbers
    kind: int = TensorProto.FLOAT  # of the outputs

    @property
    def id(self) -> str:
        shapes = "x".join("_".join(map(str, i)) or "scalar" for i in self.inputs if isinstance(i, tuple))
        given = "-".join(f"{k}={v}".replace(" ", "") for k, v in self.attributes.items())
        return "-".join(p for p in (self.op, str(self.opset), shapes, given, self.note) if p)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape of the outputs where onnx does not infer it."""
        uninferred = ("GroupNormalization", "MeanVarianceNormalization")
        return self.inputs[0] if self.op in uninferred else None

    @cached_property
    def data(self) -> bytes:
        names = [f"in{k}" if i is not None else "" for k, i in enumerate(self.inputs)]
        outs = [f"out{k}" for k in range(self.outputs)]
        nodes, read = [], list(names)
        kinds = [self.kind] * self.outputs
        if self.op == "TopK":
            kinds = [TensorProto.INT64 if self.whole else TensorProto.FLOAT, TensorProto.INT64]
        for k, i in enumerate(self.inputs):
            if self.whole and isinstance(i, tuple):
                read[k] = f"whole{k}"
                nodes.append(helper.make_node("Cast", [names[k]], [read[k]], to=TensorProto.INT64))
        nodes.append(helper.make_node(self.op, read, outs, name="the_node", **self.attributes))
        graph = helper.make_graph(
            nodes,
            "one",
            [
                helper.make_tensor_value_info(n, TensorProto.FLOAT, i)
                for n, i in zip(names, self.inputs, strict=True)
                if isinstance(i, tuple)
            ],
            [helper.make_tensor_value_info(n, kind, self.shape) for n, kind in zip(outs, kinds, strict=True)],
            [
                numpy_helper.from_array(i, n)
                for n, i in zip(names, self.inputs, strict=True)
                if isinstance(i, np.ndarray)
            ],
        )
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        return shape_inference.infer_shapes(model, data_prop=True).SerializeToString()

    @cached_property
    def model(self) -> Model:
        return read_model(self.data, path=self.op)

    def points(self, count: int) -> torch.Tensor:
        """Points (count, n), exact in float32."""
        n = sum(prod(i) for i in self.inputs if isinstance(i, tuple))
        generator = torch.Generator().manual_seed(11)
        x = torch.rand(count, n, generator=generator) * (self.high - self.low) + self.low
        return x.double()


def case(
    op: str,
    *inputs: Any,
    opset: int = 13,
    outputs: int = 1,
    low: float = -2.0,
    high: float = 2.0,
    note: str = "",
    whole: bool = False,
    kind: int = TensorProto.FLOAT,
    **attributes: Any,
) -> Case:
    return Case(op, inputs, attributes, opset, outputs, low, high, note, whole, kind)
