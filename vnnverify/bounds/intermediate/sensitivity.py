# SPDX-License-Identifier: Apache-2.0
"""How the bounds of subproblems depend on their intermediate bounds: derivatives by the ends of every open
neuron, directly and by way of the ends of later neurons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.bounds.optimise.subproblems import DualSolution, Subproblems

__all__ = ["InnerRows", "Sensitivity", "sensitivity"]


@dataclass(slots=True, eq=False)
class Sensitivity:
    """How the bounds of D subproblems depend on the ends and on the relaxation of each open element."""

    lower: Tensor  # (D, U) what a bound gains for each unit that the element's lower end rises
    upper: Tensor  # (D, U) likewise, as its upper end falls
    loss: Tensor  # (D, U) what the element's relaxation can cost the bound

    @classmethod
    def direct(cls, problems: Subproblems, ascent: DualSolution) -> Sensitivity:
        """By way of the line above each ReLU alone, whose offset and slope both follow the ends."""
        lower, upper = problems.lower, problems.upper
        open_ = (lower < 0) & (upper > 0)
        width = torch.where(open_, upper - lower, torch.ones_like(lower))
        above = torch.where(open_, (-ascent.coefficient).clamp(min=0), 0.0) / width
        value = torch.minimum(torch.maximum(ascent.value, lower), upper)
        return cls(
            above / width * upper * (upper - value),
            above / width * -lower * (value - lower),
            above * -lower * upper,
        )

    def put(self, index: Tensor, part: Sensitivity) -> None:
        """Write `part` over the subproblems that `index` selects."""
        for name in self.__slots__:
            getattr(self, name)[index] = getattr(part, name)


@dataclass(slots=True, eq=False)
class InnerRows:
    """Rows over one value, each an end of an element in one subproblem, and what they depend on."""

    problem: Tensor  # (R,)
    column: Tensor  # (R,) in (…, U)
    sign: Tensor  # (R,) 1: the lower end
    own: Sensitivity  # (R, U)


def sensitivity(problems: Subproblems, ascent: DualSolution, rows: Sequence[InnerRows]) -> Sensitivity:
    """How the bounds depend on all ends, directly and by way of the ends of later elements.

    Args:
        rows: those the later ends came from, in the network's order.
    """
    found = Sensitivity.direct(problems, ascent)
    for layer in reversed(rows):
        ends = torch.where(
            layer.sign > 0,
            found.lower[layer.problem, layer.column],
            found.upper[layer.problem, layer.column],
        )
        for name in found.__slots__:
            getattr(found, name).index_add_(0, layer.problem, ends[:, None] * getattr(layer.own, name))
    return found
