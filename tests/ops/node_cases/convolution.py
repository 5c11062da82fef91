# SPDX-License-Identifier: Apache-2.0
"""Convolutions and transposed ones."""

from __future__ import annotations

from node_cases.case import Case, case, weights

__all__ = ["conv_cases"]


def conv_cases() -> list[Case]:
    image = (1, 4, 7, 6)
    return [
        case("Conv", image, weights(3, 4, 3, 2)),
        case("Conv", image, weights(3, 4, 3, 3), weights(3), pads=[1, 1, 1, 1]),
        case("Conv", image, weights(3, 4, 3, 3), weights(3), pads=[2, 0, 1, 1], strides=[2, 3]),
        case("Conv", image, weights(6, 2, 3, 3), weights(6), group=2, strides=[2, 2]),
        case("Conv", image, weights(4, 1, 2, 2), group=4, dilations=[2, 3]),
        case("Conv", image, weights(2, 4, 3, 3), auto_pad="SAME_UPPER", strides=[2, 2]),
        case("Conv", image, weights(2, 4, 2, 2), auto_pad="SAME_LOWER", strides=[2, 1]),
        case("Conv", image, weights(2, 4, 2, 2), auto_pad="VALID", opset=7),
        case("Conv", (3, 4, 7, 6), weights(2, 4, 3, 3), weights(2), note="three images"),
        case("Conv", (1, 2, 9), weights(3, 2, 4), weights(3), strides=[2], pads=[1, 2]),
        case("Conv", (1, 2, 4, 5, 4), weights(2, 2, 2, 3, 2), weights(2), pads=[1, 0, 0, 0, 1, 1]),
        case("ConvTranspose", image, weights(4, 3, 3, 2)),
        case("ConvTranspose", image, weights(4, 3, 3, 3), weights(3), strides=[2, 2], pads=[1, 1, 1, 1]),
        case("ConvTranspose", image, weights(4, 3, 3, 3), strides=[2, 3], output_padding=[1, 2]),
        case("ConvTranspose", image, weights(4, 3, 3, 3), strides=[2, 2], pads=[1, 0, 0, 1]),
        case("ConvTranspose", image, weights(4, 2, 3, 3), weights(4), group=2, dilations=[2, 1]),
        case("ConvTranspose", image, weights(4, 2, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER"),
        case("ConvTranspose", image, weights(4, 2, 3, 3), strides=[2, 2], auto_pad="SAME_LOWER"),
        case("ConvTranspose", image, weights(4, 2, 3, 3), strides=[2, 2], output_shape=[14, 12]),
        case("ConvTranspose", (1, 2, 5), weights(2, 3, 4), weights(3), strides=[3]),
    ]
