# SPDX-License-Identifier: Apache-2.0
"""What of a model its outputs depend on. The rest may be whatever it likes: nobody reads it."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

import onnx

__all__ = ["drop_dead", "graphs_of", "live_nodes", "reads_of"]

Functions = Container[tuple[str, str]]
"""Domain and name of the model's own functions."""


def live_nodes(
    nodes: Sequence[onnx.NodeProto], outputs: Sequence[str], functions: Functions
) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes, which are in order, that these tensors depend on, and all tensors those read.

    An If, Loop or Scan of which only some outputs are needed, or whose graphs hold something dead, comes as
    a copy without that. In the call of a function, the outputs that are not needed have no name.
    """
    needed = {key for key in outputs if key}
    kept = []
    for node in reversed(nodes):
        used = [key in needed for key in node.output]
        if any(used):
            node = _trimmed(node, used, functions)
            kept.append(node)
            needed.update(reads_of(node))
    kept.reverse()
    return kept, needed


def drop_dead(proto: onnx.ModelProto) -> bool:
    """Drop what the outputs do not depend on: nodes, which are in order, initializers and functions, also
    inside functions and graphs of nodes. The inputs stay. True if there were such nodes or functions."""
    functions = {(f.domain, f.name): f for f in proto.functions}
    changed = _drop_in(proto.graph, functions)
    called: set[tuple[str, str]] = set()
    pending = list(proto.graph.node)
    while pending:
        node = pending.pop()
        pending += [inner for graph in graphs_of(node) for inner in graph.node]
        key = (node.domain, node.op_type)
        if key in functions and key not in called:
            called.add(key)
            function = functions[key]
            kept, _ = live_nodes(function.node, function.output, functions)
            changed = _replaced(function, kept) or changed
            pending += function.node
    for index in reversed(range(len(proto.functions))):
        if (proto.functions[index].domain, proto.functions[index].name) not in called:
            del proto.functions[index]
            changed = True
    return changed


def reads_of(node: onnx.NodeProto) -> Iterator[str]:
    """What a node reads, graphs inside it too."""
    yield from (key for key in node.input if key)
    for graph in graphs_of(node):
        made = {key for inner in graph.node for key in inner.output} | {v.name for v in graph.input}
        made |= {t.name for t in graph.initializer}
        yield from (key for inner in graph.node for key in reads_of(inner) if key not in made)
        yield from (v.name for v in graph.output if v.name not in made)


def graphs_of(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs among a node's attributes."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _drop_in(graph: onnx.GraphProto, functions: Functions) -> bool:
    kept, needed = live_nodes(graph.node, [v.name for v in graph.output], functions)
    changed = _replaced(graph, kept)
    dead = {tensor.name for tensor in graph.initializer} - needed
    # Old files list initializers among the inputs, where one left alone would become an input of the model.
    for tensors in (graph.initializer, graph.input):
        for index in reversed(range(len(tensors))):
            if tensors[index].name in dead:
                del tensors[index]
    for index in reversed(range(len(graph.sparse_initializer))):
        if graph.sparse_initializer[index].values.name not in needed:
            del graph.sparse_initializer[index]
    if changed:
        known = {key for node in graph.node for key in node.output}
        for index in reversed(range(len(graph.value_info))):
            if graph.value_info[index].name not in known:
                del graph.value_info[index]
    return changed


def _replaced(holder: onnx.GraphProto | onnx.FunctionProto, nodes: list[onnx.NodeProto]) -> bool:
    """Put these nodes in place of the holder's; False if they are the same."""
    same = len(nodes) == len(holder.node) and all(a is b for a, b in zip(nodes, holder.node, strict=True))
    if not same:
        del holder.node[:]
        holder.node.extend(nodes)
    return not same


def _trimmed(node: onnx.NodeProto, used: Sequence[bool], functions: Functions) -> onnx.NodeProto:
    """The node, or a copy with less in it."""
    if (node.domain, node.op_type) in functions:
        if all(used) or all(u or not key for u, key in zip(used, node.output, strict=True)):
            return node
        copy = _copied(node)
        copy.output[:] = [key if u else "" for u, key in zip(used, node.output, strict=True)]
        return copy
    if not any(True for _ in graphs_of(node)):
        return node
    copy = _copied(node)
    first, shift = _separate_outputs(node)
    trimmed = False
    for index in reversed(range(first, len(used))):
        if not used[index]:
            trimmed = True
            del copy.output[index]
            for graph in graphs_of(copy):
                if index + shift < len(graph.output):
                    del graph.output[index + shift]
    for graph in graphs_of(copy):
        weights = len(graph.initializer)
        trimmed = _drop_in(graph, functions) or len(graph.initializer) < weights or trimmed
    return copy if trimmed else node


def _separate_outputs(node: onnx.NodeProto) -> tuple[int, int]:
    """From which of its outputs on a node's outputs are each for itself, so that one can be left out, and how
    much later the same one stands in its graphs."""
    end = len(node.output)
    if node.domain not in ("", "ai.onnx"):
        return end, 0
    if node.op_type == "If":
        return 0, 0
    if node.op_type == "Loop":
        return max(0, len(node.input) - 2), 1
    named = {attribute.name: attribute for attribute in node.attribute}
    if node.op_type == "Scan" and "scan_output_axes" not in named and "scan_output_directions" not in named:
        return max(0, len(node.input) - named["num_scan_inputs"].i) if "num_scan_inputs" in named else end, 0
    return end, 0


def _copied(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy
