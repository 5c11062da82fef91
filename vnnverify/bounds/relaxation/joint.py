# SPDX-License-Identifier: Apache-2.0
"""Inequalities over several neurons at once, beside the lines below and above each of them.

    a·z + b·y <= c      with y = f(z), for all z that inputs of the box lead to

A backward row Λ·y may have λ (a·z + b·y − c) added for any λ >= 0, which only lowers it. Where this cancels
the coefficients of some y_i, the inequality bounds them together instead of a line for each.

Source: Singh et al., Beyond the single neuron convex barrier (k-ReLU), NeurIPS 2019.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.ir import Elementwise

__all__ = ["JointRows", "JointRule"]


@dataclass(frozen=True, slots=True, eq=False)
class JointRows:
    """K inequalities of p neurons each, for each of B boxes. Neurons are places in the flattened value."""

    index: Tensor  # (K, p)
    a: Tensor  # (B, K, p) of the arguments
    b: Tensor  # (B, K, p) of the values
    c: Tensor  # (B, K) rounded up; infinite where there is none

    def multipliers(self, coefficients: Tensor, box: Tensor) -> Tensor:
        """λ >= 0 of each inequality (R, K), for rows Λ (R, N) over the values: the largest with which no
        coefficient changes its sign."""
        b = self.b[box]
        room = torch.where(b == 0, torch.inf, -coefficients[:, self.index] / b)
        most = room.amin(dim=2).clamp(min=0)
        return torch.where(torch.isfinite(self.c[box]) & torch.isfinite(most), most, 0.0)


class JointRule(ABC):
    """Finds such inequalities; `name` is what records call it."""

    name: str

    @abstractmethod
    def rows(
        self, op: Elementwise, lower: Tensor, upper: Tensor, least: Callable[[Tensor], Tensor]
    ) -> JointRows | None:
        """Inequalities for the neurons of one operator; None if there are none.

        Args:
            lower: (B, N) bounds of the arguments.
            upper: (B, N).
            least: lower bounds (B, K) of C z on each box, for rows C (K, N).
        """
