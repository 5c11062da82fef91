# SPDX-License-Identifier: Apache-2.0
"""Images made larger and smaller, by factors that are no whole numbers too."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from node_cases.case import Case, case, ints

__all__ = ["resizing_cases"]

_MAPPINGS = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric")


def resizing_cases() -> list[Case]:
    image, found = (1, 1, 5, 7), []
    scales = np.array([1, 1, 0.6, 1.3], np.float32)
    for mapping, rounding in product(_MAPPINGS, ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")):
        attributes = {"coordinate_transformation_mode": mapping, "nearest_mode": rounding}
        found.append(case("Resize", image, None, scales, opset=19, **attributes))
        found.append(case("Resize", image, None, None, ints(1, 1, 3, 10), opset=19, **attributes))
    for mapping, mode in product(_MAPPINGS, ("linear", "cubic")):
        mixing: dict[str, Any] = {"coordinate_transformation_mode": mapping, "mode": mode, "opset": 19}
        found.append(case("Resize", image, None, scales, **mixing))
        found.append(case("Resize", image, None, None, ints(1, 1, 1, 4), **mixing))
    found += [
        case("Resize", image, None, scales, opset=18, mode=mode, antialias=1) for mode in ("linear", "cubic")
    ]
    region = np.array([0.2, -0.1, 0.7, 1.2], np.float32)
    crop: dict[str, Any] = {"coordinate_transformation_mode": "tf_crop_and_resize", "opset": 19}
    for mode, axes in product(("nearest", "linear", "cubic"), ([2, 3], [3, 2])):
        found.append(
            case(
                "Resize",
                image,
                region,
                None,
                ints(4, 6),
                axes=axes,
                mode=mode,
                **crop,
                extrapolation_value=3.0,
            )
        )
    for policy, sizes in product(("not_larger", "not_smaller"), (ints(7, 9), ints(3, 4))):
        found.append(
            case("Resize", image, None, None, sizes, axes=[2, 3], keep_aspect_ratio_policy=policy, opset=18)
        )
    found += [
        case("Resize", image, None, scales, mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1),
        case(
            "Resize",
            image,
            np.zeros(0, np.float32),
            np.zeros(0, np.float32),
            ints(1, 1, 3, 9),
            opset=11,
            note="old",
        ),
        case("Resize", image, scales, opset=10, note="old"),
        case("Resize", image, scales, opset=10, mode="linear", note="old"),
        case("Resize", (7,), None, np.array([0.7], np.float32), coordinate_transformation_mode="asymmetric"),
        case("Resize", (10,), None, np.array([0.7], np.float32), nearest_mode="floor", note="float32 size"),
        case("Upsample", (1, 1, 4, 3), np.array([1, 1, 1.7, 1.3], np.float32), opset=9),
        case("Upsample", (1, 1, 4, 3), np.array([1, 1, 1.7, 1.3], np.float32), opset=9, mode="linear"),
    ]
    return found
