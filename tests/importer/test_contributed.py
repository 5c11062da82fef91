# SPDX-License-Identifier: Apache-2.0
"""What onnxruntime's optimiser writes is read as what it stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from vnnverify.errors import UnsupportedModelError
from vnnverify.importer import Model, read_model

Build, Tried = Callable[..., onnx.ModelProto], Callable[..., Model]
Operands = tuple[Any, ...]
RNG = np.random.default_rng(8)


def weights(*shape: int) -> np.ndarray:
    return RNG.uniform(-1, 1, shape).astype(np.float32)


VECTOR, IMAGE, ROWS = (2, 4), (1, 2, 4, 4), (1, 2, 4)
CASES: list[tuple[str, tuple[Any, ...], dict[str, Any], list[str]]] = [
    ("Gelu", (VECTOR,), {}, ["Gelu"]),
    ("FastGelu", (VECTOR,), {}, ["GeluTanh"]),
    ("FastGelu", (VECTOR, weights(4)), {}, ["Scale", "GeluTanh"]),
    ("BiasGelu", (VECTOR, weights(4)), {}, ["Scale", "Gelu"]),
    ("QuickGelu", (VECTOR,), {"alpha": 1.5}, ["Silu"]),
    ("FusedMatMul", (VECTOR, weights(3, 4)), {"transB": 1, "alpha": 0.5}, ["Linear"]),
    ("FusedMatMul", ((4, 2), VECTOR[::-1]), {"transA": 1}, ["Transpose", "MatMul"]),
    ("FusedGemm", (VECTOR, weights(3, 4), weights(3)),
     {"transB": 1, "activation": "LeakyRelu", "activation_alpha": 0.25}, ["Linear", "LeakyRelu"]),
    ("FusedConv", (IMAGE, weights(3, 2, 3, 3), weights(3)), {"activation": "Relu"}, ["Conv", "Relu"]),
    ("FusedConv", (IMAGE, weights(3, 2, 3, 3), weights(3), (1, 3, 2, 2)), {}, ["Conv", "Sum"]),
    ("FusedConv", (IMAGE, weights(3, 2, 3, 3)),
     {"activation": "Clip", "activation_params": [-0.5, 0.5]}, ["Conv", "Clip"]),
]  # fmt: skip
NORMS = [
    ("SkipLayerNormalization", (ROWS, weights(1, 2, 4), weights(4), weights(4))),
    ("SkipLayerNormalization", (ROWS, ROWS, weights(4), weights(4), weights(4))),
    ("SkipSimplifiedLayerNormalization", (ROWS, ROWS, weights(4))),
]


def model(build: Build, op: str, operands: tuple[Any, ...], **attributes: Any) -> onnx.ModelProto:
    """One node; a tuple is a variable of that shape, an array a constant."""
    names = [f"in{k}" for k in range(len(operands))]
    node = helper.make_node(op, names, ["y"], name="the_node", domain="com.microsoft", **attributes)
    named = list(zip(names, operands, strict=True))
    rank = 4 if op == "FusedConv" else len(operands[0])
    return build(
        [node],
        {n: i for n, i in named if isinstance(i, tuple)},
        {"y": [f"n{k}" for k in range(rank)]},
        {n: i for n, i in named if isinstance(i, np.ndarray)},
        opsets=[helper.make_opsetid("com.microsoft", 1)],
    )


@pytest.mark.parametrize(("op", "operands", "attributes", "kinds"), CASES)
def test_joined(
    build: Build,
    tried: Tried,
    op: str,
    operands: tuple[Any, ...],
    attributes: dict[str, Any],
    kinds: list[str],
) -> None:
    found = tried(model(build, op, operands, **attributes))
    assert [node.op.kind for node in found.graph.nodes] == kinds


@pytest.mark.parametrize(("op", "operands"), NORMS)
def test_normalised(build: Build, tried: Tried, op: str, operands: tuple[Any, ...]) -> None:
    found = tried(model(build, op, operands, epsilon=1e-5), 0.01)
    assert {"InverseSqrt", "Mul"} <= {node.op.kind for node in found.graph.nodes}


@pytest.mark.parametrize(
    ("op", "attributes", "text"),
    [
        ("FusedMatMul", {"transBatchA": 1}, "a transposed batch"),
        ("FusedGemm", {"activation": "Wave"}, "the operator 'Wave' as a part"),
        ("FusedSwirl", {}, "operator com.microsoft.FusedSwirl"),
    ],
)
def test_refused(build: Build, op: str, attributes: dict[str, Any], text: str) -> None:
    with pytest.raises(UnsupportedModelError, match=f"'the_node'.*{text}.* is not supported"):
        read_model(model(build, op, (VECTOR, weights(4, 3)), **attributes).SerializeToString())
