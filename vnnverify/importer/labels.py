# SPDX-License-Identifier: Apache-2.0
"""Outputs of classifiers that are no tensors of numbers: text, and maps from classes to probabilities.

Text is left out: a property cannot speak of it. Of maps it speaks of the numbers in the order of the classes.
"""

from __future__ import annotations

import logging

import onnx

from vnnverify.errors import ModelError, UnsupportedModelError

__all__ = ["class_keys", "drop_text", "is_map"]

logger = logging.getLogger(__name__)


def drop_text(graph: onnx.GraphProto) -> None:
    """Leave outputs that hold text out of the graph, with a warning.

    Raises:
        ModelError: there are no others.
    """
    text = [v.name for v in graph.output if v.type.tensor_type.elem_type == onnx.TensorProto.STRING]
    if not text:
        return
    listed = ", ".join(map(repr, text))
    if len(text) == len(graph.output):
        raise ModelError(
            f"output {listed} holds text, which a property cannot speak of, and there is no other"
        )
    logger.warning("output %s holds text and is left out: a property speaks of the other outputs", listed)
    kept = [v for v in graph.output if v.name not in text]
    del graph.output[:]
    graph.output.extend(kept)


def is_map(info: onnx.ValueInfoProto) -> bool:
    """Whether an output is a sequence of maps, one for each row."""
    return bool(info.type.sequence_type.elem_type.HasField("map_type"))


def class_keys(graph: onnx.GraphProto, name: str) -> tuple[int | str, ...]:
    """The classes of an output of maps, in the order in which their numbers come.

    Raises:
        UnsupportedModelError: no ZipMap makes it, or two classes have the same name.
    """
    makers = {key: node for node in graph.node for key in node.output if key}
    node = makers.get(name)
    while node is not None and node.op_type == "Identity":
        node = makers.get(node.input[0])
    if node is None or (node.domain, node.op_type) != ("ai.onnx.ml", "ZipMap"):
        raise UnsupportedModelError(
            f"output {name!r} is made of maps, but not by a ZipMap; export it as a tensor"
        )
    keys: list[int | str] = []
    for attribute in node.attribute:
        keys += [text.decode(errors="replace") for text in attribute.strings] or list(attribute.ints)
    if len(set(keys)) < len(keys):
        raise UnsupportedModelError(
            f"output {name!r} gives the same name to two classes; export it as a tensor"
        )
    return tuple(keys)
