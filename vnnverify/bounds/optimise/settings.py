# SPDX-License-Identifier: Apache-2.0
"""The numbers that steer gradient ascents. None of them can make a bound wrong, only looser or slower."""

from __future__ import annotations

from dataclasses import dataclass

from vnnverify.plugin.options import setting

__all__ = ["DualSettings", "LineSettings", "RowSlopeSettings"]


@dataclass(frozen=True)
class DualSettings:
    """Of the Lagrangian dual of networks of ReLUs (`dual`)."""

    dual_rate: float = setting(0.5, help="first step size of slopes", minimum=1e-9)
    dual_decay: float = setting(
        0.9, help="what remains of every step size after a step", minimum=0, maximum=1
    )
    dual_beta_rate: float = setting(
        0.1,
        help="first step size of multipliers of splits, relative to the largest coefficient of their layer",
        minimum=0,
    )
    dual_open_rate: float = setting(
        0.001, help="likewise, where the sign is open and the multiplier is that of a known bound", minimum=0
    )
    dual_weight_rate: float = setting(
        0.5, help="first step size of multipliers of unsafe rows, relative to their scale", minimum=0
    )
    dual_leaf_steps: int = setting(
        300, help="gradient steps where every sign is settled: a linear program", minimum=0
    )
    dual_leaf_decay: float = setting(
        0.985, help="what remains of a step size after a step there", minimum=0, maximum=1
    )
    split_tie: float = setting(
        1e-3,
        help="weight of a neuron's own relaxation beside another branching score, which may be zero for all",
        minimum=0,
    )


@dataclass(frozen=True)
class LineSettings:
    """Of lines and planes of every nonlinear operator, chosen for each row (`lines`)."""

    line_rate: float = setting(0.5, help="first step size of slopes, relative to half their range", minimum=0)
    line_decay: float = setting(0.85, help="what remains of it after a step", minimum=0, maximum=1)
    line_most: float = setting(
        4.0, help="largest multiplier of a split, relative to the largest coefficient of its row", minimum=0
    )


@dataclass(frozen=True)
class RowSlopeSettings:
    """Of slopes of ReLUs that rows choose for themselves (`row_slopes`)."""

    row_rate: float = setting(
        0.5, help="first step size of slopes, and of multipliers in their unit", minimum=0
    )
    row_decay: float = setting(0.8, help="what remains of it after a step", minimum=0, maximum=1)
    row_most: float = setting(
        4.0,
        help="largest multiplier of a split, in units of the coefficient that its ReLU had before it",
        minimum=0,
    )
