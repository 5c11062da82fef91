# SPDX-License-Identifier: Apache-2.0
"""Roundings to small whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from node_cases.case import Case, case

__all__ = ["quantized_cases"]


def quantized_cases() -> list[Case]:
    """Ranges in which no number lies on the edge between two quantised ones, as float32 has it."""
    shape, scale, byte = (2, 4), np.array(0.05, np.float32), np.array(3, np.int8)
    kind: dict[str, Any] = {"kind": TensorProto.INT8}
    per_channel = np.array([0.05, 0.1, 0.02, 0.3], np.float32), np.array([1, 0, -3, 5], np.int8)
    return [
        case("QuantizeLinear", shape, scale, byte, **kind),
        case("QuantizeLinear", shape, scale, np.array(100, np.uint8), kind=TensorProto.UINT8),
        case("QuantizeLinear", shape, *per_channel, axis=1, **kind),
    ]
