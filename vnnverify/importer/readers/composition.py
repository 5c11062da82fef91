# SPDX-License-Identifier: Apache-2.0
"""Operators that are read as several of ONNX's own."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from vnnverify.importer.builder import NodeView, Operand, as_tensor
from vnnverify.importer.registry import find_reader
from vnnverify.ir import Value
from vnnverify.ops.arrangement import Constant

__all__ = ["as_onnx"]

_OPSET = 21
"""The operator set of ONNX by whose readers the parts are read."""


def as_onnx(node: NodeView, op_type: str, *inputs: Operand | None, **attributes: Any) -> Value:
    """What the ONNX operator of that name makes of the inputs: its first output.

    Raises:
        UnsupportedModelError: it has no reader.
    """
    reader = find_reader("", op_type, _OPSET)
    if reader is None:
        raise node.unsupported(f"the operator {op_type!r} as a part")
    if inputs and not any(isinstance(part, Value) for part in inputs):
        array = np.zeros(()) if inputs[0] is None else inputs[0]
        inputs = (node.add(Constant(as_tensor(np.asarray(array)))), *inputs[1:])
    found = reader(
        dataclasses.replace(node, op_type=op_type, inputs=inputs, attributes=attributes, opset=_OPSET)
    )
    first = found if isinstance(found, Value | np.ndarray) else found[0]
    assert isinstance(first, Value)
    return first
