# SPDX-License-Identifier: Apache-2.0
"""An ONNX model as a file and as a graph. Protobuf stops in this package."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vnnverify.errors import ModelError, UnsupportedModelError
from vnnverify.importer import readers
from vnnverify.importer.acceptance import observed_layout
from vnnverify.importer.builder import REMEDY
from vnnverify.importer.interface import Interface, adapted
from vnnverify.importer.parsing import Parsed, parse
from vnnverify.importer.precision import model_roundoff
from vnnverify.importer.reading import declared_layout, read_graph
from vnnverify.importer.sizing import sized_inputs
from vnnverify.importer.truncation import truncated_inputs
from vnnverify.inputs.external import read_model_file
from vnnverify.ir import Graph
from vnnverify.plugin.hookspecs import OperatorInfo
from vnnverify.query import Layout
from vnnverify.simplify import simplify

__all__ = ["Model", "load_model", "read_layout", "read_model"]

readers.register()


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A model as file and as graph."""

    path: str
    data: bytes  # uncompressed ONNX, for onnxruntime: as it was read, with all of its tensors inside
    graph: Graph  # float64 parameters
    layout: Layout
    truncated: tuple[int, ...] = ()  # inputs of which the model reads only the whole part
    roundoff: float = 2.0**-24  # unit roundoff of the coarsest float type that it computes in
    operators: tuple[OperatorInfo, ...] = ()  # readers from plugins, with which it was read

    def unsimplified(self) -> Graph:
        """The graph node by node, as the file has it. Of a black box, the black box."""
        from vnnverify.importer.opaque import Opaque

        if any(isinstance(node.op, Opaque) for node in self.graph.nodes):
            return self.graph
        return read_graph(parse(self.data).proto, self.operators)[0]

    def reread(self, data: bytes) -> Model:
        """Another file, such as a part of this one, read with the same readers.

        Raises:
            ModelError: it cannot be read.
        """
        return read_model(data, operators=self.operators)


def load_model(
    path: str,
    *,
    opaque: bool = False,
    operators: Iterable[OperatorInfo] = (),
    elements: int | None = None,
) -> Model:
    """Read an ONNX file, plain or gzipped, with its data files. See `read_model`.

    Raises:
        FileError: the file cannot be read.
    """
    data = read_model_file(path).data
    return read_model(data, path=str(path), opaque=opaque, operators=operators, elements=elements)


def read_model(
    data: bytes,
    *,
    path: str = "",
    opaque: bool = False,
    operators: Iterable[OperatorInfo] = (),
    elements: int | None = None,
) -> Model:
    """Turn ONNX bytes into a graph with float64 parameters, simplified.

    Constants are folded in the model's own types, as a runtime computes them. What the outputs do not depend
    on is not read; the inputs stay.

    Args:
        opaque: turn a model with unreadable operators into a graph of one black-box operator.
        operators: readers from plugins.
        elements: of all inputs together, which dynamic axes are sized by; None makes them 1.

    Raises:
        ModelError: malformed, or outside what can be read safely.
        UnsupportedModelError: an operator has no reader (and `opaque` is false).
    """
    try:
        return _read(data, path, opaque, tuple(operators), elements)
    except ModelError as error:
        raise type(error)(f"{path}: {error}" if path else str(error)) from error


def read_layout(data: bytes, elements: int) -> tuple[bytes, Layout]:
    """A model for onnxruntime, with inputs of so many elements in all, and its layout as it declares it.

    Raises:
        ModelError: malformed, or its dynamic axes cannot be sized so.
    """
    parsed = _sized(data, elements)
    return parsed.data, declared_layout(parsed.proto)


def _sized(data: bytes, elements: int | None) -> Parsed:
    parsed = parse(data)
    shapes = None if elements is None else sized_inputs(parsed.proto.graph, elements)
    return parsed if shapes is None else parse(adapted(parsed.data, Interface(tuple(shapes))))


def _read(
    data: bytes, path: str, opaque: bool, operators: tuple[OperatorInfo, ...], elements: int | None
) -> Model:
    parsed = _sized(data, elements)
    proto, data = parsed.proto, parsed.data
    try:
        graph, layout = read_graph(proto, operators)
    except UnsupportedModelError as error:
        if not opaque:
            raise
        from vnnverify.importer.opaque import opaque_graph

        layout = observed_layout(data, declared_layout(proto))
        graph = opaque_graph(data, layout, str(error).removesuffix(f"; {REMEDY}"))
    else:
        graph = simplify(graph)
    truncated = truncated_inputs(proto, data, layout)
    return Model(path, data, graph, layout, truncated, model_roundoff(proto), operators)
