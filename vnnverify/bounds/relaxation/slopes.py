# SPDX-License-Identifier: Apache-2.0
"""Slope rules: which line bounds an activation from below and which from above.

For an activation f on [l, u] and any slope s, the line s·x + min over [l, u] of (f(x) − s·x) lies below f,
and the one with the maximum above it. So a rule chooses slopes only, and cannot be unsound.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from vnnverify.domains import relaxation
from vnnverify.domains.relaxation import Lines
from vnnverify.ir import Elementwise

__all__ = ["ADAPTIVE", "LEAST_AREA", "ONE", "PARALLEL", "ZERO", "SlopeRule"]


class SlopeRule(ABC):
    """Chooses the slopes of the lines below and above an activation; `name` is what records call it."""

    name: str

    @abstractmethod
    def slopes(self, op: Elementwise, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """Slopes (below, above) of the lines on [lower, upper], all of one shape (B, *shape)."""

    def lines(self, op: Elementwise, lower: Tensor, upper: Tensor) -> Lines:
        """The lines with these slopes: valid on [lower, upper], offsets rounded outward. Where a slope leads
        to none (an end is infinite, say), flat ones at the ends of the range of f."""
        below, above = self.slopes(op, lower, upper)
        low, high = relaxation.band(op, lower, upper, below)[0], relaxation.band(op, lower, upper, above)[1]
        return relaxation.with_flat_where_unknown(op, lower, upper, Lines(below, low, above, high))


class _Adaptive(SlopeRule):
    """The operator's own choice: of a ReLU zero or one below, whichever encloses the smaller area, and the
    chord above; of other functions tangents and chords.

    Source: Zhang et al., CROWN, arXiv:1811.00866, section 3.
    """

    name = "adaptive"

    def slopes(self, op: Elementwise, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        return op.slopes(lower, upper)


class _LeastArea(SlopeRule):
    """Of the operator's own lines and the tangents at both ends and in the middle, those that enclose the
    smallest area. Of a ReLU this is DeepPoly's choice.

    Source: Singh et al., An abstract domain for certifying neural networks, POPL 2019, section 4.
    """

    name = "least-area"

    def slopes(self, op: Elementwise, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        lines = relaxation.lines(op, lower, upper)
        return lines.below_slope, lines.above_slope

    def lines(self, op: Elementwise, lower: Tensor, upper: Tensor) -> Lines:
        return relaxation.lines(op, lower, upper)


class _Parallel(SlopeRule):
    """The slope of the chord, below and above.

    Source: Weng et al., Fast-Lin, arXiv:1804.09699, section 3.2; Wong and Kolter, arXiv:1711.00851.
    """

    name = "parallel"

    def slopes(self, op: Elementwise, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        chord = Elementwise.slopes(op, lower, upper)[0]
        return chord, chord


class _AtEnd(SlopeRule):
    """The slope of f at one end of the interval below, the operator's own above: of an open ReLU zero or one
    below, whatever the area."""

    def __init__(self, name: str, *, upper: bool) -> None:
        self.name = name
        self._upper = upper

    def slopes(self, op: Elementwise, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        below, above = op.slopes(lower, upper)
        slope = op.derivative(upper if self._upper else lower)
        return torch.where(torch.isfinite(slope), slope, below), above


ADAPTIVE: SlopeRule = _Adaptive()
LEAST_AREA: SlopeRule = _LeastArea()
PARALLEL: SlopeRule = _Parallel()
ZERO: SlopeRule = _AtEnd("zero", upper=False)
ONE: SlopeRule = _AtEnd("one", upper=True)
