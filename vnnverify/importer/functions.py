# SPDX-License-Identifier: Apache-2.0
"""Operators that are made of others: functions of the model, and those whose body onnx itself defines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import defs, helper

from vnnverify.importer.builder import Operand

__all__ = ["Body", "body_of"]


@dataclass(frozen=True, slots=True)
class Body:
    """The nodes of a function with the attributes of one call filled in."""

    nodes: tuple[onnx.NodeProto, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    opsets: dict[str, int]


def body_of(
    node: onnx.NodeProto,
    opset: int,
    operands: Sequence[Operand | None],
    types: Sequence[np.dtype | None],
    functions: Mapping[tuple[str, str], onnx.FunctionProto],
) -> Body | None:
    """The body of the model's function of that name, else of onnx's; None if there is neither."""
    own = functions.get((node.domain, node.op_type))
    if own is not None:
        defaults = {a.name: a for a in own.attribute_proto}
        return _filled(own, node, defaults)
    try:
        schema: Any = defs.get_schema(node.op_type, opset, "" if node.domain == "ai.onnx" else node.domain)
    except defs.SchemaError:
        return None
    defaults = {name: a.default_value for name, a in schema.attributes.items() if a.default_value.name}
    if schema.has_function:
        return _filled(schema.function_body, node, defaults, opset)
    if schema.has_context_dependent_function:
        given = [_type(x, t).SerializeToString() for x, t in zip(operands, types, strict=True)]
        found = onnx.FunctionProto()
        found.ParseFromString(schema.get_context_dependent_function(node.SerializeToString(), given))
        _leave_out(node, types, found)
        return _filled(found, node, defaults, opset) if found.node else None
    return None


_MASKED_SCORES = (1, 2)
"""Values of Attention's `qk_matmul_output_mode` that show scores after masks are added."""


def _leave_out(node: onnx.NodeProto, types: Sequence[np.dtype | None], body: onnx.FunctionProto) -> None:
    """Outputs that onnxruntime computes otherwise than the standard's body: masked scores of Attention, of
    which it shows the least number of the type in place of minus infinity."""
    if node.op_type != "Attention" or len(body.output) < 4:
        return
    given = {a.name: a.i for a in node.attribute}
    mask = types[3] if len(types) > 3 else None
    masked = bool(given.get("is_causal", 0)) or (mask is not None and mask.kind == "b")
    if masked and given.get("qk_matmul_output_mode", 0) in _MASKED_SCORES:
        del body.output[3:]


def _type(operand: Operand | None, dtype: np.dtype | None) -> onnx.TypeProto:
    if operand is None or dtype is None:
        return onnx.TypeProto()
    return helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(dtype), operand.shape)


def _filled(
    function: onnx.FunctionProto,
    node: onnx.NodeProto,
    defaults: Mapping[str, onnx.AttributeProto],
    opset: int | None = None,
) -> Body:
    given = {**defaults, **{a.name: a for a in node.attribute}}
    opsets = {entry.domain: entry.version for entry in function.opset_import}
    if opset is not None:
        opsets.setdefault("", opset)
    nodes = tuple(_with_attributes(inner, given) for inner in function.node)
    return Body(nodes, tuple(function.input), tuple(function.output), opsets)


def _with_attributes(inner: onnx.NodeProto, given: Mapping[str, onnx.AttributeProto]) -> onnx.NodeProto:
    """A copy whose references to attributes of the call are replaced; unset ones are left out."""
    if not any(a.ref_attr_name for a in inner.attribute):
        return inner
    copy = onnx.NodeProto()
    copy.CopyFrom(inner)
    del copy.attribute[:]
    for attribute in inner.attribute:
        source = given.get(attribute.ref_attr_name) if attribute.ref_attr_name else attribute
        if source is not None:
            added = copy.attribute.add()
            added.CopyFrom(source)
            added.name = attribute.name
    return copy
