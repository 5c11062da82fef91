# SPDX-License-Identifier: Apache-2.0
"""Evaluates nodes whose inputs are all constant, so that shape arithmetic vanishes at import."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import onnx

from vnnverify.errors import ModelError, UnsupportedModelError
from vnnverify.importer.builder import REMEDY

__all__ = ["FOLD_LIMIT", "can_fold", "evaluate", "fold"]

FOLD_LIMIT = 256 << 20
"""Largest constant, in bytes, that folding may produce: a few bytes of model can ask for terabytes."""

_ARITHMETIC: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
}
_OLDEST = {"DequantizeLinear": 19}
"""The first opset whose definition the reference has, of operators that have not changed for such inputs."""
_RANDOM = ("Bernoulli", "Multinomial", "RandomNormalLike", "RandomUniformLike")


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
    size = _result_size(node.op_type, inputs)
    if size * 8 > FOLD_LIMIT:
        raise ModelError(f"{place}: asks for a constant of {size:.3g} elements; refused")
    results = evaluate(node, inputs, opset, place)
    for array in results:
        if array.nbytes > FOLD_LIMIT:
            raise ModelError(f"{place}: makes a constant of {array.nbytes:,} bytes; refused")
        if array.dtype.kind == "f" and not (array < np.inf).all():
            raise ModelError(f"{place}: makes NaN or infinity from the model's constants")
    return results


def evaluate(
    node: onnx.NodeProto, inputs: list[np.ndarray | None], opset: int, place: str
) -> list[np.ndarray]:
    """The outputs of a node for these inputs, as onnx's reference computes them.

    Raises:
        UnsupportedModelError: it cannot be evaluated; `place` says in the message what.
    """
    known = [x for x in inputs if x is not None]
    if node.op_type == "Identity":
        return [known[0]]
    try:
        if node.op_type in _ARITHMETIC and len(known) == 2:
            return [np.asarray(_ARITHMETIC[node.op_type](*known), dtype=known[0].dtype)]
        names = list(dict.fromkeys(n for n in node.input if n))
        feed = {n: x for n, x in zip(node.input, inputs, strict=True) if n and x is not None}
        with np.errstate(all="ignore"):  # what overflows is refused by `fold`
            return [np.asarray(r) for r in _reference(node, names, opset).run(None, feed)]
    except Exception as error:  # the reference evaluator raises whatever numpy raises
        text = " ".join(str(error).split())[:200]
        raise UnsupportedModelError(
            f"{place}: cannot be evaluated on its constants ({text}); {REMEDY}"
        ) from error


def _reference(node: onnx.NodeProto, names: list[str], opset: int) -> Any:
    from onnx.reference import ReferenceEvaluator

    unknown = onnx.TypeProto()
    graph = onnx.helper.make_graph(
        [node],
        "fold",
        [onnx.helper.make_value_info(n, unknown) for n in names],
        [onnx.helper.make_value_info(n, unknown) for n in node.output if n],
    )
    version = onnx.helper.make_opsetid("", max(opset, _OLDEST.get(node.op_type, 0)))
    return ReferenceEvaluator(onnx.helper.make_model(graph, opset_imports=[version]))


def _result_size(op_type: str, inputs: list[np.ndarray | None]) -> float:
    """Elements of the result, for operators whose result can be far larger than their inputs."""
    first = inputs[0] if inputs else None
    second = inputs[1] if len(inputs) > 1 else None
    if first is None:
        return 0.0
    if op_type == "ConstantOfShape":
        return float(np.prod(first.astype(np.float64)))
    if op_type == "Range" and second is not None and len(inputs) > 2 and inputs[2] is not None:
        step = float(inputs[2])
        return abs((float(second) - float(first)) / step) if step else 0.0
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
