# SPDX-License-Identifier: Apache-2.0
"""Windows and kernels at the ends of an axis, where the standard leaves room and onnxruntime decides."""

from __future__ import annotations

from itertools import product
from typing import Any

from node_cases.case import Case, case, weights

__all__ = ["padding_cases"]


def padding_cases() -> list[Case]:
    return [*_pools(), *_convolutions(), *_transposed()]


def _pools() -> list[Case]:
    image, same = (1, 2, 5, 4), ("SAME_UPPER", "SAME_LOWER")
    found = [
        case("AveragePool", image, kernel_shape=[2, 3], auto_pad=auto, count_include_pad=counted, opset=opset)
        for auto, counted, opset in product(same, (0, 1), (7, 11, 19))
    ]
    rounded: dict[str, Any] = {"kernel_shape": [3, 2], "strides": [2, 3], "ceil_mode": 1}
    for opset, counted in product((11, 19, 22), (0, 1)):
        found.append(
            case("AveragePool", image, pads=[1, 0, 1, 1], count_include_pad=counted, opset=opset, **rounded)
        )
    for op, opset in (("MaxPool", 11), ("MaxPool", 22), ("LpPool", 18), ("AveragePool", 19)):
        found += [
            case(op, image, kernel_shape=[2, 2], dilations=[2, 1], auto_pad=auto, opset=opset)
            for auto in same
        ]
        found.append(case(op, image, pads=[1, 1, 0, 1], dilations=[1, 2], opset=opset, **rounded))
    for op, auto in product(("MaxPool", "AveragePool", "LpPool"), same):  # strides beyond the kernel
        found.append(case(op, (1, 1, 6), kernel_shape=[2], strides=[4], auto_pad=auto, opset=11))
    found += [case("LpPool", (1, 1, 4), kernel_shape=[2], strides=[4], auto_pad=a, opset=11) for a in same]
    return found


def _convolutions() -> list[Case]:
    return [
        case("Conv", (1, 2, 7, 4), weights(2, 2, 3, 2), strides=strides, auto_pad=auto)
        for auto in ("SAME_UPPER", "SAME_LOWER", "VALID")
        for strides in ([1, 1], [2, 3], [4, 2])
    ]


def _transposed() -> list[Case]:
    kernel, image = weights(2, 2, 3, 2), (1, 2, 3, 2)
    found = []
    for auto in ("SAME_UPPER", "SAME_LOWER"):
        for strides in ([2, 2], [4, 4], [1, 5]):
            found.append(case("ConvTranspose", image, kernel, strides=strides, auto_pad=auto))
        found.append(case("ConvTranspose", image, kernel, weights(2), output_shape=[4, 3], auto_pad=auto))
        found.append(case("ConvTranspose", image, kernel, weights(2), output_shape=[3, 2], auto_pad=auto))
    found += [
        case("ConvTranspose", image, kernel, output_shape=[6, 4], strides=[2, 3]),
        case("ConvTranspose", image, kernel, output_shape=[4, 3], strides=[2, 3]),
        case("ConvTranspose", image, kernel, strides=[2, 3], output_padding=[1, 2], pads=[1, 0, 0, 1]),
    ]
    return found
