# SPDX-License-Identifier: Apache-2.0
"""The loop of all gradient ascents, on parabolas whose largest values are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vnnverify import Deadline
from vnnverify.bounds.optimise.ascent import Differentiated, ascend

NEVER = Deadline.never()


class Parabolas:
    """top − (p − best)² for each row; a stride of one leads to the best p at once, a longer one beyond."""

    in_place = False

    def __init__(self, best: Tensor, top: Tensor, stride: Tensor) -> None:
        self.best, self.top, self.stride = best, top, stride
        self.p = torch.zeros_like(best)
        self.steps = 0

    def evaluate(self) -> Tensor:
        return self.top - (self.p - self.best) ** 2

    def columns(self) -> list[Tensor]:
        return [self.p]

    def step(self, rate: float) -> bool:
        self.steps += 1
        self.p = self.p + rate * self.stride * (self.best - self.p)
        return True


def test_each_row_keeps_the_parameters_of_its_best_bound() -> None:
    rows = Parabolas(torch.tensor([1.0, 1.0]), torch.tensor([-1.0, -1.0]), torch.tensor([1.0, 3.0]))
    found = ascend(rows, 4, NEVER, rate=1.0, decay=1.0)
    assert found.columns[0].tolist() == [1.0, 0.0]  # the second moves away, twice as far each time
    assert found.lower.tolist() == [-1.0, -2.0]
    assert rows.p[1] == -15


@pytest.mark.parametrize(("until_proved", "steps"), [(True, 1), (False, 5)])
def test_it_stops_when_every_row_is_proved(until_proved: bool, steps: int) -> None:
    rows = Parabolas(torch.ones(3), torch.tensor([1.0, 2.0, 0.5]), torch.ones(3))
    ascend(rows, 5, NEVER, rate=1.0, decay=1.0, until_proved=until_proved)
    assert rows.steps == steps


def test_past_the_deadline_what_is_given_is_evaluated() -> None:
    rows = Parabolas(torch.ones(2), torch.full((2,), -1.0), torch.ones(2))
    found = ascend(rows, 5, Deadline.after(0), rate=1.0, decay=1.0)
    assert rows.steps == 0 and found.lower.tolist() == [-2.0, -2.0]


def test_automatic_gradients_climb_within_their_limits() -> None:
    p = torch.zeros(2, 2).requires_grad_()
    best = torch.tensor([[0.5, 0.25], [3.0, -3.0]])
    rows = Differentiated(lambda: -((p - best) ** 2).sum(dim=1), lambda: [p], lambda: p.clamp_(-1.0, 1.0))
    found = ascend(rows, 200, NEVER, rate=0.2, decay=0.98)
    torch.testing.assert_close(found.columns[0], torch.tensor([[0.5, 0.25], [1.0, -1.0]]), atol=1e-2, rtol=0)
    assert not found.columns[0].requires_grad


def test_rows_without_parameters_are_evaluated_once() -> None:
    rows = Differentiated(lambda: torch.tensor([-1.0]), list, lambda: None)
    assert ascend(rows, 5, NEVER, rate=1.0, decay=1.0).lower.tolist() == [-1.0]
