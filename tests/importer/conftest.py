# SPDX-License-Identifier: Apache-2.0
"""Small models for the tests of the importer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from vnnverify.domains import interval
from vnnverify.guard.agreement import check_against_onnxruntime
from vnnverify.importer import Model, read_model

Shapes = Mapping[str, Sequence[int | str] | None]


def _build(
    nodes: Sequence[onnx.NodeProto],
    inputs: Shapes,
    outputs: Shapes,
    constants: Mapping[str, np.ndarray] | None = None,
    *,
    opset: int = 13,
    kind: int = TensorProto.FLOAT,
    listed: bool = False,
    ir_version: int = 8,
    opsets: Sequence[onnx.OperatorSetIdProto] = (),
) -> onnx.ModelProto:
    """A model; `listed` also names its constants among the inputs, as old files do."""
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()]
    declared = [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()]
    if listed:
        declared += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
    results = [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()]
    graph = helper.make_graph(list(nodes), "g", declared, results, tensors)
    imported = [helper.make_opsetid("", opset), *opsets]
    return helper.make_model(graph, opset_imports=imported, ir_version=ir_version)


@pytest.fixture
def build() -> Callable[..., onnx.ModelProto]:
    return _build


def _tried(proto: onnx.ModelProto, radius: float = 0.05, *, low: float = -1.0, high: float = 1.0) -> Model:
    model = read_model(proto.SerializeToString())
    graph = model.graph
    generator = torch.Generator().manual_seed(4)
    spread = torch.rand(4, graph.input_size, generator=generator, dtype=torch.float64)
    centres = (low + spread * (high - low)).float().double()
    assert check_against_onnxruntime(model, centres) < 1e-5
    for centre in centres:
        x = centre + radius * (
            2 * torch.rand(60, *centre.shape, generator=generator, dtype=torch.float64) - 1
        )
        ends = interval.bounds_of_values(graph, centre[None] - radius, centre[None] + radius)
        least, most = (graph.join_outputs({v: ends[v][k] for v in graph.outputs}) for k in (0, 1))
        y = graph(x)
        assert bool(((least <= y) & (y <= most)).all())
        assert bool(torch.isfinite(most - least).all())
    return model


@pytest.fixture
def tried() -> Callable[..., Model]:
    """Reads a model, having compared it with onnxruntime, and its bounds, which are finite, with samples.

    Takes the model, the radius of the boxes, and between which numbers their centres lie.
    """
    return _tried
