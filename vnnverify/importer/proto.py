# SPDX-License-Identifier: Apache-2.0
"""Tensors and attributes of the protobuf as plain Python values."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from vnnverify.errors import ModelError, UnsupportedModelError
from vnnverify.importer.builder import REMEDY, SIZE_LIMIT
from vnnverify.importer.element_types import widened
from vnnverify.importer.parsing import one_line
from vnnverify.query import TensorSpec

__all__ = ["constant_of", "holds_infinity", "initializers", "node_attributes", "output_spec", "tensor_spec"]

_LISTS = (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS)
_GRAPHS = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)


def initializers(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """The constants of the graph by name. Minus infinity, which masks scores, is left to the readers.

    Raises:
        ModelError: one holds NaN or plus infinity.
    """
    found = {}
    for tensor in graph.initializer:
        array = _array(tensor, f"initializer {tensor.name!r}")
        if holds_infinity(array):
            raise ModelError(
                f"initializer {tensor.name!r} holds NaN or infinity, so nothing can be proved; "
                "export the model from a sound checkpoint"
            )
        found[tensor.name] = array
    return found


def holds_infinity(array: np.ndarray) -> bool:
    """Whether NaN or plus infinity is among the numbers."""
    wide = widened(array)
    return wide.dtype.kind == "f" and not bool((wide < np.inf).all())


def _array(tensor: onnx.TensorProto, place: str) -> np.ndarray:
    """The tensor as an array of its own type."""
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except Exception as error:  # a size that does not fit the shape, an unknown type
        raise ModelError(f"{place} cannot be read ({one_line(error)}); export the model again") from error


def tensor_spec(info: onnx.ValueInfoProto) -> TensorSpec:
    """Name, shape (dynamic axes 1) and type of an input or output.

    Raises:
        ModelError: not a tensor, of no shape or type, or far too large.
    """
    if not info.type.HasField("tensor_type"):
        raise ModelError(f"{info.name!r} is not a tensor; only models from tensors to tensors can be read")
    tensor = info.type.tensor_type
    if tensor.elem_type == onnx.TensorProto.STRING:
        raise ModelError(f"{info.name!r} holds text, which a property cannot speak of")
    if not tensor.HasField("shape"):
        raise ModelError(
            f"the model states no shape of {info.name!r}; declare it in a property of VNN-LIB 2.0, or in the "
            "model"
        )
    shape = tuple(max(1, d.dim_value) for d in tensor.shape.dim)
    if prod(shape) > SIZE_LIMIT:
        raise ModelError(f"{info.name!r} has {prod(shape):,} elements, more than {SIZE_LIMIT:,}; refused")
    return TensorSpec(info.name, shape, str(_dtype(info)))


def output_spec(info: onnx.ValueInfoProto) -> TensorSpec:
    """The same of an output, which need not state its shape and type: then () and no type.

    Raises:
        ModelError: not a tensor, or far too large.
    """
    if info.type.HasField("tensor_type") and info.type.tensor_type.HasField("shape"):
        return tensor_spec(info)
    if info.type.WhichOneof("value") not in (None, "tensor_type"):
        raise ModelError(f"{info.name!r} is not a tensor; only models from tensors to tensors can be read")
    return TensorSpec(info.name, (), str(_dtype(info)) if info.type.tensor_type.elem_type else "")


def _dtype(info: onnx.ValueInfoProto) -> np.dtype:
    try:
        return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type))
    except (KeyError, ValueError, TypeError) as error:
        raise ModelError(f"{info.name!r} has an unknown element type; export the model again") from error


def node_attributes(attributes: Iterable[onnx.AttributeProto], name: str) -> dict[str, Any]:
    """A node's attributes as Python values: numbers, strings, lists and arrays.

    Raises:
        UnsupportedModelError: one is a graph.
    """
    return {attribute.name: _attribute(attribute, name) for attribute in attributes}


def _attribute(attribute: onnx.AttributeProto, name: str) -> Any:
    if attribute.type in _GRAPHS:
        raise UnsupportedModelError(
            f"node {name!r}: graphs inside a node other than If, Loop and Scan are not supported; {REMEDY}"
        )
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return _array(value, f"node {name!r}: attribute {attribute.name!r}")
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if attribute.type == onnx.AttributeProto.STRINGS:
        return [text.decode(errors="replace") for text in value]
    return list(value) if attribute.type in _LISTS else value


def constant_of(attributes: dict[str, Any], name: str) -> np.ndarray:
    """The value of a Constant node.

    Raises:
        UnsupportedModelError: text, or a sparse tensor.
    """
    for key, value in attributes.items():
        if key == "value":
            return np.asarray(value)
        if key in ("value_float", "value_floats"):
            return np.array(value, dtype=np.float32)
        if key in ("value_int", "value_ints"):
            return np.array(value, dtype=np.int64)
    raise UnsupportedModelError(
        f"node {name!r} (Constant): neither text nor sparse tensors are supported; {REMEDY}"
    )
