# SPDX-License-Identifier: Apache-2.0
"""The loop that all gradient ascents in slopes and multipliers share.

Any parameters give a valid bound, so an ascent computes in plain floating point; for each row the parameters
with its best bound are kept, and whoever started it evaluates these once more with every rounding error
counted. Where gradients come from is up to the rows: written by hand (`dual_pass`) or by automatic
differentiation (`Differentiated`).

Source: Xu et al., arXiv:2011.13824, section 3.2 (projected gradient ascent).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from vnnverify.bounds.optimise.adam import Adam
from vnnverify.deadline import Deadline

__all__ = ["Best", "Differentiated", "Rows", "ascend"]


class Rows(Protocol):
    """R rows whose lower bounds depend on parameters.

    Attributes:
        in_place: whether a step changes tensors that `columns` has returned.
    """

    in_place: bool

    def evaluate(self) -> Tensor:
        """Lower bounds (R,) at the current parameters, in plain arithmetic, differentiable by `step`."""
        ...

    def columns(self) -> Sequence[Tensor]:
        """What to keep of each row (R, …): its parameters, and whatever belongs to the last bound."""
        ...

    def step(self, rate: float) -> bool:
        """One projected gradient step of size `rate`. False: no bound depends on any parameter."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Best:
    """Where each row's bound was best."""

    lower: Tensor  # (R,) not certified
    columns: list[Tensor]  # (R, …) each


def ascend(
    rows: Rows, steps: int, deadline: Deadline, *, rate: float, decay: float, until_proved: bool = True
) -> Best:
    """The best bound of each row within some gradient steps, and the columns that belong to it. With no steps
    the given parameters are evaluated.

    Args:
        steps: gradient steps; there are fewer if the deadline comes.
        rate: size of the first step.
        decay: what remains of the size after a step.
        until_proved: whether to stop as soon as every bound is positive.
    """
    best = rows.evaluate()
    kept = [t.detach().clone() if rows.in_place else t for t in rows.columns()]
    owned = rows.in_place
    for step in range(steps):
        if deadline.expired or (until_proved and bool((best > 0).all())):
            break
        if not rows.step(rate * decay**step):
            break
        now = rows.evaluate()
        better = now > best
        columns = rows.columns()
        if not rows.in_place and bool(better.all()):
            best, kept, owned = now, list(columns), False
            continue
        best = torch.where(better, now, best)
        index = better.nonzero()[:, 0]
        kept = kept if owned else [t.clone() for t in kept]
        owned = True
        for old, new in zip(kept, columns, strict=True):
            old.index_copy_(0, index, new.detach()[index])
    return Best(best, kept)


class Differentiated:
    """Rows whose gradient is that of automatic differentiation, with Adam's steps.

    Args:
        bound: lower bounds (R,), differentiable in the parameters.
        parameters: tensors (R, …) that ask for gradients; called after the first bound, which may make them.
        project: moves the parameters back to what is allowed.
    """

    in_place = True

    def __init__(
        self,
        bound: Callable[[], Tensor],
        parameters: Callable[[], Sequence[Tensor]],
        project: Callable[[], None],
    ) -> None:
        self._bound, self._parameters, self._project = bound, parameters, project
        self._total: Tensor | None = None
        self._adam: Adam | None = None

    def evaluate(self) -> Tensor:
        with torch.enable_grad():
            lower = self._bound()
            self._total = torch.nan_to_num(lower, neginf=0.0).sum()
        return lower.detach()

    def columns(self) -> Sequence[Tensor]:
        return self._parameters()

    def step(self, rate: float) -> bool:
        parameters = self._parameters()
        if not parameters or self._total is None or not self._total.requires_grad:
            return False
        self._adam = self._adam or Adam(parameters)
        self._adam.step(torch.autograd.grad(self._total, parameters, allow_unused=True), rate)
        with torch.no_grad():
            self._project()
        return True
