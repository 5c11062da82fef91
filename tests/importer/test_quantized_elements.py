# SPDX-License-Identifier: Apache-2.0
"""Operators of onnxruntime's own domain on bytes: equal but for what float32 leaves open, as bounds do."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto
from single_node import OneNode, check_bounds, check_values

from vnnverify.domains.interval import bounds
from vnnverify.errors import ModelError, UnsupportedModelError
from vnnverify.query import Box

KINDS = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}
DOMAIN = "com.microsoft"


def scale(value: Any) -> np.ndarray:
    return np.array(value, dtype=np.float32)


def of(op: str, kind: str, *inputs: Any, **attributes: Any) -> OneNode:
    info = np.iinfo(kind)
    return OneNode(op, inputs, DOMAIN, 1, attributes, 1, KINDS[kind], kind, float(info.min), float(info.max))


def pair(kind: str, scale_: float, zero: int) -> tuple[np.ndarray, np.ndarray]:
    return scale(scale_), np.array(zero, dtype=kind)


def binary(
    op: str, kind: str, a: float, b: float, c: float, zeros: tuple[int, int, int], **of_: Any
) -> OneNode:
    first, second = of_.get("shapes", ((2, 3), (2, 3)))
    x, y, z = (pair(kind, s, p) for s, p in zip((a, b, c), zeros, strict=True))
    return of(op, kind, first, *x, second, *y, *z)


def unary(
    op: str, kind: str, shape: tuple[int, ...], x: float, y: float, *zeros: int, **attributes: Any
) -> OneNode:
    return of(op, kind, shape, *pair(kind, x, zeros[0]), *pair(kind, y, zeros[1]), **attributes)


def concat(kind: str, axis: int) -> OneNode:
    known = np.array([[1, 2, 3], [4, 5, 100]], dtype=kind)
    parts = ((2, 3), *pair(kind, 0.1, 5), known, *pair(kind, 0.37, 9), (2, 3), *pair(kind, 0.05, 0))
    return of("QLinearConcat", kind, *pair(kind, 0.1, 5), *parts, axis=axis)


def where(kind: str) -> OneNode:
    chosen = np.array([[True, False, True], [False, False, True]])
    parts = ((2, 3), *pair(kind, 0.1, 5), (1, 3), *pair(kind, 0.37, 9))
    return of("QLinearWhere", kind, chosen, *parts, *pair(kind, 0.2, 3))


EXACT = [
    binary("QLinearAdd", "uint8", 0.5, 0.25, 1.0, (3, 7, 5)),  # ties everywhere, zero point odd
    binary("QLinearAdd", "int8", 0.5, 0.5, 1.0, (-3, 7, 4), shapes=((2, 3), (3,))),
    binary("QLinearMul", "uint8", 0.5, 0.25, 8.0, (3, 7, 5)),
    binary("QLinearMul", "int8", 0.25, 0.5, 16.0, (1, -9, 2), shapes=((2, 3), ())),
    binary("QLinearAdd", "uint8", 0.02, 0.02, 0.02, (3, 7, 5)),  # far from any tie
    *(unary("QLinearSigmoid", k, (2, 3), 0.05, 1 / 256, 1, 2) for k in KINDS),
    *(unary("QLinearLeakyRelu", k, (2, 3), 0.05, 0.04, 100, 20, alpha=0.1) for k in KINDS),
    *(concat(k, axis) for k in KINDS for axis in (0, -1)),
    *(where(k) for k in KINDS),
    unary("QLinearAveragePool", "uint8", (1, 2, 4, 4), 0.5, 0.5, 3, 5, kernel_shape=[2, 2]),
    unary("QLinearAveragePool", "uint8", (1, 2, 2, 4), 0.5, 0.5, 3, 5, kernel_shape=[2, 4]),
    unary(
        "QLinearAveragePool", "uint8", (1, 1, 2, 4), 0.5, 0.5, 3, 5, kernel_shape=[2, 4], pads=[0, 0, 1, 0]
    ),
    unary("QLinearGlobalAveragePool", "int8", (1, 2, 2, 2), 0.25, 0.5, 3, 5, channels_last=0),
]
FLOAT = [
    OneNode(
        "QuantizeLinear",
        ((2, 3), scale(0.07), np.array(3, np.uint16)),
        DOMAIN,
        1,
        out_kind=TensorProto.UINT16,
    ),
    OneNode(
        "DequantizeLinear", ((2, 3), *pair("int8", 0.1, 4)), DOMAIN, 1, cast="int8", low=-128.0, high=127.0
    ),
]
NEAR = [
    binary("QLinearAdd", "uint8", 0.05, 0.02, 0.1, (128, 7, 5)),
    binary("QLinearAdd", "int8", 0.05, 0.05, 0.1, (-3, 0, 0), shapes=((2, 3), (2, 1))),
    binary("QLinearMul", "uint8", 0.05, 0.05, 0.1, (128, 128, 127)),
    binary("QLinearMul", "int8", 0.05, 0.02, 0.2, (1, -9, 2)),
    unary("QLinearAveragePool", "uint8", (1, 2, 4, 4), 0.1, 0.1, 3, 5, kernel_shape=[2, 2], strides=[2, 2]),
    unary("QLinearAveragePool", "int8", (1, 1, 5), 0.1, 0.07, 3, 5, kernel_shape=[3], pads=[1, 1]),
    unary(
        "QLinearAveragePool",
        "int8",
        (1, 1, 5),
        0.1,
        0.07,
        3,
        5,
        kernel_shape=[3],
        pads=[1, 1],
        count_include_pad=1,
    ),
    unary(
        "QLinearAveragePool", "uint8", (1, 1, 6), 0.1, 0.1, 3, 5, kernel_shape=[3], strides=[2], ceil_mode=1
    ),
    unary("QLinearGlobalAveragePool", "uint8", (1, 2, 4, 2), 0.1, 0.1, 3, 5, channels_last=0),
    *(
        unary("QLinearSoftmax", k, (2, 5), 0.1, 1 / 256, 3, z, opset=13)
        for k, z in (("uint8", 0), ("int8", -128))
    ),
    unary("QLinearSoftmax", "uint8", (2, 3, 2), 0.05, 1 / 250.7, 3, 7, opset=13, axis=1),
    unary("QLinearSoftmax", "uint8", (2, 3, 2), 0.05, 1 / 256, 3, 7, opset=11),
]  # fmt: skip


@pytest.mark.parametrize("one", EXACT, ids=str)
def test_exactly_as_onnxruntime(one: OneNode) -> None:
    check_values(one, 100, exact=True)
    check_bounds(one, width=20.0)


@pytest.mark.parametrize("one", FLOAT, ids=str)
def test_quantisation_of_the_other_domain(one: OneNode) -> None:
    check_values(one)
    check_bounds(one)


@pytest.mark.parametrize("one", NEAR, ids=str)
def test_one_unit_beside_at_most_and_bounds_hold_both(one: OneNode) -> None:
    x = one.points(300)
    y, found = one.run(x), one.model.graph(x).numpy()
    assert np.abs(y - found).max() <= 1
    assert (y != found).mean() < 0.05
    points = [bounds(one.model.graph, Box(point, point)) for point in x]
    low, high = (torch.stack([pair[end] for pair in points]).numpy() for end in (0, 1))
    assert (low <= y).all()
    assert (y <= high).all()
    assert (high - low).max() < 1.001
    check_bounds(one, width=20.0)


def test_every_pair_of_bytes() -> None:
    """Where float32 leaves something open, bounds of a point hold what the runtime makes of it."""
    one = binary("QLinearMul", "uint8", 0.05, 0.05, 0.1, (128, 128, 127), shapes=((256, 1), (1, 256)))
    x = torch.arange(256, dtype=torch.float64).repeat(2)
    (y,) = one.run(x[None])
    low, high = bounds(one.model.graph, Box(x, x))
    assert y.shape == (prod((256, 256)),)
    assert (low.numpy() <= y).all()
    assert (y <= high.numpy()).all()
    assert 0 < int((low < high).sum()) < 4000


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (of("QLinearAdd", "int8", (2,), scale([1, 2]), None, (2,), scale(1), None, scale(1)), "each channel"),
        (unary("QLinearGlobalAveragePool", "int8", (1, 4, 4, 2), 1, 1, 0, 0, channels_last=1), "as the last"),
        (
            unary("QLinearAveragePool", "uint8", (1, 1, 6), 1, 1, 0, 0, kernel_shape=[4], count_include_pad=1,
                  ceil_mode=1, strides=[4]),
            "counting the padding",
        ),
        (binary("QLinearAdd", "uint8", 5e4, 0.01, 0.01, (0, 0, 0)), "does not tell two results apart"),
        (of("QLinearSoftmax", "uint8", (2, 3), (1,), None, scale(1), None, opset=13), "a scale computed"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(one: OneNode, text: str) -> None:
    with pytest.raises(ModelError, match=text) as caught:
        one.model  # noqa: B018
    assert type(caught.value) is UnsupportedModelError
