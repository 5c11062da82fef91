# SPDX-License-Identifier: Apache-2.0
"""Small models of several types, run by onnxruntime without optimisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

__all__ = ["chain", "run"]


def chain(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, onnx.TensorProto | np.ndarray] | None = None,
    *,
    size: int = 6,
    opset: int = 21,
    kind: int = TensorProto.FLOAT,
    to: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """Nodes from x (size,) to y of as many axes, of the given types."""
    tensors = []
    for name, found in (constants or {}).items():
        tensor = onnx.TensorProto()
        tensor.CopyFrom(
            found if isinstance(found, onnx.TensorProto) else onnx.numpy_helper.from_array(np.asarray(found))
        )
        tensor.name = name
        tensors.append(tensor)
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", kind, [size])],
        [helper.make_tensor_value_info("y", to, ["any"])],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def run(model: onnx.ModelProto, points: np.ndarray) -> np.ndarray:
    """The model at each of the points (count, size), flattened."""
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    kind = onnx.helper.tensor_dtype_to_np_dtype(model.graph.input[0].type.tensor_type.elem_type)
    rows = [session.run(None, {"x": point.astype(kind)})[0] for point in points]
    return np.stack([np.asarray(row).reshape(-1).astype(np.float64) for row in rows])
