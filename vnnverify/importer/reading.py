# SPDX-License-Identifier: Apache-2.0
"""One pass over the nodes of a checked model: constants are folded, the rest goes to the readers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx

from vnnverify.errors import ModelError, UnsupportedModelError
from vnnverify.importer.builder import REMEDY, Builder, NodeReader, NodeView, Operand, as_tensor
from vnnverify.importer.control import CONTROL, Results
from vnnverify.importer.element_types import result_types, widened
from vnnverify.importer.folding import can_fold, fold
from vnnverify.importer.functions import Body, body_of
from vnnverify.importer.labels import class_keys, is_map
from vnnverify.importer.liveness import live_nodes
from vnnverify.importer.parsing import one_line
from vnnverify.importer.proto import constant_of, initializers, node_attributes, output_spec, tensor_spec
from vnnverify.importer.readers.whole import held, rounding_problem
from vnnverify.importer.registry import find_reader
from vnnverify.importer.sequences import SEQUENCES, Known, TensorList, tensors
from vnnverify.importer.sizing import model_inputs
from vnnverify.ir import Graph, Value
from vnnverify.ops.arrangement import Constant
from vnnverify.plugin.hookspecs import OperatorInfo
from vnnverify.query import Layout, TensorSpec

__all__ = ["declared_layout", "read_graph"]

MOST_NODES = 1 << 20
"""Nodes that may be read in all: a few functions that call each other twice make billions."""


def declared_layout(proto: onnx.ModelProto) -> Layout:
    """Inputs and outputs as the file declares them. An output that states no shape is taken for a scalar, one
    that states no type has none.

    Raises:
        ModelError: there are none.
    """
    inputs = tuple(tensor_spec(v) for v in model_inputs(proto.graph))
    outputs = tuple(
        TensorSpec(v.name, (), "float32", class_keys(proto.graph, v.name)) if is_map(v) else output_spec(v)
        for v in proto.graph.output
    )
    if not inputs:
        raise ModelError("the model has no input besides its weights; there is nothing to verify")
    if not outputs:
        raise ModelError("the model has no output; there is nothing to verify")
    return Layout(inputs, outputs)


def read_graph(proto: onnx.ModelProto, operators: tuple[OperatorInfo, ...]) -> tuple[Graph, Layout]:
    """The graph, and the layout with the shapes that its outputs really have, and types where none is stated.

    Raises:
        ModelError: a node is malformed.
        UnsupportedModelError: a node has no reader, or its reader does not know the variant.
    """
    declared = declared_layout(proto)
    shared = _Shared(Builder(), operators, {(f.domain, f.name): f for f in proto.functions})
    opsets = {"" if e.domain == "ai.onnx" else e.domain: e.version for e in proto.opset_import}
    reading = _Reading(shared, opsets, dict(initializers(proto.graph)))
    for spec in declared.inputs:
        reading.enter(spec)
    reading.read_all(proto.graph.node)
    inputs = tuple(reading.operands[spec.name] for spec in declared.inputs)
    outputs = tuple(reading.output(spec.name) for spec in declared.outputs)
    graph = Graph(tuple(v for v in inputs if isinstance(v, Value)), outputs, tuple(shared.builder.nodes))
    shaped = (
        replace(
            spec,
            shape=v.shape,
            stated=() if spec.shape == v.shape else spec.shape,
            dtype=spec.dtype or str(reading.type_of(spec.name)),
        )
        for spec, v in zip(declared.outputs, outputs, strict=True)
    )
    return graph, Layout(declared.inputs, tuple(shaped))


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all scopes of a model have in common."""

    builder: Builder
    operators: tuple[OperatorInfo, ...]
    functions: dict[tuple[str, str], onnx.FunctionProto]
    absent: dict[str, str] = field(default_factory=dict)  # outputs that are not read: why
    count: Iterator[int] = field(default_factory=itertools.count)  # of nodes read


