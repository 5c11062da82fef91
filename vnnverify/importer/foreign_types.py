# SPDX-License-Identifier: Apache-2.0
"""Element types of what operators of other domains than ONNX's own compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["foreign_type"]

_SINGLE = np.dtype(np.float32)
_LIKE = {
    "QLinearAdd": (0, 3),
    "QLinearMul": (0, 3),
    "QLinearSigmoid": (0,),
    "QLinearLeakyRelu": (0,),
    "QLinearAveragePool": (0,),
    "QLinearGlobalAveragePool": (0,),
    "QLinearSoftmax": (0,),
    "QLinearConcat": (1,),
    "QLinearWhere": (1, 4),
    "QLinearConv": (7, 0),
    "QLinearMatMul": (7, 0),
    "QGemm": (8,),
    "QuantizeLinear": (2,),
}
"""Inputs of onnxruntime's own operators, the first of which that is there has the type of the result."""


def foreign_type(
    domain: str, op_type: str, attributes: Mapping[str, Any], types: Sequence[np.dtype | None]
) -> np.dtype:
    """The element type of a node's first output, given those of its inputs (None: left out).

    What is not known counts as float32.
    """
    if domain == "com.microsoft":
        found = [types[k] for k in _LIKE.get(op_type, ()) if k < len(types) and types[k] is not None]
        if found and found[0] is not None:
            return found[0]
        return np.dtype(np.uint8) if op_type == "QuantizeLinear" else _SINGLE
    return _SINGLE
