# SPDX-License-Identifier: Apache-2.0
"""Which inputs a model reads only after cutting off their fraction, such as positions inside an image.

Between two whole numbers such an input changes nothing, so that a box of them holds finitely many different
inputs, whatever the model computes from them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto

from vnnverify.importer.extraction import Parts
from vnnverify.importer.liveness import reads_of
from vnnverify.query import Layout

__all__ = ["truncated_inputs"]

_MOVERS = ("Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze")
"""Operators that compute nothing from their first input: the result is made of its elements."""
_WHOLE = (TensorProto.INT32, TensorProto.INT64)
_LARGEST = 1 << 24
"""Whole numbers up to this one are exact in float32."""


def truncated_inputs(proto: onnx.ModelProto, data: bytes, layout: Layout) -> tuple[int, ...]:
    """The elements of the flattened inputs that nothing in the model reads but casts to whole numbers.

    Found by sending the elements' own numbers through everything that only moves them; an operator that
    does more than that counts as reading all that it is given.

    Args:
        proto: the model, its nodes in order; `data` holds the same.
    """
    sizes = [int(np.prod(spec.shape)) for spec in layout.inputs]
    floats = all(spec.dtype in ("float32", "float64") for spec in layout.inputs)
    if not floats or sum(sizes) > _LARGEST or not any(map(_truncates, proto.graph.node)):
        return ()
    read = _read_otherwise(proto, [spec.name for spec in layout.inputs])
    feed, start = {}, 0
    for spec, size in zip(layout.inputs, sizes, strict=True):
        feed[spec.name] = np.arange(start, start + size, dtype=spec.dtype).reshape(spec.shape)
        start += size
    parts = Parts(data)
    left = np.ones(start, dtype=bool)
    computed = [name for name in read if name not in feed]
    seen = parts.observed(parts.before(computed), computed, [feed]) if computed else [{}]
    if not seen:  # onnxruntime does not run this part of the model
        return ()
    for name in read:
        left[(feed[name] if name in feed else seen[0][name]).astype(np.int64).ravel()] = False
    return tuple(np.flatnonzero(left).tolist())


def _truncates(node: onnx.NodeProto) -> bool:
    """Whether the node casts to whole numbers."""
    to = [attribute.i for attribute in node.attribute if attribute.name == "to"]
    return node.op_type == "Cast" and node.domain in ("", "ai.onnx") and bool(to) and to[0] in _WHOLE


def _read_otherwise(proto: onnx.ModelProto, inputs: Iterable[str]) -> list[str]:
    """The tensors made of elements of the inputs that something other than a move or such a cast reads."""
    moved = set(inputs)  # tensors whose elements are elements of the inputs
    varying = set(moved)
    read: dict[str, None] = {}
    for node in proto.graph.node:
        given = list(dict.fromkeys(reads_of(node)))
        own = [key for key in given if key in moved]
        if not any(key in varying for key in given) or node.op_type in ("Shape", "Size"):
            continue
        varying.update(node.output)
        fixed = not any(key in varying for key in node.input[1:] if key)
        if node.op_type in _MOVERS and node.domain in ("", "ai.onnx") and own == node.input[:1] and fixed:
            moved.update(node.output)
        elif not _truncates(node):
            read.update(dict.fromkeys(own))
    read.update(dict.fromkeys(v.name for v in proto.graph.output if v.name in moved))
    return list(read)
