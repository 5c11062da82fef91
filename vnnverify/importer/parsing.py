# SPDX-License-Identifier: Apache-2.0
"""Bytes to a checked protobuf whose nodes are in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import onnx

from vnnverify.errors import ModelError, UnsupportedModelError
from vnnverify.importer.acceptance import takes
from vnnverify.importer.labels import drop_text
from vnnverify.importer.liveness import drop_dead, graphs_of, reads_of
from vnnverify.inputs.external import refuse_external

__all__ = ["OLDEST_OPSET", "Parsed", "one_line", "parse"]

OLDEST_OPSET = 7
"""Older operator sets broadcast by attributes of their own."""


@dataclass(frozen=True, slots=True, eq=False)
class Parsed:
    """A checked model: each node reads only what is already there, and the outputs depend on all there is."""

    proto: onnx.ModelProto
    data: bytes  # for onnxruntime: as it was read, without what is dead only where onnxruntime refuses that


def parse(data: bytes) -> Parsed:
    """The model in these bytes without outputs of text, and without what its outputs do not depend on. It is
    valid by onnx's checker, or else because onnxruntime takes it.

    Raises:
        ModelError: not ONNX, truncated, invalid, cyclic, or with data outside the file.
        UnsupportedModelError: valid, but older than `OLDEST_OPSET`.
    """
    try:
        proto = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's own exception types differ between its versions
        raise ModelError(f"not an ONNX model, or truncated ({one_line(error)}); export it again") from error
    if not proto.graph.node and not proto.graph.output:
        raise ModelError("holds no graph, so it is not an ONNX model, or truncated; export it again")
    refuse_external(proto)
    drop_text(proto.graph)
    moved = _sort_all(proto)
    dropped = drop_dead(proto)
    if proto.graph.sparse_initializer:
        name = proto.graph.sparse_initializer[0].values.name
        raise UnsupportedModelError(f"initializer {name!r} is sparse; save it as a dense tensor")
    _refuse_namesakes(proto.graph)
    usable = _usable(data, proto, moved=moved, dropped=dropped)
    opset = max((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), default=1)
    if opset < OLDEST_OPSET and any(node.domain in ("", "ai.onnx") for node in proto.graph.node):
        raise UnsupportedModelError(
            f"operator set {opset} is older than {OLDEST_OPSET}; convert it with onnx.version_converter"
        )
    return Parsed(proto, usable)


def _usable(data: bytes, proto: onnx.ModelProto, *, moved: bool, dropped: bool) -> bytes:
    """What onnxruntime is to run: the bytes as they are, or the model that is left of them.

    Args:
        moved: the model's nodes are in another order.
        dropped: it lacks dead nodes or functions.

    Raises:
        ModelError: the model is not valid, and onnxruntime does not take it either.
    """
    if not moved and not dropped:
        if _objection(data) is None:
            return data
        dropped = True  # a dead initializer may be to blame
    objection = _objection(proto)
    if (objection is None and not dropped) or takes(data):
        return data
    rest: bytes = proto.SerializeToString()
    if objection is None or takes(rest):
        return rest
    raise ModelError(f"not a valid ONNX model ({one_line(objection)}); export it again") from objection


def _objection(model: onnx.ModelProto | bytes) -> Exception | None:
    """What onnx's checker says against the model."""
    try:
        onnx.checker.check_model(model)
    except Exception as error:  # the checker raises its own and protobuf's types
        return error
    return None


def one_line(error: Exception) -> str:
    """An error's text on one line, at most 240 characters."""
    text = " ".join(str(error).split("==> Context")[0].split()) or type(error).__name__
    return text if len(text) <= 240 else f"{text[:240]}…"


def _refuse_namesakes(graph: onnx.GraphProto) -> None:
    """onnxruntime takes several initializers of one name, and one of them."""
    seen = set()
    for tensor in graph.initializer:
        if tensor.name in seen:
            raise ModelError(f"initializer {tensor.name!r} is there twice; export the model again")
        seen.add(tensor.name)


def _sort_all(proto: onnx.ModelProto) -> bool:
    """Put all nodes in topological order, also in functions and in graphs of nodes; True if some were not.

    Raises:
        ModelError: some of them form a cycle.
    """
    holders: list[onnx.GraphProto | onnx.FunctionProto] = [proto.graph, *proto.functions]
    moved = False
    while holders:
        holder = holders.pop()
        order = _order(holder.node)
        if order is not None:
            nodes = [holder.node[index] for index in order]
            del holder.node[:]
            holder.node.extend(nodes)
            moved = True
        holders += [graph for node in holder.node for graph in graphs_of(node)]
    return moved


def _order(nodes: Sequence[onnx.NodeProto]) -> list[int] | None:
    """A topological order of the nodes; None if they are in one.

    Raises:
        ModelError: some of them form a cycle.
    """
    maker = {key: index for index, node in enumerate(nodes) for key in node.output if key}
    needs = [{maker[key] for key in reads_of(node) if key in maker} for node in nodes]
    if all(max(made, default=-1) < index for index, made in enumerate(needs)):
        return None
    readers: dict[int, list[int]] = {}
    for index, made in enumerate(needs):
        for source in made:
            readers.setdefault(source, []).append(index)
    missing = [len(made) for made in needs]
    ready = deque(index for index, count in enumerate(missing) if count == 0)
    order = []
    while ready:
        index = ready.popleft()
        order.append(index)
        for reader in readers.get(index, ()):
            missing[reader] -= 1
            if missing[reader] == 0:
                ready.append(reader)
    if len(order) < len(needs):
        place = _on_cycle(needs, set(range(len(needs))) - set(order))
        name = nodes[place].name or f"{nodes[place].op_type}_{place}"
        raise ModelError(f"node {name!r} depends on its own output: the graph is cyclic; export it again")
    return order


def _on_cycle(needs: list[set[int]], stuck: set[int]) -> int:
    """A node on a cycle: walking back among nodes that wait for each other must come round."""
    seen: set[int] = set()
    index = min(stuck)
    while index not in seen:
        seen.add(index)
        index = min(needs[index] & stuck)
    return index
