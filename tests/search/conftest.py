# SPDX-License-Identifier: Apache-2.0
"""Small models written out as ONNX text."""

from __future__ import annotations

import onnx

__all__ = ["network"]


def network(body: str, inputs: int, outputs: int, constants: str = "", opset: int = 17) -> onnx.ModelProto:
    """A model from x (1, inputs) to y (1, outputs)."""
    return onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : {opset}]>\n'
        f"g (float[1,{inputs}] x) => (float[1,{outputs}] y) <{constants}> {{ {body} }}"
    )
