# SPDX-License-Identifier: Apache-2.0
"""Lines below and above a function, with numbers that are exact."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from vnnverify.domains.ordering.structure import ONE, ZERO
from vnnverify.ir.op import Elementwise
from vnnverify.ops.piecewise import Abs, Clip, LeakyRelu, Relu
from vnnverify.ops.smooth import Elu, Exp, Softplus
from vnnverify.ops.steps import Ceil, Floor, Round, Trunc

__all__ = ["Lines", "bend", "lines_beside"]

HALF = Fraction(1, 2)


class Lines(NamedTuple):
    """slope·x + offset for all slopes from `least` to `most`, on one side of a function."""

    least: Fraction
    most: Fraction
    offset: Fraction


def bend(op: Elementwise) -> Fraction | None:
    """The slope left of zero of a function that goes through the origin, straight on either side, with slope
    one on the right; None for others."""
    match op:
        case Relu():
            return ZERO
        case Abs():
            return -ONE
        case LeakyRelu(alpha=alpha):
            return Fraction(alpha)
    return None


def lines_beside(op: Elementwise, low: float, high: float, *, below: bool) -> Lines | None:
    """Lines nowhere above f on [low, high], or nowhere below it; None where only the ends are known."""
    left = bend(op)
    if left is not None:
        return Lines(min(left, ONE), max(left, ONE), ZERO) if below == (left <= 1) else None
    match op:
        case Clip(low=least, high=most):  # max(x, least) or min(x, most), where only one end is reached
            return Lines(ONE, ONE, ZERO) if (high <= most if below else low >= least) else None
        case Softplus() if below:  # above a ReLU
            return Lines(ZERO, ONE, ZERO)
        case Exp() if below:
            return Lines(ONE, ONE, ONE)
        case Elu(alpha=alpha) if below and 0 <= alpha <= 1:
            return Lines(ONE, ONE, ZERO)
        case Floor():
            return Lines(ONE, ONE, -ONE if below else ZERO)
        case Ceil():
            return Lines(ONE, ONE, ZERO if below else ONE)
        case Round():
            return Lines(ONE, ONE, -HALF if below else HALF)
        case Trunc() if low >= 0:
            return Lines(ONE, ONE, -ONE if below else ZERO)
        case Trunc() if high <= 0:
            return Lines(ONE, ONE, ZERO if below else ONE)
    return None
