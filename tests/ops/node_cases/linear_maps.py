# SPDX-License-Identifier: Apache-2.0
"""Linear maps that constants tell: samples, blocks, transforms, sums at places."""

from __future__ import annotations

import numpy as np

from node_cases.case import Case, case, ints, weights

__all__ = ["linear_map_cases"]


def linear_map_cases() -> list[Case]:
    return [*_samples(), *_blocks(), *_transforms(), *_sums()]


def _samples() -> list[Case]:
    image, places = (2, 3, 4, 5), weights(2, 3, 2, 2, low=-1.3, high=1.3)
    found = [
        case("GridSample", image, places, opset=opset, mode=mode, padding_mode=padding, align_corners=corners)
        for opset, mode in ((20, "linear"), (20, "cubic"), (16, "nearest"), (16, "bilinear"))
        for padding, corners in (("zeros", 0), ("border", 1), ("reflection", 0), ("reflection", 1))
    ]
    return [
        *found,
        case("GridSample", (1, 2, 3, 2, 2), weights(1, 2, 2, 1, 3), opset=20, note="voxels"),
        case("AffineGrid", (2, 2, 3), ints(2, 1, 3, 4), opset=20),
        case("AffineGrid", (2, 2, 3), ints(2, 1, 3, 4), opset=20, align_corners=1),
        case("AffineGrid", (1, 3, 4), ints(1, 1, 2, 3, 2), opset=20),
    ]


def _blocks() -> list[Case]:
    return [
        case("Col2Im", (1, 8, 6), ints(3, 4), ints(2, 2), opset=18),
        case("Col2Im", (2, 4, 9), ints(4, 4), ints(2, 2), opset=18, strides=[2, 2], pads=[1, 1, 1, 1]),
        case("Col2Im", (1, 4, 4), ints(4, 4), ints(2, 2), opset=18, dilations=[2, 2]),
    ]


def _transforms() -> list[Case]:
    step, window = np.array(3), weights(4, low=0.1)
    return [
        case("DFT", (2, 4, 2), np.array(6), axis=1, inverse=1, onesided=1, opset=17),
        case("DFT", (2, 4, 2), axis=1, inverse=1, onesided=1, opset=17),
        case("DFT", (2, 5, 1), opset=17, axis=1, note="of reals"),
        case("DFT", (2, 6, 2), opset=17, axis=1, inverse=1),
        case("DFT", (2, 6, 1), np.array(4), np.array(1), opset=20, onesided=1),
        case("DFT", (2, 3, 4, 1), np.array(6), np.array(-3), opset=20, note="longer"),
        case("STFT", (2, 10, 1), step, window, opset=17),
        case("STFT", (1, 10, 1), step, None, np.array(5), opset=17, onesided=0),
    ]


def _sums() -> list[Case]:
    same = ints(0, 0, 1).reshape(1, 3)
    return [
        case("ScatterElements", (2, 3), same, (1, 3), opset=16, axis=0, reduction="add"),
        case("ScatterElements", (2, 3), same, weights(1, 3), opset=18, axis=1, reduction="add"),
        case("ScatterND", (2, 3), ints(1, 1).reshape(2, 1), (2, 3), opset=18, reduction="add"),
        case("Einsum", (2, 3), (3, 2), weights(2, 4), equation="ij,jk,kl->il"),
        case("Einsum", (2,), (3,), (2,), equation="a,b,c->abc"),
        case("Einsum", (3, 3), equation="ii->i"),
        case("Einsum", (2, 3, 3), weights(3), equation="bii,i->b"),
        case("Einsum", (3, 3), equation="ii"),
    ]
