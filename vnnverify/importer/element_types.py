# SPDX-License-Identifier: Apache-2.0
"""Element types of what a node computes, as its ONNX schema states them.

The graph computes with reals; the types tell which of them are whole numbers or truth values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import defs

from vnnverify.importer.foreign_types import foreign_type

__all__ = ["result_types", "whole_number_problem"]

_DEFAULT = np.dtype(np.float32)


_SUMS = ("Abs", "Add", "CumSum", "Neg", "ReduceSum", "Sub", "Sum")
_WRAPPED = (*_SUMS, "Gemm", "MatMul", "Mul", "Pow", "ReduceProd")
"""Operators whose results may leave the range of a narrow type, and then come round from its other end."""
_ROUNDED = ("ReduceMean", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp")
"""Operators whose results are cut to whole numbers, of whole numbers."""


def whole_number_problem(op_type: str, attributes: Mapping[str, Any], kind: np.dtype) -> str | None:
    """What a node with such results does to whole numbers and the graph, which computes with reals, does not.

    None if it does the same. Numbers of 32 and 64 bits are taken to be wide enough.
    """
    if kind.kind not in "iu":
        return None
    if op_type in _WRAPPED and (kind.kind == "u" or kind.itemsize < 4):
        return f"arithmetic of {kind}, which may overflow,"
    interpolated = op_type in ("Resize", "Upsample") and attributes.get("mode", "nearest") != "nearest"
    return "rounding to whole numbers" if op_type in _ROUNDED or interpolated else None


def result_types(
    node: onnx.NodeProto, opset: int, attributes: Mapping[str, Any], types: Sequence[np.dtype | None]
) -> list[np.dtype]:
    """The element types of a node's outputs, given those of its inputs (None: left out).

    What the schema leaves open, as for operators of other domains, counts as float32.
    """
    if node.domain not in ("", "ai.onnx"):
        first = foreign_type(node.domain, node.op_type, attributes, types)
        return [first, *[_DEFAULT] * (len(node.output) - 1)]
    named = attributes.get("to", attributes.get("dtype", attributes.get("output_dtype")))
    try:
        schema = defs.get_schema(node.op_type, opset, "")
    except defs.SchemaError:
        return [_DEFAULT] * len(node.output)
    bound = {
        constraint.type_param_str: _from_schema(constraint.allowed_type_strs[0])
        for constraint in schema.type_constraints
        if len(constraint.allowed_type_strs) == 1
    }
    for index, found in enumerate(types):
        if found is not None and schema.inputs:
            formal = schema.inputs[min(index, len(schema.inputs) - 1)]
            bound.setdefault(formal.type_str, found)
    results = []
    for index in range(len(node.output)):
        formal = schema.outputs[min(index, len(schema.outputs) - 1)]
        if formal.type_str in bound:
            results.append(bound[formal.type_str])
        elif formal.type_str.startswith("tensor("):
            results.append(_from_schema(formal.type_str))
        elif named:
            results.append(_from_enum(int(named)))
        elif node.op_type == "QuantizeLinear":
            results.append(np.dtype(np.uint8))
        else:
            results.append(_DEFAULT)
    return results


def _from_schema(text: str) -> np.dtype:
    name = text[len("tensor(") : -1]
    if name == "string":
        return _DEFAULT
    return np.dtype({"float": "float32", "double": "float64"}.get(name, name))


def _from_enum(kind: int) -> np.dtype:
    try:
        return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind))
    except (KeyError, ValueError):
        return _DEFAULT
