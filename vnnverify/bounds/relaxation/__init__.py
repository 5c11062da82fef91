# SPDX-License-Identifier: Apache-2.0
"""How one nonlinear operator is enclosed by linear functions."""

from vnnverify.bounds.relaxation.joint import JointRows, JointRule
from vnnverify.bounds.relaxation.slopes import (
    ADAPTIVE,
    LEAST_AREA,
    ONE,
    PARALLEL,
    ZERO,
    SlopeRule,
)

__all__ = ["ADAPTIVE", "LEAST_AREA", "ONE", "PARALLEL", "ZERO", "JointRows", "JointRule", "SlopeRule"]
