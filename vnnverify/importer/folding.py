# SPDX-License-Identifier: Apache-2.0
"""Evaluates nodes whose inputs are all constant, so that shape arithmetic vanishes at import.

What onnxruntime computes counts, without graph optimisation: definitions of old operator sets and casts to
narrow types differ between it and onnx's own reference. Only sums, differences and products of whole numbers
are numpy's: they wrap alike, and there may be thousands of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np
import onnx

from vnnverify.errors import ModelError, UnsupportedModelError
from vnnverify.importer.builder import REMEDY
from vnnverify.importer.parsing import one_line
from vnnverify.importer.proto import holds_infinity
from vnnverify.importer.runtime import outputs_of

__all__ = ["FOLD_LIMIT", "can_fold", "evaluate", "fold"]

FOLD_LIMIT = 256 << 20
"""Largest constant, in bytes, that folding may produce: a few bytes of model can ask for terabytes."""

_ARITHMETIC: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
}
_RANDOM = ("Bernoulli", "Dropout", "Multinomial", "RandomNormalLike", "RandomUniformLike")


def can_fold(node: onnx.NodeProto) -> bool:
    """Whether the node is a function of its (constant) inputs that onnx itself defines."""
    return bool(node.input) and node.domain in ("", "ai.onnx") and node.op_type not in _RANDOM


def fold(node: onnx.NodeProto, inputs: list[np.ndarray | None], opset: int, name: str) -> list[np.ndarray]:
    """The outputs of a node with constant inputs, computed in their own types.

    Raises:
        ModelError: the result would exceed `FOLD_LIMIT`, or holds NaN or plus infinity.
        UnsupportedModelError: it cannot be evaluated.
    """
    place = f"node {name!r} ({node.op_type})"
    try:
        size = _result_size(node.op_type, inputs)
    except (ArithmeticError, LookupError, TypeError, ValueError):  # inputs that do not fit the operator
        size = 0.0
    if size * 8 > FOLD_LIMIT:
        raise ModelError(f"{place}: asks for a constant of {size:.3g} elements; refused")
    results = evaluate(node, inputs, opset, place)
    for array in results:
        if array.nbytes > FOLD_LIMIT:
            raise ModelError(f"{place}: makes a constant of {array.nbytes:,} bytes; refused")
        if holds_infinity(array):
            raise ModelError(f"{place}: makes NaN or infinity from the model's constants")
    return results


def evaluate(
    node: onnx.NodeProto, inputs: Sequence[np.ndarray | None], opset: int, place: str
) -> list[np.ndarray]:
    """The outputs of a node for these inputs, as onnxruntime computes them without optimising.

    Raises:
        UnsupportedModelError: it cannot be evaluated; `place` says in the message what.
    """
    known = [x for x in inputs if x is not None]
    if node.op_type == "Identity":
        return [known[0]]
    whole = len(known) == 2 and all(x.dtype.kind in "iu" for x in known)
    try:
        if whole and node.op_type in _ARITHMETIC and known[0].dtype == known[1].dtype:
            with np.errstate(over="ignore"):
                return [np.asarray(_ARITHMETIC[node.op_type](*known), dtype=known[0].dtype)]
        return outputs_of(node, inputs, opset)
    except Exception as error:  # onnxruntime raises what its C++ raises
        raise UnsupportedModelError(
            f"{place}: cannot be evaluated on its constants ({one_line(error)}); {REMEDY}"
        ) from error


def _result_size(op_type: str, inputs: list[np.ndarray | None]) -> float:
    """Elements of the result, for operators whose result can be far larger than their inputs."""
    first = inputs[0] if inputs else None
    second = inputs[1] if len(inputs) > 1 else None
    if first is None:
        return 0.0
    if op_type == "ConstantOfShape":
        return float(np.prod(first.astype(np.float64)))
    if op_type == "Range" and second is not None and len(inputs) > 2 and inputs[2] is not None:
        start, limit, step = (float(x.reshape(())) for x in (first, second, inputs[2]))
        return abs((limit - start) / step) if step else 0.0
    if second is None:
        return 0.0
    if op_type in ("Expand", "Tile"):
        return float(np.prod(np.maximum(second.astype(np.float64), 1))) * max(1, first.size)
    if op_type == "OneHot":
        return float(np.max(second)) * first.size
    if op_type == "Pad" and second.size == 2 * first.ndim:
        return prod(float(n + w) for n, w in zip(first.shape, second.reshape(2, -1).sum(axis=0), strict=True))
    if op_type in _ARITHMETIC or op_type in ("Div", "Pow", "Equal", "Less", "Greater", "And", "Or"):
        return float(np.prod(np.broadcast_shapes(first.shape, second.shape), dtype=np.float64))
    return 0.0
