# SPDX-License-Identifier: Apache-2.0
"""Small models for the tests of the importer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

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
