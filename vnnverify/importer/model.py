# SPDX-License-Identifier: Apache-2.0
"""ONNX bytes to a `Graph`. Protobuf stops in this package."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from vnnverify.errors import ModelError, UnsupportedModelError
from vnnverify.files import read_bytes
from vnnverify.hookspecs import OperatorInfo
from vnnverify.importer import readers
from vnnverify.importer.builder import Builder, NodeView, Operand, as_tensor
from vnnverify.importer.folding import fold
from vnnverify.importer.registry import find_reader
from vnnverify.ir import Graph, Value
from vnnverify.ir.simplify import simplify
from vnnverify.ops.arrangement import Constant
from vnnverify.query import Layout, TensorSpec

__all__ = ["Model", "load_model", "read_model"]

readers.register()


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A model as file and as graph."""

    path: str
    data: bytes  # uncompressed ONNX
    graph: Graph  # float64 parameters
    layout: Layout


def load_model(path: str, *, opaque: bool = False, operators: Iterable[OperatorInfo] = ()) -> Model:
    """Read an ONNX file, plain or gzipped. See `read_model`."""
    return read_model(read_bytes(path), path=str(path), opaque=opaque, operators=operators)


def read_model(
    data: bytes, *, path: str = "", opaque: bool = False, operators: Iterable[OperatorInfo] = ()
) -> Model:
    """Turn ONNX bytes into a graph.

    Args:
        opaque: turn a model with unreadable operators into a graph of one black-box operator.
        operators: readers from plugins.

    Raises:
        ModelError: malformed, or outside what can be read safely.
        UnsupportedModelError: an operator has no reader (and `opaque` is false).
    """
    proto = _parse(data, path)
    try:
        reading = _Reading(proto, tuple(operators))
        layout = reading.layout()
        try:
            graph = reading.graph()
        except UnsupportedModelError:
            if not opaque:
                raise
            from vnnverify.ops.opaque import opaque_graph

            graph = opaque_graph(data, layout)
    except ModelError as error:
        raise type(error)(f"{path}: {error}" if path else str(error)) from error
    return Model(path, data, graph, layout)


def _parse(data: bytes, path: str) -> onnx.ModelProto:
    place = f"{path}: " if path else ""
    try:
        proto = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's own exception types differ between its versions
        raise ModelError(
            f"{place}not an ONNX model, or truncated ({_line(error)}); export it again"
        ) from error
    for tensor in proto.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise ModelError(
                f"{place}initializer {tensor.name!r} lies in an external file, which is not read; "
                "save the model as one file (onnx.save with save_as_external_data=False)"
            )
    try:
        onnx.checker.check_model(proto)
    except Exception as error:  # the checker raises its own and protobuf's types
        raise ModelError(f"{place}not a valid ONNX model: {_line(error)}") from error
    return proto


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


class _Reading:
    """One pass over one model."""

    def __init__(self, proto: onnx.ModelProto, operators: tuple[OperatorInfo, ...]) -> None:
        self.proto = proto
        self.operators = operators
        self.opsets = {entry.domain or "": entry.version for entry in proto.opset_import}
        self.constants = {t.name: _array(t) for t in proto.graph.initializer}
        self.builder = Builder()

    def layout(self) -> Layout:
        inputs = tuple(_spec(v) for v in self.proto.graph.input if v.name not in self.constants)
        outputs = tuple(_spec(v) for v in self.proto.graph.output)
        if not inputs or not outputs:
            raise ModelError("the model has no input or no output")
        return Layout(inputs, outputs)

    def graph(self) -> Graph:
        operands: dict[str, Operand] = dict(self.constants)
        inputs = tuple(Value(spec.name, spec.shape) for spec in self.layout().inputs)
        operands.update({v.name: v for v in inputs})
        for index, node in enumerate(self.proto.graph.node):
            name = node.name or f"{node.op_type}_{index}"
            for key, found in zip(node.output, self._read(node, name, operands), strict=False):
                operands[key] = found
        outputs = []
        for spec in self.proto.graph.output:
            result = operands.get(spec.name)
            if result is None:
                raise ModelError(f"output {spec.name!r} is computed by no node")
            if not isinstance(result, Value):
                result = self.builder.add(Constant(as_tensor(result)), name=spec.name)
            outputs.append(result)
        return simplify(Graph(inputs, tuple(outputs), tuple(self.builder.nodes)))

    def _read(self, node: onnx.NodeProto, name: str, operands: dict[str, Operand]) -> list[Operand]:
        args: list[Operand | None] = []
        for key in node.input:
            if key and key not in operands:
                raise ModelError(f"node {name!r}: input {key!r} is computed by no earlier node")
            args.append(operands[key] if key else None)
        opset = self.opsets.get("" if node.domain == "ai.onnx" else node.domain, 1)
        attributes = {a.name: _attribute(a, name) for a in node.attribute}
        if node.op_type == "Constant":
            return [_constant(attributes, name)]
        if node.op_type == "Shape" and isinstance(args[0], Value):
            return [
                np.array(args[0].shape, dtype=np.int64)[attributes.get("start", 0) : attributes.get("end")]
            ]
        if all(not isinstance(a, Value) for a in args) and args:
            arrays = [a for a in args if not isinstance(a, Value)]
            return list(_checked(fold(node, arrays, opset, name), name))
        reader = find_reader(node.domain, node.op_type, opset, self.operators)
        if reader is None:
            full = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            raise UnsupportedModelError(
                f"node {name!r}: operator {full} (opset {opset}) is not supported; "
                "`--backend falsification` may still run the model through onnx2torch or onnxruntime"
            )
        view = NodeView(name, node.op_type, attributes, tuple(args), len(node.output), opset, self.builder)
        found = reader(view)
        return [found] if isinstance(found, Value | np.ndarray) else list(found)


def _spec(info: onnx.ValueInfoProto) -> TensorSpec:
    tensor = info.type.tensor_type
    if not info.type.HasField("tensor_type"):
        raise ModelError(f"{info.name!r} is not a tensor")
    shape = tuple(max(1, d.dim_value) for d in tensor.shape.dim)
    if prod(shape) > 1 << 28:
        raise ModelError(f"{info.name!r} has {prod(shape):,} elements; refused")
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    return TensorSpec(info.name, shape, str(dtype))


def _array(tensor: onnx.TensorProto) -> np.ndarray:
    array = numpy_helper.to_array(tensor)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ModelError(f"initializer {tensor.name!r} holds NaN or infinity; the model cannot be verified")
    return array


def _checked(arrays: list[np.ndarray], name: str) -> list[np.ndarray]:
    for array in arrays:
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ModelError(f"node {name!r}: its constant inputs give NaN or infinity")
    return arrays


def _constant(attributes: dict[str, Any], name: str) -> np.ndarray:
    for key, value in attributes.items():
        if key == "value":
            return _checked([value], name)[0]
        if key in ("value_float", "value_floats"):
            return np.array(value, dtype=np.float32)
        if key in ("value_int", "value_ints"):
            return np.array(value, dtype=np.int64)
    raise ModelError(f"node {name!r} (Constant): only dense numeric values are read")


def _attribute(attribute: onnx.AttributeProto, name: str) -> Any:
    if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
        raise UnsupportedModelError(f"node {name!r}: sub-graphs (If, Loop, Scan) are not supported")
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        if value.data_location == onnx.TensorProto.EXTERNAL:
            raise ModelError(f"node {name!r}: its constant lies in an external file, which is not read")
        return numpy_helper.to_array(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return list(value) if attribute.type in _LISTS else value


_LISTS = (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS)
