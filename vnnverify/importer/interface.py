# SPDX-License-Identifier: Apache-2.0
"""A model's file with another interface: dynamic axes made static, values inside it as further outputs."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from vnnverify.errors import ModelError
from vnnverify.importer.parsing import one_line
from vnnverify.ir import Shape

__all__ = ["adapted"]

_LISTED = 12
"""Names that a message lists."""


def adapted(data: bytes, shapes: Sequence[Shape], hidden: Sequence[tuple[str, Shape]] = ()) -> bytes:
    """The model with its dynamic input axes as in `shapes`, and with `hidden` values, by name and shape,
    as further outputs, in this order. Where there is nothing to change, `data` as it is.

    Args:
        shapes: one per input of the model; where a rank differs, that input is left alone.

    Raises:
        ModelError: not ONNX, or no node computes such a value.
    """
    try:
        proto = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's own exception types differ between its versions
        raise ModelError(f"not an ONNX model, or truncated ({one_line(error)}); export it again") from error
    changed = _instantiate(proto.graph, shapes)
    if hidden:
        _expose(proto, hidden)
    return proto.SerializeToString() if changed or hidden else data


def _instantiate(graph: onnx.GraphProto, shapes: Sequence[Shape]) -> bool:
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    changed = False
    for value, shape in zip(inputs, shapes, strict=False):
        axes = value.type.tensor_type.shape.dim
        if len(axes) != len(shape):
            continue
        for axis, extent in zip(axes, shape, strict=True):
            if axis.dim_value <= 0 and extent != 1:  # what is left dynamic is read as 1
                axis.dim_value = extent
                changed = True
    if changed:  # shapes stated inside may be those of another extent
        del graph.value_info[:]
    return changed


def _expose(proto: onnx.ModelProto, hidden: Sequence[tuple[str, Shape]]) -> None:
    made = [name for node in proto.graph.node for name in node.output if name]
    types = _element_types(proto)
    for number, (name, shape) in enumerate(hidden):
        if name not in made:
            listed = ", ".join(repr(found) for found in made[:_LISTED])
            more = ", …" if len(made) > _LISTED else ""
            raise ModelError(f"no node has an output called {name!r}; there are: {listed}{more}")
        output = f"{name}#hidden{number}"
        proto.graph.node.append(onnx.helper.make_node("Identity", [name], [output], name=output))
        kind = types.get(name, onnx.TensorProto.FLOAT)
        proto.graph.output.append(onnx.helper.make_tensor_value_info(output, kind, shape))


def _element_types(proto: onnx.ModelProto) -> dict[str, int]:
    """Element types by the names of values, as far as they can be inferred."""
    try:
        graph = onnx.shape_inference.infer_shapes(proto).graph
    except Exception:  # onnx raises what its C++ raises; the reader complains of what is really wrong
        graph = proto.graph
    values = (*graph.value_info, *graph.input, *graph.output)
    return {v.name: v.type.tensor_type.elem_type for v in values if v.type.tensor_type.elem_type}
