# SPDX-License-Identifier: Apache-2.0
"""Scalar functions, and operators that do nothing at inference."""

from __future__ import annotations

import numpy as np

from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.registry import reads
from vnnverify.ops.piecewise import Abs, Clip, LeakyRelu, Relu
from vnnverify.ops.smooth import Exp, Sigmoid, Tanh

__all__: list[str] = []

_PLAIN = {"Abs": Abs, "Exp": Exp, "Relu": Relu, "Sigmoid": Sigmoid, "Tanh": Tanh}


@reads(*_PLAIN)
def _plain(node: NodeView) -> Operand:
    return node.add(_PLAIN[node.op_type](), node.variable())


@reads("LeakyRelu")
def _leaky_relu(node: NodeView) -> Operand:
    return node.add(LeakyRelu(float(node.attribute("alpha", 0.01))), node.variable())


@reads("Clip")
def _clip(node: NodeView) -> Operand:
    """Ends as attributes (before opset 11) or as inputs."""
    ends = []
    for index, (key, default) in enumerate((("min", -np.inf), ("max", np.inf)), start=1):
        found = node.constant(index, f"the {key} of Clip")
        ends.append(float(node.attribute(key, default) if found is None else found.reshape(-1)[0]))
    if ends[0] > ends[1]:
        raise node.error(f"min {ends[0]} is above max {ends[1]}")
    return node.add(Clip(ends[0], ends[1]), node.variable())


@reads("Identity", "Dropout")
def _identity(node: NodeView) -> Operand:
    """Dropout keeps everything at inference."""
    if node.op_type == "Dropout":
        training = node.constant(2, "training_mode")
        if training is not None and bool(np.any(training)):
            raise node.error("training mode is not a function of the input")
        if node.output_count > 1:
            return [node.variable(), np.ones(node.variable().shape, dtype=bool)]  # type: ignore[return-value]
    return node.variable()


@reads("Cast")
def _cast(node: NodeView) -> Operand:
    """Between float types only; the network is analysed over the real numbers."""
    to = node.attribute("to")
    if to not in (1, 10, 11, 16):  # FLOAT, FLOAT16, DOUBLE, BFLOAT16
        raise node.error("casts of computed values to integers or booleans are not supported")
    return node.variable()
