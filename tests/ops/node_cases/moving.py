# SPDX-License-Identifier: Apache-2.0
"""Elements picked, scattered and interpolated."""

from __future__ import annotations

import numpy as np

from node_cases.case import Case, case, ints, weights

__all__ = ["moving_cases"]


def moving_cases() -> list[Case]:
    block = (2, 3, 4)
    resized = np.array([], np.float32), np.array([1, 1, 2, 1.5], np.float32)
    return [
        case("GatherElements", (2, 3), ints(0, 1, 1, 0, 0, 1).reshape(2, 3), axis=0),
        case("GatherND", block, ints(0, 1, 1, 2).reshape(2, 2)),
        case("GatherND", block, ints(1, 2).reshape(2, 1), batch_dims=1),
        case("ScatterElements", (2, 3), ints(0, 2, 1).reshape(1, 3), (1, 3), axis=1),
        case("ScatterElements", (2, 3), ints(0).reshape(1, 1), weights(1, 1), axis=1),
        case("ScatterND", block, ints(1, 0).reshape(2, 1), (2, 3, 4)),
        case("ScatterND", weights(2, 3), ints(1, 0).reshape(1, 2), (1,)),
        case("Trilu", (3, 4), opset=14),
        case("Trilu", (3, 4), np.array(1), upper=0, opset=14),
        case("Compress", block, np.array([True, False, True]), axis=1),
        case("ReverseSequence", (4, 2), ints(3, 2), batch_axis=1, time_axis=0),
        case("CenterCropPad", (3, 4), ints(5, 2), opset=18),
        case("CumSum", block, np.array(1)),
        case("CumSum", block, np.array(-1), exclusive=1, reverse=1),
        case("Einsum", (2, 3), (3, 4), equation="ij,jk->ik"),
        case("Einsum", (2, 3, 4), weights(2, 4, 5), equation="bij,bjk->bki"),
        case("Einsum", (2, 3, 4), weights(4, 2), equation="...d,dk->...k"),
        case("Einsum", (2, 3, 4), equation="ijk->kj"),
        case("Einsum", (2, 2, 3), (2, 2, 3), equation="bhd,bhd->bh"),
        case("Einsum", weights(3), (4,), equation="i,j->ij"),
        case("Resize", (1, 2, 4, 4), *resized, mode="linear"),
        case("Resize", (1, 2, 4, 4), *resized, mode="cubic"),
        case("Resize", (1, 1, 3, 4), None, None, ints(1, 1, 6, 8), mode="linear"),
        case("Resize", (1, 1, 3, 4), None, None, ints(1, 1, 7, 6), mode="linear", note="not a whole factor"),
        case("Resize", (1, 1, 4, 4), *resized, mode="linear", coordinate_transformation_mode="align_corners"),
        case("Resize", (1, 1, 4, 4), *resized, mode="linear", coordinate_transformation_mode="asymmetric"),
        case("Upsample", (1, 1, 3, 2), np.array([1, 1, 2, 2], np.float32), opset=9, mode="linear"),
    ]
