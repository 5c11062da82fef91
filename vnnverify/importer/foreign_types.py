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


_KEPT = ("ArrayFeatureExtractor", "Binarizer", "Imputer")
"""Operators of `ai.onnx.ml` whose results have the type of the first input."""


def foreign_type(
    domain: str, op_type: str, attributes: Mapping[str, Any], types: Sequence[np.dtype | None]
) -> np.dtype:
    """The element type of a node's first output, given those of its inputs (None: left out).

    What is not known counts as float32.
    """
    if domain == "com.microsoft":
        for index in _LIKE.get(op_type, ()):
            kind = types[index] if index < len(types) else None
            if kind is not None:
                return kind
        return np.dtype(np.uint8) if op_type == "QuantizeLinear" else _SINGLE
    if domain == "ai.onnx.ml":
        first = types[0] if types else None
        if op_type in _KEPT and first is not None:
            return first
        if op_type in ("LinearClassifier", "SVMClassifier") or "values_int64s" in attributes:
            return np.dtype(np.int64)
        if "values_tensor" in attributes:
            return np.asarray(attributes["values_tensor"]).dtype
    return _SINGLE
