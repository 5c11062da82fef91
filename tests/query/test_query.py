# SPDX-License-Identifier: Apache-2.0
"""What bounds of the outputs exclude, to the last digit."""

from __future__ import annotations

import math

import pytest
import torch

from vnnverify.query import Box, Clause, Polytope


def excluded(row: list[float], b: float, strict: bool, lower: list[float], upper: list[float]) -> bool:
    box = torch.zeros(1, dtype=torch.float64)
    polytope = Polytope.of(torch.tensor([row]), torch.tensor([b]), torch.tensor([strict]))
    ends = (torch.tensor(end, dtype=torch.float64) for end in (lower, upper))
    return Clause(Box(box, box), (polytope,)).excluded_by(*ends)


@pytest.mark.parametrize(
    ("row", "b", "strict", "lower", "upper", "expected"),
    [
        ([1.0], 0.0, True, [0.0], [1.0], True),  # z < 0 on [0, 1]
        ([1.0], 0.0, False, [0.0], [1.0], False),
        ([-1.0], -1.0, True, [0.0], [1.0], True),  # z > 1
        ([-1.0], -1.0, False, [0.0], [1.0], False),
        ([1.0], 0.0, False, [math.ulp(0.0)], [1.0], True),
        ([-1.0], -1.0, True, [0.0], [1.0 + 2**-52], False),
        ([0.75, -0.25], 0.25, True, [0.5, -1.0], [1.0, 0.5], True),  # least is 0.375 − 0.125 = 0.25
        ([0.75, -0.25], 0.25, False, [0.5, -1.0], [1.0, 0.5], False),
        ([1.0, 0.0], 0.0, True, [0.0, -math.inf], [1.0, math.inf], False),  # 0 · inf: nothing is known
    ],
)
def test_rows_that_touch_the_box(
    row: list[float], b: float, strict: bool, lower: list[float], upper: list[float], expected: bool
) -> None:
    assert excluded(row, b, strict, lower, upper) is expected
