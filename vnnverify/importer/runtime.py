# SPDX-License-Identifier: Apache-2.0
"""What onnxruntime makes of one node: the last word on what an operator and its attributes mean.

Constants are folded by it, and readers of operators that move, pick or mix elements ask it for the places or
the weights. Equal nodes share a session, as there may be thousands of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from vnnverify.errors import UnsupportedModelError
from vnnverify.importer.element_types import is_narrow, result_types, widened, wider
from vnnverify.importer.parsing import one_line
from vnnverify.importer.proto import node_attributes

__all__ = ["computed", "outputs_of"]

_IR_VERSION = 10


def computed(
    op_type: str,
    inputs: Sequence[np.ndarray | None],
    attributes: Mapping[str, Any],
    opset: int,
    title: str,
) -> np.ndarray:
    """The first output of an ONNX operator for these inputs, on the CPU and without optimisations.

    Args:
        inputs: None is one left out.
        title: what messages call the node.

    Raises:
        UnsupportedModelError: onnxruntime does not run it.
    """
    names = [f"in{k}" if x is not None else "" for k, x in enumerate(inputs)]
    node = helper.make_node(op_type, names, ["out"], **attributes)
    try:
        return outputs_of(node, inputs, opset)[0]
    except Exception as error:  # onnxruntime raises types of its own, and bare ones
        raise UnsupportedModelError(f"{title}: onnxruntime does not run it ({one_line(error)})") from error


def outputs_of(node: onnx.NodeProto, inputs: Sequence[np.ndarray | None], opset: int) -> list[np.ndarray]:
    """The outputs of a node by a session of it alone. What numpy has no type for goes in and comes out wider.

    Raises:
        Exception: whatever onnxruntime raises.
    """
    types = [None if x is None else x.dtype for x in inputs]
    kinds = result_types(node, opset, node_attributes(node.attribute, node.name), types)
    outputs = [key for key in node.output if key]
    rows = _session(_alone(node, types, kinds, opset)).run(
        None, {f"in{k}": widened(x) for k, x in enumerate(inputs) if x is not None}
    )
    made = [kind for key, kind in zip(node.output, kinds, strict=True) if key]
    if not all(isinstance(row, np.ndarray) for row in rows) or len(rows) != len(outputs):
        raise TypeError("it makes something else than tensors")
    return [row.astype(kind) if is_narrow(kind) else row for row, kind in zip(rows, made, strict=True)]


def _alone(
    node: onnx.NodeProto, types: Sequence[np.dtype | None], kinds: Sequence[np.dtype], opset: int
) -> bytes:
    """A model of the node with names of its own, so that equal nodes make equal models."""
    given = [f"in{k}" if kind is not None else "" for k, kind in enumerate(types)]
    found = [f"out{k}" if key else "" for k, key in enumerate(node.output)]
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.name = copy.doc_string = ""
    del copy.input[:], copy.output[:]
    copy.input.extend(given)
    copy.output.extend(found)
    before, after, results = [], [], list(found)
    for k, kind in enumerate(types):
        if kind is not None and is_narrow(kind):
            copy.input[k] = f"narrow{k}"
            before.append(helper.make_node("Cast", [given[k]], [f"narrow{k}"], to=_number_of(kind)))
    for k, kind in enumerate(kinds):
        if found[k] and is_narrow(kind):
            results[k] = f"wide{k}"
            after.append(helper.make_node("Cast", [found[k]], [results[k]], to=_number_of(wider(kind))))
    graph = helper.make_graph(
        [*before, copy, *after],
        "fold",
        [
            helper.make_tensor_value_info(key, _number_of(wider(kind)), None)
            for key, kind in zip(given, types, strict=True)
            if kind is not None
        ],
        [onnx.ValueInfoProto(name=key) for key in results if key],
    )
    opsets = [helper.make_opsetid("", opset)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION).SerializeToString())


def _number_of(kind: np.dtype) -> int:
    return TensorProto.STRING if kind.kind in "USO" else helper.np_dtype_to_tensor_dtype(kind)


@lru_cache(maxsize=64)
def _session(model: bytes) -> Any:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.enable_cpu_mem_arena = False
    settings.log_severity_level = 4
    return onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
