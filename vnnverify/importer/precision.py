# SPDX-License-Identifier: Apache-2.0
"""How coarsely a model computes."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import TensorProto

__all__ = ["model_roundoff"]

_ROUNDOFF: dict[int, float] = {
    TensorProto.DOUBLE: 2.0**-53,
    TensorProto.FLOAT: 2.0**-24,
    TensorProto.FLOAT16: 2.0**-11,
    TensorProto.BFLOAT16: 2.0**-8,
}
_NARROW = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
_EXACT = {
    "Cast", "CastLike", "Concat", "Constant", "ConstantOfShape", "DequantizeLinear", "Expand", "Flatten",
    "Gather", "Identity", "QuantizeLinear", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
}  # fmt: skip
"""Operators that do not compute with the numbers of their result's type: they copy, or are read as steps."""


def model_roundoff(proto: onnx.ModelProto) -> float:
    """The unit roundoff of the coarsest float type that the model computes in: 2^-24 for float32.

    Half precision counts only where an operator computes in it; a cast to it and back is a step of its own.
    """
    types = set(_types(proto.graph))
    if types & set(_NARROW):
        types = (types - set(_NARROW)) | (set(_computed(proto)) & set(_NARROW))
    return max((_ROUNDOFF[kind] for kind in types if kind in _ROUNDOFF), default=2.0**-24)


def _types(graph: onnx.GraphProto) -> Iterator[int]:
    """The element types that the graph mentions."""
    for tensor in graph.initializer:
        yield tensor.data_type
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield value.type.tensor_type.elem_type
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name in ("to", "dtype"):
                yield attribute.i
            if attribute.HasField("t"):
                yield attribute.t.data_type
            for inner in [attribute.g] if attribute.HasField("g") else []:
                yield from _types(inner)


def _computed(proto: onnx.ModelProto) -> Iterator[int]:
    """The types of what nodes compute, or of everything where they cannot be inferred."""
    try:
        graph = onnx.shape_inference.infer_shapes(proto).graph
    except Exception:  # onnx raises what its C++ raises
        yield from _types(proto.graph)
        return
    known = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.output)}
    for node in graph.node:
        if any(attribute.HasField("g") for attribute in node.attribute):
            yield from _types(graph)
        if node.op_type not in _EXACT:
            yield from (known.get(key, TensorProto.FLOAT) for key in node.output if key)
