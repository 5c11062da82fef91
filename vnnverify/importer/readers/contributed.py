# SPDX-License-Identifier: Apache-2.0
"""Operators of onnxruntime's own domain, into which its optimiser joins those of ONNX."""

from __future__ import annotations

import numpy as np

from vnnverify.importer.builder import NodeView, Operand
from vnnverify.importer.readers.arithmetic import scaled
from vnnverify.importer.readers.composition import as_onnx
from vnnverify.importer.registry import reads
from vnnverify.importer.tables import tabulate
from vnnverify.ir import Value
from vnnverify.ops.arrangement import Transpose
from vnnverify.ops.gates import Gelu, GeluTanh, Silu
from vnnverify.ops.sums import Sum

__all__: list[str] = []

DOMAIN = "com.microsoft"
_PARAMETERS = {"LeakyRelu": ("alpha",), "HardSigmoid": ("alpha", "beta"), "Clip": ("min", "max")}
"""Attributes of activations, in the order of their numbers."""


@reads("Gelu", "FastGelu", "BiasGelu", "QuickGelu", domain=DOMAIN)
def _gelu(node: NodeView) -> Operand:
    """Of the sum with a bias, if there is one; FastGelu by tanh, QuickGelu as x·sigmoid(alpha·x)."""
    x = node.variable()
    if node.operand(1) is not None:
        x = as_onnx(node, "Add", x, node.operand(1))
    if node.op_type == "QuickGelu":
        return node.add(Silu(float(node.attribute("alpha", 1.702))), x)
    return node.add(GeluTanh(source="Gelu") if node.op_type == "FastGelu" else Gelu(source="Gelu"), x)


def _activated(node: NodeView, x: Value, numbers: list[float]) -> Value:
    """The activation that the node names, of x."""
    name = str(node.attribute("activation", ""))
    if not name:
        return x
    keys = _PARAMETERS.get(name, ())
    return as_onnx(node, name, x, **dict(zip(keys, numbers, strict=False)))


@reads("QuantizeLinear", "DequantizeLinear", domain=DOMAIN)
def _quantization(node: NodeView) -> Operand:
    """As in ONNX; of constants, what the runtime makes of them."""
    known = [part for part in node.inputs if isinstance(part, np.ndarray)]
    if len(known) == len(node.inputs):
        return tabulate(node.op_type, DOMAIN, node.attributes, known, node.title)
    return as_onnx(node, node.op_type, *node.inputs, **node.attributes)


@reads("FusedConv", domain=DOMAIN)
def _fused_conv(node: NodeView) -> Operand:
    """A convolution, plus another value, and an activation."""
    own = {k: v for k, v in node.attributes.items() if not k.startswith("activation")}
    found = as_onnx(node, "Conv", *node.inputs[:3], **own)
    if node.operand(3) is not None:
        found = node.add(Sum((1, 1)), *node.aligned(found, node.variable(3)))
    return _activated(node, found, node.attribute("activation_params", []))


@reads("FusedGemm", domain=DOMAIN)
def _fused_gemm(node: NodeView) -> Operand:
    own = {k: v for k, v in node.attributes.items() if not k.startswith("activation")}
    numbers = [node.attribute(f"activation_{k}") for k in ("alpha", "beta", "gamma")]
    return _activated(node, as_onnx(node, "Gemm", *node.inputs, **own), [n for n in numbers if n is not None])


@reads("FusedMatMul", domain=DOMAIN)
def _fused_matmul(node: NodeView) -> Operand:
    """alpha·A'·B', where the last two axes of A' and B' may be swapped."""
    if node.attribute("transBatchA", 0) or node.attribute("transBatchB", 0):
        raise node.unsupported("a transposed batch")
    factors = [_swapped(node, k) if node.attribute(key, 0) else node.operand(k) for k, key in _SIDES]
    found = as_onnx(node, "MatMul", *factors)
    alpha = float(node.attribute("alpha", 1.0))
    return found if alpha == 1.0 else scaled(node, found, np.array(alpha), None)


_SIDES = ((0, "transA"), (1, "transB"))


def _swapped(node: NodeView, index: int) -> Operand:
    x = node.operand(index)
    if x is None:
        raise node.error(f"input {index} is missing")
    if isinstance(x, np.ndarray):
        return np.swapaxes(x, -1, -2)
    rank = len(x.shape)
    return node.add(Transpose((*range(rank - 2), rank - 1, rank - 2)), x)


@reads("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", domain=DOMAIN)
def _skip_normalization(node: NodeView) -> Operand:
    """Of the sum of two values and a bias."""
    simple = node.op_type.startswith("SkipSimplified")
    total = as_onnx(node, "Add", node.variable(0), node.operand(1))
    bias = node.operand(3 if simple else 4)
    if bias is not None:
        total = as_onnx(node, "Add", total, bias)
    epsilon = float(node.attribute("epsilon", 1e-12))
    if simple:
        return as_onnx(node, "RMSNormalization", total, node.operand(2), epsilon=epsilon)
    return as_onnx(node, "LayerNormalization", total, node.operand(2), node.operand(3), epsilon=epsilon)
