# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch

from vnnverify.bounds.optimise.adam import MOMENTUM, SECOND, Adam


def test_steps_are_those_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    mine = [torch.randn(3, 4, generator=generator).double(), torch.randn(5, generator=generator).double()]
    theirs = [p.clone().requires_grad_() for p in mine]
    other = torch.optim.Adam(theirs, betas=(MOMENTUM, SECOND), eps=1e-12, maximize=True)
    adam = Adam(mine)
    for step in range(6):
        gradients = [torch.randn(p.shape, generator=generator).double() for p in mine]
        rate = 0.5 * 0.8**step
        for p, gradient in zip(theirs, gradients, strict=True):
            p.grad = gradient
        other.param_groups[0]["lr"] = rate
        other.step()
        adam.step(gradients, rate)
        assert all(torch.allclose(a, b) for a, b in zip(mine, theirs, strict=True))


def test_what_has_no_gradient_stays() -> None:
    some, none = torch.zeros(2), torch.zeros(2)
    adam = Adam([some, none])
    adam.step([torch.tensor([1.0, float("nan")]), None], 0.25)
    assert some.tolist() == [0.25, 0.0]
    assert none.tolist() == [0.0, 0.0]
