# SPDX-License-Identifier: Apache-2.0
"""The unsafe polytopes that a search over activations is about, one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.query import Polytope

__all__ = ["UnsafePolytope", "batches", "per_row", "reached", "stacked"]


@dataclass(frozen=True, slots=True, eq=False)
class UnsafePolytope:
    """One unsafe polytope of one clause, over one of the root's boxes."""

    clause: int
    box: int
    rows: Polytope


def stacked(polytopes: Sequence[UnsafePolytope], outputs: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows C (G, P, m), d, strict and real (G, P) of G polytopes; padding repeats the first row."""
    P = max([1, *(p.rows.b.numel() for p in polytopes)])
    C = torch.zeros(len(polytopes), P, outputs, dtype=torch.float64)
    d = torch.zeros(len(polytopes), P, dtype=torch.float64)
    strict, real = (torch.zeros(len(polytopes), P, dtype=torch.bool) for _ in range(2))
    for k, one in enumerate(polytopes):
        rows = one.rows.b.numel()
        C[k, :rows], d[k, :rows] = one.rows.A, one.rows.b
        if rows:
            C[k, rows:], d[k, rows:] = one.rows.A[:1], one.rows.b[:1]
        strict[k, :rows], real[k, :rows] = one.rows.strict, True
    return C, d, strict, real


def reached(C: Tensor, d: Tensor, strict: Tensor, real: Tensor, y: Tensor) -> Tensor:
    """Which outputs y (N, m) lie in their polytopes, with rows C (N, P, m), d, strict and real (N, P), as
    computed: (N,) bool."""
    margin = torch.einsum("npm,nm->np", C, y) - d
    inside = torch.where(strict, margin < 0, margin <= 0)
    return (inside | ~real).all(dim=1)


def batches(polytopes: list[UnsafePolytope], rows: int) -> Iterator[list[UnsafePolytope]]:
    """The polytopes in turn, with about so many rows at a time."""
    part: list[UnsafePolytope] = []
    for one in polytopes:
        part.append(one)
        if sum(p.rows.b.numel() for p in part) >= rows:
            yield part
            part = []
    if part:
        yield part


def per_row(polytopes: list[UnsafePolytope], numbers: list[int]) -> Tensor:
    """The polytopes' numbers for each of their rows: (R,)."""
    counts = torch.tensor([p.rows.b.numel() for p in polytopes])
    return torch.tensor(numbers).repeat_interleave(counts)
