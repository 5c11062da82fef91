# SPDX-License-Identifier: Apache-2.0
"""Evaluates nodes whose inputs are all constant, so that shape arithmetic vanishes at import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from vnnverify.errors import ModelError

__all__ = ["FOLD_LIMIT", "fold"]

FOLD_LIMIT = 256 << 20
"""Largest constant, in bytes, that folding may produce: a few bytes of model can ask for terabytes."""

_ARITHMETIC: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
}


def fold(node: onnx.NodeProto, inputs: list[np.ndarray | None], opset: int, name: str) -> list[np.ndarray]:
    """The outputs of a node with constant inputs.

    Raises:
        ModelError: it cannot be evaluated, or the result would exceed `FOLD_LIMIT`.
    """
    _refuse_bombs(node, inputs, name)
    known = [x for x in inputs if x is not None]
    if node.op_type in _ARITHMETIC and len(known) == 2:
        return [np.asarray(_ARITHMETIC[node.op_type](*known), dtype=known[0].dtype)]
    if node.op_type == "Identity":
        return [known[0]]
    from onnx.reference import ReferenceEvaluator

    names = [n for n in node.input if n]
    graph = onnx.helper.make_graph(
        [node],
        "fold",
        [onnx.helper.make_value_info(n, onnx.TypeProto()) for n in names],
        [onnx.helper.make_value_info(n, onnx.TypeProto()) for n in node.output if n],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    try:
        results: Any = ReferenceEvaluator(model).run(None, dict(zip(names, known, strict=True)))
    except Exception as error:  # the reference evaluator raises whatever numpy raises
        raise ModelError(
            f"node {name!r} ({node.op_type}): cannot be evaluated on its constants ({error})"
        ) from error
    return [np.asarray(r) for r in results]


def _refuse_bombs(node: onnx.NodeProto, inputs: list[np.ndarray | None], name: str) -> None:
    """Look at operators whose output can be far larger than their inputs before running them."""
    sizes: float = 0.0
    if node.op_type == "ConstantOfShape" and inputs and inputs[0] is not None:
        sizes = float(np.prod(inputs[0].astype(np.float64)))
    elif (
        node.op_type in ("Expand", "Tile")
        and len(inputs) > 1
        and inputs[0] is not None
        and inputs[1] is not None
    ):
        sizes = float(np.prod(inputs[1].astype(np.float64))) * max(1, inputs[0].size)
    elif node.op_type == "Range" and all(x is not None for x in inputs[:3]):
        start, limit, delta = (float(x) for x in inputs[:3] if x is not None)
        sizes = abs((limit - start) / delta) if delta else 0.0
    if sizes * 8 > FOLD_LIMIT:
        raise ModelError(f"node {name!r} ({node.op_type}): would create {sizes:.3g} constants; refused")
