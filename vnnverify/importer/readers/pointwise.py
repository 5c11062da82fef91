# SPDX-License-Identifier: Apache-2.0
"""Scalar functions, and operators that do nothing at inference."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np

from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.readers.arithmetic import scaled
from vnnverify.importer.registry import reads
from vnnverify.ir import Op
from vnnverify.ops.bilinear import Mul
from vnnverify.ops.periodic import Cos, Sin
from vnnverify.ops.piecewise import Abs, Clip, LeakyRelu, Relu
from vnnverify.ops.sigmoidal import Erf, Sigmoid, Tanh
from vnnverify.ops.smooth import Elu, Exp, Log, Reciprocal, Softplus, Sqrt
from vnnverify.ops.softmax import Softmax
from vnnverify.ops.steps import Ceil, Floor, Round, Sign
from vnnverify.ops.sums import Sum

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


@reads("LeakyRelu")
def _leaky_relu(node: NodeView) -> Operand:
    return node.add(LeakyRelu(float(node.attribute("alpha", 0.01))), node.variable())


@reads("PRelu")
def _prelu(node: NodeView) -> Operand:
    """LeakyRelu, or with slopes that differ: a·x + (1 − a)·relu(x)."""
    alpha = np.asarray(node.constant(1, "the slope"), dtype=np.float64)
    x = node.variable()
    if alpha.size and (alpha == alpha.flat[0]).all():
        return node.add(LeakyRelu(float(alpha.flat[0])), x)
    bent = scaled(node, node.add(Relu(), x), 1 - alpha, None)
    return node.add(Sum((1, 1)), scaled(node, x, alpha, None), bent)


@reads("Elu", "Selu")
def _elu(node: NodeView) -> Operand:
    selu = node.op_type == "Selu"
    y = node.add(
        Elu(float(node.attribute("alpha", 1.67326319217681884765625 if selu else 1.0))), node.variable()
    )
    return (
        scaled(node, y, np.array(float(node.attribute("gamma", 1.05070102214813232421875))), None)
        if selu
        else y
    )


@reads("Clip")
def _clip(node: NodeView) -> Operand:
    """Ends as attributes (before opset 11) or as inputs."""
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


@reads("HardSigmoid")
def _hard_sigmoid(node: NodeView) -> Operand:
    alpha, beta = float(node.attribute("alpha", 0.2)), float(node.attribute("beta", 0.5))
    return node.add(Clip(0.0, 1.0), scaled(node, node.variable(), np.array(alpha), np.array(beta)))


@reads("HardSwish")
def _hard_swish(node: NodeView) -> Operand:
    x = node.variable()
    gate = node.add(Clip(0.0, 1.0), scaled(node, x, np.array(1 / 6), np.array(0.5)))
    return node.add(Mul(), x, gate)


@reads("Gelu")
def _gelu(node: NodeView) -> Operand:
    """x·(1 + erf(x/sqrt(2)))/2."""
    if node.attribute("approximate", "none") != "none":
        raise node.unsupported("the tanh approximation")
    x = node.variable()
    bell = node.add(Erf(), scaled(node, x, np.array(sqrt(0.5)), None))
    return node.add(Mul(), x, scaled(node, bell, np.array(0.5), np.array(0.5)))


@reads("Softmax", since=13)
def _softmax(node: NodeView) -> Operand:
    x = node.variable()
    axis = node.axis(int(node.attribute("axis", -1)), len(x.shape))
    if x.shape[axis] == 1:
        return np.ones(x.shape)
    return node.add(Softmax(axis), x)


@reads("Softmax")
def _flat_softmax(node: NodeView) -> Operand:
    """Before opset 13: over all axes from `axis` on."""
    x = node.variable()
    axis = node.axis(int(node.attribute("axis", 1)), len(x.shape) + 1)
    flat = node.reshaped(x, (int(np.prod(x.shape[:axis])), int(np.prod(x.shape[axis:]))))
    if flat.shape[1] == 1:
        return np.ones(x.shape)
    return node.reshaped(node.add(Softmax(1), flat), x.shape)


@reads("Identity", "Dropout")
def _identity(node: NodeView) -> list[Operand]:
    """Dropout keeps everything at inference, so its mask is constant."""
    if node.op_type == "Dropout":
        training = node.constant(2, "training_mode")
        if training is not None and bool(np.any(training)):
            raise node.error("is in training mode; export the model for inference")
    x = node.variable()
    outputs: list[Operand] = [x, np.ones(x.shape, dtype=bool)]
    return outputs[: node.output_count]
