# SPDX-License-Identifier: Apache-2.0
"""Products of quantised numbers, to the last unit as onnxruntime computes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from single_node import OneNode, check_bounds, check_values

from vnnverify.errors import ModelError, UnsupportedModelError

RNG = np.random.default_rng(11)


def scale(value: Any) -> np.ndarray:
    return np.array(value, dtype=np.float32)


def byte(value: Any, kind: str = "int8") -> np.ndarray:
    return np.array(value, dtype=kind)


def numbers(kind: str, *shape: int) -> np.ndarray:
    info = np.iinfo(kind)
    return RNG.integers(info.min, info.max + 1, shape).astype(kind)


def of(op: str, kind: str, *inputs: Any, domain: str = "", out: str = "", **attributes: Any) -> OneNode:
    info = np.iinfo(kind)
    kinds = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8, "int32": TensorProto.INT32}
    return OneNode(
        op,
        inputs,
        domain=domain,
        attributes=attributes,
        out_kind=kinds[out or kind] if out != "float" else TensorProto.FLOAT,
        cast=kind,
        low=info.min,
        high=info.max,
    )


Zeros = tuple[int, Any, int]


def matmul(kind: str, x: float, w: Any, y: float, zeros: Zeros, shape: tuple[int, ...]) -> OneNode:
    other = "int8" if np.min(zeros[1]) <= 0 else "uint8"
    return of(
        "QLinearMatMul", kind, shape, scale(x), byte(zeros[0], kind), numbers(other, shape[-1], 4), scale(w),
        byte(zeros[1], other), scale(y), byte(zeros[2], kind),
    )  # fmt: skip


def conv(kind: str, x: float, w: Any, y: float, zeros: Zeros, **attributes: Any) -> OneNode:
    bias = RNG.integers(-9000, 9000, 4).astype(np.int32)
    return of(
        "QLinearConv", kind, (1, 2, 5, 5), scale(x), byte(zeros[0], kind), numbers("int8", 4, 2, 3, 3),
        scale(w), byte(zeros[1]), scale(y), byte(zeros[2], kind), bias, **attributes,
    )  # fmt: skip


def gemm(kind: str, y: float | None, **attributes: Any) -> OneNode:
    turned = attributes.get("transB", 0)
    result = () if y is None else (scale(y), byte(3, kind))
    bias = RNG.integers(-9000, 9000, 4).astype(np.int32)
    weight = numbers("int8", 4, 6) if turned else numbers("int8", 6, 4)
    return of(
        "QGemm", kind, (2, 6), scale(0.02), byte(7, kind), weight, scale([0.1, 0.2, 0.05, 0.3]),
        byte([0, 1, -3, 2]), bias, *result, domain="com.microsoft", out="" if y is not None else "float",
        **attributes,
    )  # fmt: skip


FOUR = [0.1, 0.02, 0.05, 0.3]
CASES = [
    matmul("uint8", 0.02, 0.05, 0.4, (128, 3, 100), (2, 6)),
    matmul("uint8", 0.5, 0.25, 64.0, (0, 0, 0), (1, 6)),  # ties everywhere
    matmul("int8", 0.1, 0.1, 0.06 * 128, (-5, 0, 3), (1, 6)),  # 1/768, nearly
    matmul("int8", 0.02, FOUR, 0.4, (1, [0, -2, 5, 0], -100), (3, 2, 6)),
    conv("uint8", 0.02, 0.05, 0.4, (128, 0, 100)),
    conv("int8", 0.02, FOUR, 0.4, (-9, [0, 0, 0, 0], 3), pads=[1, 1, 1, 1], strides=[2, 2]),
    conv("uint8", 0.25, 0.5, 16.0, (0, 0, 0), auto_pad="SAME_UPPER"),
    matmul("uint8", 0.02, 0.01, 40.0, (128, 3, 100), (1, 1200)),  # sums beyond what float32 holds
    gemm("uint8", 0.3),
    gemm("int8", 0.3, transB=1, alpha=0.5),
    gemm("uint8", None, alpha=0.3),
    of("MatMulInteger", "uint8", (2, 5), numbers("int8", 5, 3), byte(9, "uint8"), byte([1, 0, -7]),
       out="int32"),
    of("MatMulInteger", "int8", (2, 5), numbers("int8", 5, 3), out="int32"),
    of("ConvInteger", "uint8", (1, 2, 5, 5), numbers("uint8", 3, 2, 3, 3), byte(130, "uint8"),
       byte(99, "uint8"), out="int32", pads=[1, 1, 0, 0]),
]  # fmt: skip


@pytest.mark.parametrize("one", CASES, ids=str)
def test_exactly_as_onnxruntime(one: OneNode) -> None:
    check_values(one, 50, exact=one.out_kind != TensorProto.FLOAT)
    check_bounds(one, width=20.0)


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (
            of("QLinearMatMul", "uint8", (1, 4), scale(1), byte(0, "uint8"), numbers("uint8", 4, 2), scale(1),
               byte(0, "uint8"), scale([1, 2]), byte([0, 0], "uint8")),
            "a scale or zero point for each row",
        ),
        (conv("uint8", 0.1, FOUR, 0.1, (0, [0, 1, 0, 0], 0)), "zero points of the kernel that differ"),
        (of("MatMulInteger", "uint8", (2, 5), numbers("uint8", 5, 3), byte([1, 2], "uint8")), "for each row"),
        (
            of("MatMulInteger", "uint8", (1, 33100), np.full((33100, 1), 255, np.uint8)),
            "may overflow 32 bits",
        ),
        (
            of("QLinearConv", "uint8", (1, 1, 2, 2), scale(1), byte(0, "uint8"), (1, 1, 1, 1), scale(1),
               byte(0, "uint8"), scale(1), byte(0, "uint8")),
            "the kernel computed from the network's input",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(one: OneNode, text: str) -> None:
    with pytest.raises(ModelError, match=text) as caught:
        one.model  # noqa: B018
    assert type(caught.value) is UnsupportedModelError
