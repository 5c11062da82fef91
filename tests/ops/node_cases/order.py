# SPDX-License-Identifier: Apache-2.0
"""The greatest elements, and elements at computed places."""

from __future__ import annotations

from typing import Any

from onnx import TensorProto

from node_cases.case import Case, case, ints, weights

__all__ = ["order_cases"]


def order_cases() -> list[Case]:
    block, ints64 = (2, 5, 3), TensorProto.INT64
    top: dict[str, Any] = {"outputs": 2}
    picked: dict[str, Any] = {"low": -2.4, "high": 2.4, "whole": True}
    return [
        case("TopK", block, ints(2), axis=1, **top),
        case("TopK", block, ints(3), largest=0, opset=11, **top),
        case("TopK", (4,), k=2, opset=9, **top),
        case("TopK", (3, 6), ints(6), sorted=1, **top, low=-3.5, high=3.5, whole=True, note="ties"),
        case("Gather", weights(5, 3), (2, 2), **picked, note="computed"),
        case("Gather", weights(2, 5), (3,), axis=1, **picked, note="computed"),
        case("GatherElements", weights(3, 4), (2, 4), **picked, note="computed"),
        case("GatherElements", (3, 4), (2, 3), **picked, note="computed", kind=ints64),
    ]
