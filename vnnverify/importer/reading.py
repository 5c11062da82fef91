# SPDX-License-Identifier: Apache-2.0
"""One pass over the nodes of a checked model: constants are folded, the rest goes to the readers."""

from __future__ import annotations

import numpy as np
import onnx

from vnnverify.errors import ModelError, UnsupportedModelError
from vnnverify.hookspecs import OperatorInfo
from vnnverify.importer.builder import REMEDY, Builder, NodeView, Operand, as_tensor
from vnnverify.importer.folding import can_fold, fold
from vnnverify.importer.parsing import one_line
from vnnverify.importer.proto import constant_of, initializers, node_attributes, tensor_spec
from vnnverify.importer.registry import find_reader
from vnnverify.ir import Graph, Value
from vnnverify.ops.arrangement import Constant
from vnnverify.query import Layout, TensorSpec

__all__ = ["declared_layout", "read_graph"]


def declared_layout(proto: onnx.ModelProto) -> Layout:
    """Inputs and outputs as the file declares them.

    Files of old versions list the initializers among the inputs; those are no inputs here.

    Raises:
        ModelError: there are none.
    """
    constants = {t.name for t in proto.graph.initializer}
    inputs = tuple(tensor_spec(v) for v in proto.graph.input if v.name not in constants)
    outputs = tuple(tensor_spec(v) for v in proto.graph.output)
    if not inputs:
        raise ModelError("the model has no input besides its weights; there is nothing to verify")
    if not outputs:
        raise ModelError("the model has no output; there is nothing to verify")
    return Layout(inputs, outputs)


def read_graph(proto: onnx.ModelProto, operators: tuple[OperatorInfo, ...]) -> tuple[Graph, Layout]:
    """The graph, and the layout with the shapes that its outputs really have.

    Raises:
        ModelError: a node is malformed.
        UnsupportedModelError: a node has no reader, or its reader does not know the variant.
    """
    declared = declared_layout(proto)
    reading = _Reading(proto, operators, declared.inputs)
    for index, node in enumerate(proto.graph.node):
        reading.read(node, node.name or f"{node.op_type}_{index}")
    inputs = tuple(reading.operands[spec.name] for spec in declared.inputs)
    outputs = tuple(reading.output(spec.name) for spec in declared.outputs)
    graph = Graph(tuple(v for v in inputs if isinstance(v, Value)), outputs, tuple(reading.builder.nodes))
    shaped = (
        TensorSpec(spec.name, v.shape, spec.dtype) for spec, v in zip(declared.outputs, outputs, strict=True)
    )
    return graph, Layout(declared.inputs, tuple(shaped))


class _Reading:
    """What is known so far about each tensor of the model: a value of the graph, or a constant."""

    def __init__(
        self, proto: onnx.ModelProto, operators: tuple[OperatorInfo, ...], inputs: tuple[TensorSpec, ...]
    ) -> None:
        self.builder = Builder()
        self.operands: dict[str, Operand] = dict(initializers(proto))
        self._operators = operators
        self._opsets = {"" if e.domain == "ai.onnx" else e.domain: e.version for e in proto.opset_import}
        self._functions = {(f.domain, f.name) for f in proto.functions}  # they take precedence
        self._whole: set[Value] = set()  # whole-number or boolean inputs
        for spec in inputs:
            value = Value(spec.name, spec.shape)
            self.operands[spec.name] = value
            if np.dtype(spec.dtype).kind != "f":
                self._whole.add(value)

    def output(self, name: str) -> Value:
        """An output of the model; a constant one becomes a node."""
        found = self.operands.get(name)
        if found is None:
            raise ModelError(f"output {name!r} is computed by no node; export the model again")
        return found if isinstance(found, Value) else self.builder.add(Constant(as_tensor(found)), name=name)

    def read(self, node: onnx.NodeProto, name: str) -> None:
        """Enter the outputs of one node."""
        args = tuple(self.operands[key] if key else None for key in node.input)
        found = self._results(node, name, args)
        for key, result in zip(node.output, found, strict=False):
            if key:
                self.operands[key] = result
        missing = [key for key in node.output if key and key not in self.operands]
        if missing:
            raise UnsupportedModelError(
                f"node {name!r} ({node.op_type}): output {missing[0]!r} is not supported; {REMEDY}"
            )

    def _results(self, node: onnx.NodeProto, name: str, args: tuple[Operand | None, ...]) -> list[Operand]:
        domain = "" if node.domain == "ai.onnx" else node.domain
        opset = self._opsets.get(domain, 1)
        attributes = node_attributes(node.attribute, name)
        if not domain and node.op_type == "Constant":
            return [constant_of(attributes, name)]
        if not domain and node.op_type in ("Shape", "Size") and isinstance(args[0], Value):
            shape = np.array(args[0].shape, dtype=np.int64)
            cut = shape[attributes.get("start", 0) : attributes.get("end")]
            return [cut if node.op_type == "Shape" else np.array(args[0].size, dtype=np.int64)]
        if not any(isinstance(a, Value) for a in args) and can_fold(node):
            return list(fold(node, [a for a in args if not isinstance(a, Value)], opset, name))
        if node.op_type != "Cast" and any(a in self._whole for a in args if isinstance(a, Value)):
            raise UnsupportedModelError(
                f"node {name!r} ({node.op_type}): reads an input of whole numbers or booleans, which is "
                f"supported only for Cast; {REMEDY}"
            )
        reader = find_reader(domain, node.op_type, opset, self._operators)
        if reader is None or (node.domain, node.op_type) in self._functions:
            full = f"{domain}.{node.op_type}" if domain else node.op_type
            raise UnsupportedModelError(
                f"node {name!r}: operator {full} (opset {opset}) is not supported; {REMEDY}"
            )
        view = NodeView(name, node.op_type, attributes, args, len(node.output), opset, self.builder)
        try:
            found = reader(view)
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
            # attributes that do not fit the shapes pass the checker, but neither numpy nor torch
            shapes = " and ".join("nothing" if a is None else str(tuple(a.shape)) for a in args)
            message = f"cannot be applied to {shapes} ({one_line(error)}); export the model again"
            raise view.error(message) from error
        return [found] if isinstance(found, Value | np.ndarray) else list(found)