@dataclass(slots=True)
class _Reading:
    """What is known so far about each tensor of one scope: a value of the graph, a constant, or left out."""

    shared: _Shared
    opsets: dict[str, int]
    operands: dict[str, Known | None]
    types: dict[str, np.dtype] = field(default_factory=dict)  # of what is computed
    path: str = ""  # of the nodes this scope is inside

    def enter(self, spec: TensorSpec) -> None:
        """An input of the model."""
        value = Value(spec.name, spec.shape)
        self.operands[spec.name] = value
        self.types[spec.name] = self.shared.builder.types[value] = np.dtype(spec.dtype)

    def output(self, name: str) -> Value:
        """An output of the model; a constant one becomes a node."""
        found = self._operand(name) if name in self.operands or name in self.shared.absent else None
        if found is None:
            raise ModelError(f"output {name!r} is computed by no node; export the model again")
        if isinstance(found, TensorList):
            raise ModelError(f"output {name!r} is a sequence; only tensors can be read")
        if isinstance(found, Value):
            return found
        return self.shared.builder.add(Constant(as_tensor(found)), name=name)

    def read_all(self, nodes: Iterable[onnx.NodeProto]) -> None:
        """Enter the outputs of nodes that are in order."""
        for index, node in enumerate(nodes):
            self._read(node, f"{self.path}{node.name or f'{node.op_type}_{index}'}")

    def _read(self, node: onnx.NodeProto, name: str) -> None:
        if next(self.shared.count) > MOST_NODES:
            raise ModelError(f"node {name!r}: the model has more than {MOST_NODES:,} nodes; refused")
        args = tuple(self._operand(key) if key else None for key in node.input)
        types = tuple(self.type_of(key) if key else None for key in node.input)
        found, made = self._results(node, name, args, types)
        for key, result, kind in zip(node.output, found, made, strict=False):
            if key and result is not None and kind is not None:
                self.operands[key] = result
                self.types[key] = kind
                if isinstance(result, Value):
                    self.shared.builder.types.setdefault(result, kind)
        for key in node.output:
            if key and key not in self.operands:
                self.shared.absent[key] = f"node {name!r} ({node.op_type}): output {key!r} is not supported"

    def _operand(self, key: str) -> Known | None:
        """What is known of a tensor.

        Raises:
            UnsupportedModelError: it is an output that the reader of its node does not give.
        """
        if key not in self.operands and key in self.shared.absent:
            raise UnsupportedModelError(f"{self.shared.absent[key]}; {REMEDY}")
        return self.operands[key]

    def type_of(self, key: str) -> np.dtype | None:
        """The element type of a tensor; None of one that is left out."""
        found = self.operands[key]
        if found is None:
            return None
        return found.dtype if isinstance(found, np.ndarray) else self.types[key]

    def _results(
        self,
        node: onnx.NodeProto,
        name: str,
        given: tuple[Known | None, ...],
        types: tuple[np.dtype | None, ...],
    ) -> tuple[Sequence[Known | None], Sequence[np.dtype | None]]:
        domain = "" if node.domain == "ai.onnx" else node.domain
        opset = int(self.opsets.get(domain, 1))
        args = tensors(given)
        if node.op_type in CONTROL and not domain:
            return self._controlled(node, name, given, types, opset)
        if (node.domain, node.op_type) in self.shared.functions:  # they take precedence
            body = body_of(node, opset, args, types, self.shared.functions)
            assert body is not None
            return self._inside(body, node.output, name, given, types)
        attributes = node_attributes(node.attribute, name)
        if node.op_type in SEQUENCES and not domain:
            view = NodeView(name, node.op_type, attributes, args, 1, opset, self.shared.builder, types)
            with _fitting(view):
                result, kind = SEQUENCES[node.op_type](view, given)
            return [result], [kind]
        if any(isinstance(a, TensorList) for a in given):
            if node.op_type == "Identity" and not domain:
                return given, types
            raise UnsupportedModelError(
                f"node {name!r} ({node.op_type}): a sequence as its input is not supported; {REMEDY}"
            )
        made = result_types(node, opset, attributes, types)
        constants = _known(node, domain, name, attributes, args, made)
        if constants is None and not any(isinstance(a, Value) for a in args) and can_fold(node):
            constants = fold(node, [a for a in args if not isinstance(a, Value)], opset, name)
        if constants is not None:
            return constants, made
        problem = rounding_problem(node.op_type, attributes, made[0]) if made else None
        if problem is not None:
            raise UnsupportedModelError(
                f"node {name!r} ({node.op_type}): {problem} is not supported; {REMEDY}"
            )
        reader = find_reader(domain, node.op_type, opset, self.shared.operators)
        if reader is None:
            made_of = body_of(node, opset, args, types, {})
            if made_of is not None:
                return self._inside(made_of, node.output, name, args, types)
            full = f"{domain}.{node.op_type}" if domain else node.op_type
            raise UnsupportedModelError(
                f"node {name!r}: operator {full} (opset {opset}) is not supported; {REMEDY}"
            )
        inputs = tuple(widened(a) if isinstance(a, np.ndarray) else a for a in args)
        view = NodeView(
            name, node.op_type, attributes, inputs, len(node.output), opset, self.shared.builder, types
        )
        return _read(view, reader, made, cast=not domain), made

    def _inside(
        self,
        body: Body,
        called: Sequence[str],
        name: str,
        args: Sequence[Known | None],
        types: Sequence[np.dtype | None],
    ) -> tuple[list[Known | None], list[np.dtype | None]]:
        """The outputs of a function for these arguments; None for those that the call gives no name."""
        given = [*args, *[None] * (len(body.inputs) - len(args))]
        inner = _Reading(
            self.shared,
            {**self.opsets, **body.opsets},
            dict(zip(body.inputs, given, strict=True)),
            {key: kind for key, kind in zip(body.inputs, types, strict=False) if kind is not None},
        )
        wanted = [key if name else "" for key, name in zip(body.outputs, called, strict=False)]
        nodes, _ = live_nodes(body.nodes, wanted, self.shared.functions)
        inner.path = f"{name}/"
        inner.read_all(nodes)
        found = [inner.operands.get(key) if key else None for key in wanted]
        kinds = [inner.type_of(key) if key in inner.operands else None for key in wanted]
        return found, kinds

    def _controlled(
        self,
        node: onnx.NodeProto,
        name: str,
        given: tuple[Known | None, ...],
        types: tuple[np.dtype | None, ...],
        opset: int,
    ) -> Results:
        """The outputs of a node with graphs inside, which see what this scope knows."""
        graphs = {a.name: a.g for a in node.attribute if a.type == onnx.AttributeProto.GRAPH}
        plain = node_attributes((a for a in node.attribute if a.name not in graphs), name)
        view = NodeView(
            name, node.op_type, plain, tensors(given), len(node.output), opset, self.shared.builder, types
        )

        def body(which: str, step: str, inputs: Sequence[Known], kinds: Sequence[np.dtype]) -> Results:
            """What one of the node's own graphs makes of these inputs, of the given types."""
            graph = graphs[which]
            keys = [v.name for v in graph.input]
            inner = replace(
                self,
                operands={**self.operands, **initializers(graph), **dict(zip(keys, inputs, strict=True))},
                types={**self.types, **dict(zip(keys, kinds, strict=True))},
            )
            inner.path = f"{name}/{step}/" if step else f"{name}/"
            inner.read_all(graph.node)
            found, made = [], []
            for value in graph.output:
                operand = inner.operands.get(value.name)
                kind = None if operand is None else inner.type_of(value.name)
                if operand is None or kind is None:
                    raise view.error(f"its graph lacks output {value.name!r}")
                found.append(operand)
                made.append(kind)
            return found, made

        with _fitting(view):
            return CONTROL[node.op_type](view, given, body)


