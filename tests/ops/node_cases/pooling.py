# SPDX-License-Identifier: Apache-2.0
"""Windows of which the greatest or the mean is taken."""

from __future__ import annotations

from node_cases.case import Case, case

__all__ = ["pool_cases"]


def pool_cases() -> list[Case]:
    image = (1, 2, 7, 6)
    found = []
    for op in ("MaxPool", "AveragePool"):
        found += [
            case(op, image, kernel_shape=[2, 2]),
            case(op, image, kernel_shape=[3, 2], strides=[2, 2]),
            case(op, image, kernel_shape=[3, 3], strides=[2, 1], pads=[1, 1, 0, 1]),
            case(op, image, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
            case(op, image, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1),
            case(op, image, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
            case(op, image, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER"),
            case(op, image, kernel_shape=[3, 3], auto_pad="VALID"),
            case(op, (2, 3, 9), kernel_shape=[4], strides=[3]),
            case(op, (1, 2, 4, 5, 4), kernel_shape=[2, 2, 2], strides=[1, 2, 1]),
        ]
    found += [
        case("MaxPool", image, kernel_shape=[2, 3], dilations=[2, 2], opset=12),
        case("MaxPool", image, kernel_shape=[2, 2], opset=7),
        case("AveragePool", image, kernel_shape=[2, 2], opset=7),
        case("AveragePool", image, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
        case(
            "AveragePool", image, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 1, 1], count_include_pad=1
        ),
        case("AveragePool", image, kernel_shape=[2, 3], dilations=[2, 2], pads=[1, 0, 0, 1], opset=19),
        case(
            "AveragePool",
            image,
            kernel_shape=[2, 2],
            dilations=[3, 1],
            pads=[1] * 4,
            count_include_pad=1,
            opset=19,
        ),
        *(case("LpPool", image, kernel_shape=[2, 3], pads=[1, 0, 0, 1], opset=11, p=p) for p in (1, 2, 3)),
        case("LpPool", image, kernel_shape=[2, 2], dilations=[2, 1], strides=[2, 2], opset=18),
        case("GlobalLpPool", image, p=3),
        case("GlobalLpPool", image),
        case("GlobalAveragePool", image),
        case("GlobalMaxPool", image),
    ]
    return found
