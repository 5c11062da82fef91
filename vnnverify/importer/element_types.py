# SPDX-License-Identifier: Apache-2.0
"""Element types: which hold whole numbers, their ranges, and those of what a node computes.

The graph computes with reals; the types tell which of them are whole numbers or truth values. Types that
numpy lacks (bfloat16, floats of 8 bits, whole numbers of 2 and 4) are those of `ml_dtypes`, as onnx has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, defs

from vnnverify.importer.foreign_types import foreign_type

__all__ = ["finfo", "fits", "is_narrow", "is_whole", "result_types", "whole_range", "widened", "wider"]

_DEFAULT = np.dtype(np.float32)
_SHORT = {"int2": (-2, 1), "uint2": (0, 3), "int4": (-8, 7), "uint4": (0, 15)}


def is_narrow(kind: np.dtype) -> bool:
    """Whether numpy itself lacks the type."""
    return kind.isbuiltin == 2


def is_whole(kind: np.dtype) -> bool:
    """Whether the type holds whole numbers or truth values."""
    return kind.kind in "iub" or kind.name in _SHORT


def whole_range(kind: np.dtype) -> tuple[int, int]:
    """The least and the largest number of a whole type."""
    if kind.kind == "b":
        return 0, 1
    if kind.name in _SHORT:
        return _SHORT[kind.name]
    info = np.iinfo(kind)
    return int(info.min), int(info.max)


def finfo(kind: np.dtype) -> Any:
    """What numpy tells of its floating-point types, of any such type."""
    return ml_dtypes.finfo(kind)  # type: ignore[no-untyped-call]


def fits(low: float, high: float, kind: np.dtype) -> bool:
    """Whether a whole type holds all whole numbers between these."""
    least, most = whole_range(kind)
    return least <= low and high <= most


def wider(kind: np.dtype) -> np.dtype:
    """The type of numpy that holds all numbers of this one."""
    if not is_narrow(kind):
        return kind
    if not is_whole(kind):
        return np.dtype(np.float32)
    return np.dtype(np.uint8 if whole_range(kind)[0] == 0 else np.int8)


def widened(array: np.ndarray) -> np.ndarray:
    """The same numbers in a type that numpy has."""
    return array.astype(wider(array.dtype)) if is_narrow(array.dtype) else array


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
    return _from_enum(getattr(TensorProto, text[len("tensor(") : -1].upper(), TensorProto.FLOAT))


def _from_enum(kind: int) -> np.dtype:
    try:
        found = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind))
    except (KeyError, ValueError):
        return _DEFAULT
    return _DEFAULT if found.kind == "O" else found