def _read(view: NodeView, reader: NodeReader, made: Sequence[np.dtype], *, cast: bool) -> list[Known | None]:
    """What a reader makes of a node; constants, if `cast`, in the types (`made`) that ONNX gives them."""
    with _fitting(view):
        found = reader(view)
        if isinstance(found, Value):
            found = held(view, found, made[0])
    results = [found] if isinstance(found, Value | np.ndarray) else found
    return [
        result.astype(kind) if cast and isinstance(result, np.ndarray) else result
        for result, kind in zip(results, made, strict=False)
    ]


@contextmanager
def _fitting(view: NodeView) -> Iterator[None]:
    """Turns errors of numpy and torch into those of the model: attributes that do not fit the shapes pass
    the checker, but neither of them."""
    try:
        yield
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        shapes = " and ".join("nothing" if a is None else str(tuple(a.shape)) for a in view.inputs)
        message = f"cannot be applied to {shapes} ({one_line(error)}); export the model again"
        raise view.error(message) from error


def _known(
    node: onnx.NodeProto,
    domain: str,
    name: str,
    attributes: dict[str, Any],
    args: tuple[Operand | None, ...],
    made: Sequence[np.dtype],
) -> list[np.ndarray] | None:
    """What is constant whatever the inputs are: constants and shapes."""
    if not domain and node.op_type == "Constant":
        return [constant_of(attributes, name)]
    if not domain and node.op_type in ("Shape", "Size") and isinstance(args[0], Value):
        shape = np.array(args[0].shape, dtype=np.int64)
        cut = shape[attributes.get("start", 0) : attributes.get("end")]
        return [cut if node.op_type == "Shape" else np.array(args[0].size, dtype=np.int64)]
    if not domain and node.op_type == "EyeLike" and isinstance(args[0], Value):
        rows, columns = args[0].shape
        return [np.eye(rows, columns, attributes.get("k", 0), dtype=made[0])]
    return None
