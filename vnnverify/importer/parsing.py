# SPDX-License-Identifier: Apache-2.0
"""Bytes to a checked protobuf whose nodes are in order."""

from __future__ import annotations

from collections import deque

import onnx

from vnnverify.errors import ModelError, UnsupportedModelError

__all__ = ["OLDEST_OPSET", "one_line", "parse"]

OLDEST_OPSET = 7
"""Older operator sets broadcast by attributes of their own."""


def parse(data: bytes) -> onnx.ModelProto:
    """The model, checked by onnx, with nodes sorted so that each reads only what is already there.

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
    _refuse_external_data(proto.graph)
    if proto.graph.sparse_initializer:
        name = proto.graph.sparse_initializer[0].values.name
        raise UnsupportedModelError(f"initializer {name!r} is sparse; save it as a dense tensor")
    sorted_already = _sort(proto.graph)
    try:
        onnx.checker.check_model(data if sorted_already else proto)
    except Exception as error:  # the checker raises its own and protobuf's types
        raise ModelError(f"not a valid ONNX model ({one_line(error)}); export it again") from error
    opset = max((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), default=1)
    if opset < OLDEST_OPSET and any(node.domain in ("", "ai.onnx") for node in proto.graph.node):
        raise UnsupportedModelError(
            f"operator set {opset} is older than {OLDEST_OPSET}; convert it with onnx.version_converter"
        )
    return proto


def one_line(error: Exception) -> str:
    """An error's text on one line, at most 240 characters."""
    text = " ".join(str(error).split("==> Context")[0].split()) or type(error).__name__
    return text if len(text) <= 240 else f"{text[:240]}…"


def _refuse_external_data(graph: onnx.GraphProto) -> None:
    tensors = [(f"initializer {t.name!r}", t) for t in graph.initializer]
    for node in graph.node:
        place = f"a constant of node {node.name or node.op_type!r}"
        for attribute in node.attribute:
            tensors += [(place, t) for t in (attribute.t, *attribute.tensors)]
            tensors += [(place, t) for t in (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)]
    for name, tensor in tensors:
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "?")
            raise ModelError(
                f"{name} lies in the external file {location!r}, which is not read; "
                "save the model as one file (onnx.save with save_as_external_data=False)"
            )


def _sort(graph: onnx.GraphProto) -> bool:
    """Put the nodes in topological order; True if they were.

    Raises:
        ModelError: some of them form a cycle.
    """
    maker = {key: index for index, node in enumerate(graph.node) for key in node.output if key}
    needs = [{maker[key] for key in node.input if key in maker} for node in graph.node]
    if all(max(made, default=-1) < index for index, made in enumerate(needs)):
        return True
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
        name = graph.node[place].name or f"{graph.node[place].op_type}_{place}"
        raise ModelError(f"node {name!r} depends on its own output: the graph is cyclic; export it again")
    nodes = [graph.node[index] for index in order]
    del graph.node[:]
    graph.node.extend(nodes)
    return False


def _on_cycle(needs: list[set[int]], stuck: set[int]) -> int:
    """A node on a cycle: walking back among nodes that wait for each other must come round."""
    seen: set[int] = set()
    index = min(stuck)
    while index not in seen:
        seen.add(index)
        index = min(needs[index] & stuck)
    return index
