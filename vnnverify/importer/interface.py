# SPDX-License-Identifier: Apache-2.0
"""A model's file with another interface: inputs and outputs in another order, dynamic axes made static,
values inside it as further outputs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import onnx

from vnnverify.errors import ModelError
from vnnverify.importer.parsing import one_line
from vnnverify.importer.sizing import model_inputs
from vnnverify.ir import Shape

__all__ = ["Interface", "adapted"]

_LISTED = 12
"""Names that a message lists."""


@dataclass(frozen=True, slots=True)
class Interface:
    """Inputs, outputs and inner values as they are asked for.

    Attributes:
        shapes: of the inputs, in order; where the elements cannot be those of an input, it is left alone;
            one that states no shape gets this one.
        hidden: inner values by name and shape, as further outputs.
        inputs: names of the model's inputs in the order asked for; none for that of the model.
        outputs: names of its outputs likewise.
    """

    shapes: tuple[Shape, ...]
    hidden: tuple[tuple[str, Shape], ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


def adapted(data: bytes, interface: Interface) -> bytes:
    """The model with its inputs and outputs in the order asked for, its dynamic input axes as in the shapes,
    and hidden values as further outputs. Where there is nothing to change, `data` as it is.

    Raises:
        ModelError: not ONNX, no node computes such a value, or there are other inputs or outputs.
    """
    try:
        proto = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's own exception types differ between its versions
        raise ModelError(f"not an ONNX model, or truncated ({one_line(error)}); export it again") from error
    constants = {tensor.name for tensor in proto.graph.initializer}
    changed = _order(proto.graph.input, interface.inputs, "input", constants)
    changed |= _order(proto.graph.output, interface.outputs, "output", set())
    changed |= _instantiate(proto.graph, interface.shapes)
    if interface.hidden:
        _expose(proto, interface.hidden)
    return proto.SerializeToString() if changed or interface.hidden else data


def _order(values: Any, names: Sequence[str], what: str, constants: set[str]) -> bool:
    """Bring the values of a graph that are no constants into the order of these names.

    Returns whether that changed it.
    """
    found = [value.name for value in values if value.name not in constants]
    if not names or list(names) == found:
        return False
    if sorted(names) != sorted(found):
        asked = next((name for name in names if name not in found), None)
        listed = ", ".join(map(repr, found))
        if asked is None:
            raise ModelError(f"{len(names)} {what}s are named, there are: {listed}; name all of them")
        raise ModelError(f"there is no {what} called {asked!r}; there are: {listed}")
    by_name = {value.name: copy.deepcopy(value) for value in values}
    ordered = [*names, *(value.name for value in values if value.name in constants)]
    del values[:]
    values.extend(by_name[name] for name in ordered)
    return True


def _instantiate(graph: onnx.GraphProto, shapes: Sequence[Shape]) -> bool:
    changed = False
    for value, shape in zip(model_inputs(graph), shapes, strict=False):
        if not value.type.tensor_type.HasField("shape"):
            value.type.tensor_type.shape.dim.extend(
                onnx.TensorShapeProto.Dimension(dim_value=n) for n in shape
            )
            value.type.tensor_type.shape.SetInParent()
            changed = True
            continue
        axes = value.type.tensor_type.shape.dim
        extents = _extents([axis.dim_value for axis in axes], shape)
        for axis, extent in zip(axes, extents, strict=True):
            if axis.dim_value <= 0 and extent != 1:  # what is left dynamic is read as 1
                axis.dim_value = extent
                changed = True
    if changed:  # shapes stated inside may be those of another extent
        del graph.value_info[:]
    return changed


def _extents(known: Sequence[int], shape: Shape) -> Shape:
    """The extents of a value's axes, of which the dynamic ones are none, as its declared shape has them.

    A shape with as many axes says it for each. Of another shape the number of elements does, if one axis is
    dynamic.
    """
    if len(known) == len(shape):
        return shape
    rest = prod(extent for extent in known if extent > 0)
    dynamic = sum(extent <= 0 for extent in known)
    extent = prod(shape) // rest if dynamic == 1 and rest and prod(shape) % rest == 0 else 1
    return tuple(e if e > 0 else extent for e in known)


def _expose(proto: onnx.ModelProto, hidden: Sequence[tuple[str, Shape]]) -> None:
    made = [name for node in proto.graph.node for name in node.output if name]
    types = _value_types(proto)
    for number, (name, shape) in enumerate(hidden):
        if name not in made:
            listed = ", ".join(repr(found) for found in made[:_LISTED])
            more = ", …" if len(made) > _LISTED else ""
            raise ModelError(f"no node has an output called {name!r}; there are: {listed}{more}")
        output = f"{name}#hidden{number}"
        proto.graph.node.append(onnx.helper.make_node("Identity", [name], [output], name=output))
        kind = types.get(name)
        if kind is not None and kind.tensor_type.HasField("shape"):
            proto.graph.output.append(onnx.helper.make_value_info(output, kind))
        else:
            element_type = onnx.TensorProto.FLOAT if kind is None else kind.tensor_type.elem_type
            proto.graph.output.append(onnx.helper.make_tensor_value_info(output, element_type, shape))


def _value_types(proto: onnx.ModelProto) -> dict[str, onnx.TypeProto]:
    """Element types and shapes by the names of values, as far as they can be inferred."""
    try:
        graph = onnx.shape_inference.infer_shapes(proto).graph
    except Exception:  # onnx raises what its C++ raises; the reader complains of what is really wrong
        graph = proto.graph
    values = (*graph.value_info, *graph.input, *graph.output)
    return {v.name: v.type for v in values if v.type.tensor_type.elem_type}
