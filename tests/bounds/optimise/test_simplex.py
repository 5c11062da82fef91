# SPDX-License-Identifier: Apache-2.0
"""The nearest point of the simplex, against its closed form in two dimensions and its optimality in more."""

from __future__ import annotations

import torch

from vnnverify.bounds.optimise.simplex import onto_simplex


def test_two_weights() -> None:
    given = torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.9, 0.5], [3.0, 1.0], [-1.0, -1.0]])
    expected = torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.7, 0.3], [1.0, 0.0], [0.5, 0.5]])
    torch.testing.assert_close(onto_simplex(given), expected)


def test_no_other_point_is_nearer() -> None:
    generator = torch.Generator().manual_seed(0)
    given = torch.randn(50, 1, 6, generator=generator, dtype=torch.float64) * 2
    found = onto_simplex(given[:, 0])
    assert bool((found >= 0).all())
    torch.testing.assert_close(found.sum(dim=1), torch.ones(50, dtype=torch.float64))
    others = torch.rand(50, 300, 6, generator=generator, dtype=torch.float64) ** 3
    others = others / others.sum(dim=2, keepdim=True)
    nearest = ((found[:, None] - given) ** 2).sum(dim=2)
    assert bool((((others - given) ** 2).sum(dim=2) >= nearest - 1e-12).all())
