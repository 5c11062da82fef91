# SPDX-License-Identifier: Apache-2.0
"""Shapes changed, and tensors cut, joined and enlarged."""

from __future__ import annotations

import numpy as np

from node_cases.case import Case, case, ints, number, weights

__all__ = ["arrangement_cases"]


_LAST = 2**63 - 1
_RANGES = (
    (-1, -_LAST - 1, -1, ""),
    (0, -_LAST - 1, -1, ""),
    (100, -3, -2, ""),
    (-100, 3, 2, ""),
    (-100, -101, -1, "unlike numpy"),
    (3, 2**31 - 1, -1, "unlike numpy"),
    (-2, _LAST, -2, "unlike numpy"),
)


def arrangement_cases() -> list[Case]:
    return [*_shapes(), *_parts(), *_sizes()]


def _shapes() -> list[Case]:
    block = (2, 3, 4)
    return [
        case("Reshape", block, ints(4, -1)),
        case("Reshape", block, ints(0, 2, -1)),
        case("Reshape", (1, 6), ints(2, 3), opset=7),
        case("Flatten", block),
        case("Flatten", block, axis=0),
        case("Flatten", block, axis=2, opset=9),
        case("Flatten", block, axis=-1),
        case("Flatten", block, axis=3),
        case("Squeeze", (1, 3, 1, 2), ints(0, 2)),
        case("Squeeze", (1, 3, 1, 2)),
        case("Squeeze", (1, 3, 1, 2), axes=[-2], opset=11),
        case("Unsqueeze", (2, 3), ints(0, -1)),
        case("Unsqueeze", (2, 3), axes=[1, 2], opset=11),
        case("Transpose", block),
        case("Transpose", block, perm=[1, 2, 0]),
    ]


def _parts() -> list[Case]:
    block = (2, 3, 4)
    return [
        case("Concat", (2, 3), (2, 2), axis=1),
        case("Concat", (2, 3), weights(1, 3), (1, 3), axis=-2),
        case("Slice", block, ints(1, 0), ints(3, -1), ints(1, -1)),
        case("Slice", block, ints(-1), ints(-100), ints(2), ints(-2), note="backwards"),
        case("Slice", block, ints(1), ints(9223372036854775807), ints(2), ints(2)),
        case("Slice", block, starts=[0, 1], ends=[2, 100], opset=9),
        *(case("Slice", (1, 5, 1), *(ints(n) for n in (a, b, 1, s)), note=n) for a, b, s, n in _RANGES),
        *(case("Slice", (1, 5, 1), ints(-1), ints(-_LAST - 1), ints(axis), ints(-1)) for axis in (0, 2)),
        case("Split", (2, 6), ints(1, 2, 3), axis=1, outputs=3),
        case("Split", (2, 6), axis=-1, outputs=2),
        case("Split", (2, 6), axis=1, split=[4, 2], outputs=2, opset=11),
        case("Split", (7, 2), axis=0, num_outputs=3, outputs=3, opset=18),
        case("Gather", block, ints(0, 2, 2), axis=1),
        case("Gather", block, np.array(-1), axis=2),
        case("Gather", block, ints(1, 0, 0, 1).reshape(2, 2)),
        case("Pad", (2, 3), ints(1, 0, 0, 2)),
        case("Pad", (2, 3), ints(1, 0, 0, 2), number(1.5), note="filled"),
        case("Pad", (2, 3), ints(-1, 1, 0, -1), note="cropped"),
        case("Pad", (2, 3), ints(0, 1, 0, 1), mode="reflect"),
        case("Pad", (2, 3), ints(2, 1, 0, 1), mode="edge"),
        case("Pad", (2, 3), ints(1, 2), number(0), ints(1), opset=18, note="axes"),
        case("Pad", (2, 3), pads=[0, 1, 1, 1], value=-1.0, opset=10),
    ]


def _sizes() -> list[Case]:
    return [
        case("Expand", (3, 1), ints(2, 1, 4)),
        case("Expand", (3, 4), ints(1)),
        case("Tile", (2, 3), ints(2, 3)),
        case("Upsample", (1, 2, 3, 2), np.array([1, 1, 2, 3], np.float32), opset=9),
        case("Upsample", (1, 2, 3, 2), scales=[1.0, 1.0, 2.0, 2.0], opset=7),
        case("Resize", (1, 2, 3, 2), None, np.array([1, 1, 2, 3], np.float32), note="default"),
        case(
            "Resize",
            (1, 2, 3, 2),
            np.array([], np.float32),
            np.array([1, 1, 2, 2], np.float32),
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        case("Resize", (1, 2, 4, 6), None, None, ints(1, 2, 2, 3), mode="nearest"),
        case("Resize", (1, 2, 4, 6), None, None, ints(1, 2, 8, 9), mode="nearest"),
        case("Resize", (1, 1, 3, 2), np.array([1, 1, 2, 2], np.float32), opset=10),
        case("DepthToSpace", (1, 8, 2, 3), blocksize=2),
        case("DepthToSpace", (1, 8, 2, 3), blocksize=2, mode="CRD"),
        case("SpaceToDepth", (1, 2, 4, 6), blocksize=2),
        case("Where", np.array([[True, False, True]]), (2, 3), weights(2, 3)),
        case("Where", np.array([[True, False, True]]), (2, 3), (1, 3)),
    ]
