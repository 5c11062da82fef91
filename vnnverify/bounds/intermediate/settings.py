# SPDX-License-Identifier: Apache-2.0
"""The numbers that steer the refinement of intermediate bounds."""

from __future__ import annotations

from dataclasses import dataclass

from vnnverify.bounds.optimise.settings import DualSettings, LineSettings, RowSlopeSettings
from vnnverify.plugin.options import setting

__all__ = ["RefinementSettings"]


@dataclass(frozen=True)
class RefinementSettings(DualSettings, LineSettings, RowSlopeSettings):
    """Of `Refinement`, of bounds by cases, and of `Tightening`, with the ascents below them."""

    case_steps: int = setting(
        4, help="gradient steps for a case, from where the one it was cut from ended", minimum=0
    )
    case_worst: float = setting(
        0.3,
        help="part of a row's cases, those with the lowest bounds, that is split at once",
        minimum=0,
        maximum=1,
    )
    patch_factor: float = setting(
        4, help="rows are taken as patches if the largest value has so many times as many numbers", minimum=1
    )
    patch_steps: int = setting(
        8, help="gradient steps after which slopes of patches hardly change", minimum=0
    )
    patch_step_cost: float = setting(
        3, help="how many times as long as a bound a gradient step of patches takes", minimum=0
    )
    patch_share: float = setting(
        0.15, help="part of the time left that so many steps may take for one value", minimum=0, maximum=1
    )
    costly_part: float = setting(
        0.95,
        help="only neurons are refined that make up this part of what their layer costs the margins",
        minimum=0,
        maximum=1,
    )
    tightening_steps: int = setting(
        10, help="gradient steps for an intermediate bound of a subproblem", minimum=0
    )
