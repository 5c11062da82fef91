# SPDX-License-Identifier: Apache-2.0
"""An ONNX model as a file and as a graph. Protobuf stops in this package."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import onnx

from vnnverify.errors import ModelError, UnsupportedModelError
from vnnverify.files import read_bytes
from vnnverify.hookspecs import OperatorInfo
from vnnverify.importer import readers
from vnnverify.importer.builder import REMEDY
from vnnverify.importer.parsing import parse
from vnnverify.importer.precision import model_roundoff
from vnnverify.importer.reading import declared_layout, read_graph
from vnnverify.importer.truncation import truncated_inputs
from vnnverify.ir import Graph
from vnnverify.ir.simplify import simplify
from vnnverify.query import Layout

__all__ = ["Model", "load_model", "read_model"]

readers.register()


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A model as file and as graph."""

    path: str
    data: bytes  # uncompressed ONNX
    graph: Graph  # float64 parameters
    layout: Layout
    truncated: tuple[int, ...] = ()  # inputs of which the model reads only the whole part
    roundoff: float = 2.0**-24  # unit roundoff of the coarsest float type that it computes in
    operators: tuple[OperatorInfo, ...] = ()  # readers from plugins, with which it was read

    def unsimplified(self) -> Graph:
        """The graph node by node, as the file has it. Of a black box, the black box."""
        from vnnverify.ops.opaque import Opaque

        if any(isinstance(node.op, Opaque) for node in self.graph.nodes):
            return self.graph
        return read_graph(parse(self.data), self.operators)[0]

    def reread(self, data: bytes) -> Model:
        """Another file, such as a part of this one, read with the same readers.

        Raises:
            ModelError: it cannot be read.
        """
        return read_model(data, operators=self.operators)


def load_model(path: str, *, opaque: bool = False, operators: Iterable[OperatorInfo] = ()) -> Model:
    """Read an ONNX file, plain or gzipped. See `read_model`.

    Raises:
        FileError: the file cannot be read.
    """
    return read_model(read_bytes(path), path=str(path), opaque=opaque, operators=operators)


def read_model(
    data: bytes, *, path: str = "", opaque: bool = False, operators: Iterable[OperatorInfo] = ()
) -> Model:
    """Turn ONNX bytes into a graph with float64 parameters, simplified.

    Constants are folded in the model's own types, as a runtime computes them.

    Args:
        opaque: turn a model with unreadable operators into a graph of one black-box operator.
        operators: readers from plugins.

    Raises:
        ModelError: malformed, or outside what can be read safely.
        UnsupportedModelError: an operator has no reader (and `opaque` is false).
    """
    try:
        proto = parse(data)
        graph, layout = _graph(proto, data, opaque, tuple(operators))
    except ModelError as error:
        raise type(error)(f"{path}: {error}" if path else str(error)) from error
    truncated = truncated_inputs(proto, data, layout)
    return Model(path, data, graph, layout, truncated, model_roundoff(proto), tuple(operators))


def _graph(
    proto: onnx.ModelProto, data: bytes, opaque: bool, operators: tuple[OperatorInfo, ...]
) -> tuple[Graph, Layout]:
    try:
        graph, layout = read_graph(proto, operators)
    except UnsupportedModelError as error:
        if not opaque:
            raise
        from vnnverify.ops.opaque import opaque_graph

        layout = declared_layout(proto)
        return opaque_graph(data, layout, str(error).removesuffix(f"; {REMEDY}")), layout
    return simplify(graph), layout
