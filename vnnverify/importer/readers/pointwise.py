# SPDX-License-Identifier: Apache-2.0
"""Scalar functions of mathematics, cutting to a range, and operators that do nothing at inference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.readers.arithmetic import negated
from vnnverify.importer.registry import reads
from vnnverify.ir import Op, Value
from vnnverify.ops.maximum import Max
from vnnverify.ops.periodic import Cos, Sin
from vnnverify.ops.piecewise import Abs, Clip, Relu
from vnnverify.ops.sigmoidal import Erf, Sigmoid, Tanh
from vnnverify.ops.smooth import Exp, Log, Reciprocal, Softplus, Sqrt
from vnnverify.ops.steps import Ceil, Floor, Round, Sign

__all__: list[str] = []

_PLAIN: dict[str, Callable[[], Op]] = {
    "Abs": Abs,
    "Ceil": Ceil,
    "Cos": Cos,
    "Erf": Erf,
    "Exp": Exp,
    "Floor": Floor,
    "Log": Log,
    "Reciprocal": Reciprocal,
    "Relu": Relu,
    "Round": Round,
    "Sigmoid": Sigmoid,
    "Sign": Sign,
    "Sin": Sin,
    "Softplus": Softplus,
    "Sqrt": Sqrt,
    "Tanh": Tanh,
}


@reads(*_PLAIN)
def _plain(node: NodeView) -> Operand:
    return node.add(_PLAIN[node.op_type](), node.variable())


@reads("Clip")
def _clip(node: NodeView) -> Operand:
    """Ends as attributes (before opset 11) or as inputs; computed ones through maximum and minimum."""
    if any(isinstance(node.operand(k), Value) for k in (1, 2)):
        return _clip_by_values(node)
    ends = []
    for index, (key, default) in enumerate((("min", -np.inf), ("max", np.inf)), start=1):
        found = node.constant(index, f"the {key}")
        ends.append(float(node.attribute(key, default) if found is None else found.reshape(-1)[0]))
    low, high = ends
    if low > high:
        low = high  # as onnxruntime does: max is applied last
    if low == -np.inf and high == np.inf:
        return node.variable()
    return node.add(Relu() if (low, high) == (0.0, np.inf) else Clip(low, high), node.variable())


def _clip_by_values(node: NodeView) -> Value:
    x = node.variable()
    if node.operand(1) is not None:
        x = node.add(Max(), *node.aligned(x, node.variable(1)))
    if node.operand(2) is not None:
        high = negated(node, node.variable(2))
        x = negated(node, node.add(Max(), *node.aligned(negated(node, x), high)))
    return x


@reads("Identity", "Dropout")
def _identity(node: NodeView) -> list[Operand]:
    """Dropout keeps everything at inference and at a ratio of zero, so its mask is constant."""
    if node.op_type == "Dropout":
        training, ratio = node.constant(2, "training_mode"), node.operand(1)
        drops = not isinstance(ratio, np.ndarray) or bool(ratio.any())
        if training is not None and bool(np.any(training)) and drops:
            raise node.error("is in training mode; export the model for inference")
    x = node.variable()
    outputs: list[Operand] = [x, np.ones(x.shape, dtype=bool)]
    return outputs[: node.output_count]
