# SPDX-License-Identifier: Apache-2.0
"""The unsafe polytopes of many clauses as padded tensors, so that boxes of all clauses share a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.numerics import proves, upper_as
from vnnverify.query import Clause

__all__ = ["Specification"]


@dataclass(frozen=True, slots=True, eq=False)
class Specification:
    """K clauses of up to P polytopes with up to S rows in all; margin_s(y) = C_s y − d_s.

    A polytope is unreachable as soon as one of its rows has a positive margin on the whole box; a
    clause as soon as all of its polytopes are.
    """

    C: Tensor  # (K, S, m)
    d: Tensor  # (K, S), rounded up
    strict: Tensor  # (K, S) bool
    member: Tensor  # (K, P, S) bool: row s belongs to polytope p
    real: Tensor  # (K, P) bool: false for padding

    @classmethod
    def of(cls, clauses: Sequence[Clause], outputs: int, device: torch.device) -> Specification:
        """Stack the clauses, in float64."""
        S = max([1, *(sum(p.b.numel() for p in c.unsafe) for c in clauses)])  # one row of padding at least
        P = max([1, *(len(c.unsafe) for c in clauses)])
        K = len(clauses)
        C = torch.zeros(K, S, outputs, dtype=torch.float64)
        d = torch.zeros(K, S, dtype=torch.float64)
        strict = torch.zeros(K, S, dtype=torch.bool)
        member = torch.zeros(K, P, S, dtype=torch.bool)
        real = torch.zeros(K, P, dtype=torch.bool)
        each = [(k, p, q) for k, clause in enumerate(clauses) for p, q in enumerate(clause.unsafe)]
        if each:
            of, which = (torch.tensor([one[column] for one in each]) for column in (0, 1))
            real[of, which] = True
            rows = torch.tensor([q.b.numel() for _, _, q in each])
            k, p = of.repeat_interleave(rows), which.repeat_interleave(rows)
            s = torch.arange(len(k)) - torch.searchsorted(k, k)  # places within the clause
            C[k, s] = torch.cat([q.A for _, _, q in each]).cpu()
            d[k, s] = torch.cat([q.b for _, _, q in each]).cpu()
            strict[k, s] = torch.cat([q.strict for _, _, q in each]).cpu()
            member[k, p, s] = True
        return cls(*(t.to(device) for t in (C, d, strict, member, real)))

    @classmethod
    def rows(cls, C: Tensor, d: Tensor) -> Specification:
        """Rows C (B, S, m) with offsets d (B, S) for each box of a batch, as one polytope of strict rows."""
        B, S, _ = C.shape
        member = torch.ones(B, 1, S, dtype=torch.bool, device=C.device)
        return cls(C, d, torch.ones_like(d, dtype=torch.bool), member, member[:, :, 0])

    @classmethod
    def outputs(cls, count: int, batch: int, device: torch.device, dtype: torch.dtype) -> Specification:
        """The rows whose margins are every output and its negative, for each box of a batch: S = 2·count."""
        one = torch.eye(count, device=device, dtype=dtype)
        C = torch.cat([one, -one])[None].expand(batch, -1, -1)
        return cls.rows(C, C.new_zeros(batch, 2 * count))

    def as_type(self, dtype: torch.dtype) -> Specification:
        """The rows in another float type: d rounded up, C to nearest (the bounder allows for that)."""
        return Specification(self.C.to(dtype), upper_as(self.d, dtype), self.strict, self.member, self.real)

    def take(self, clause: Tensor) -> Specification:
        """The specification of each box of a batch, from its clause index (batch,)."""
        if self.C.shape[0] == 1:
            B = clause.shape[0]
            return Specification(*(t.expand(B, *t.shape[1:]) for t in self._fields()))
        return Specification(*(t[clause] for t in self._fields()))

    def joined(self) -> Specification:
        """All rows as those of one clause, with one polytope: (1, K·S, m)."""
        rows = self.d.numel()
        member = torch.ones(1, 1, rows, dtype=torch.bool, device=self.d.device)
        C, d, strict = self.C.reshape(1, rows, -1), self.d.reshape(1, rows), self.strict.reshape(1, rows)
        return Specification(C, d, strict, member, member[:, :, 0])

    def without(self, excluded: Tensor) -> Specification:
        """The same rows, the polytopes `excluded` (batch, P) taken for padding."""
        return Specification(self.C, self.d, self.strict, self.member, self.real & ~excluded)

    def where(self, keep: Tensor) -> Specification:
        """The part of a batch that `keep` (batch,) selects."""
        return Specification(*(t[keep] for t in self._fields()))

    def _fields(self) -> tuple[Tensor, ...]:
        return (self.C, self.d, self.strict, self.member, self.real)

    def open_polytopes(self, lower: Tensor) -> Tensor:
        """Polytopes (batch, P) that sound lower bounds (batch, S) of the margins do not exclude. NaN and
        infinity exclude nothing.

        A strict row asks for a margin below zero: a bound of zero, sound as it is computed, excludes that.
        """
        excluding = proves(lower) | (self.strict & (lower == 0))
        return self.real & ~(self.member & excluding[:, None, :]).any(dim=2)

    def best_rows(self, lower: Tensor, open_: Tensor) -> tuple[Tensor, Tensor]:
        """The largest lower bound that a row of each open polytope (batch, P) has, and which row has it.
        Polytopes that are not open have minus infinity."""
        best = torch.where(self.member & open_[:, :, None], lower[:, None, :], -float("inf")).max(dim=2)
        return best.values, best.indices

    def violated(self, y: Tensor) -> Tensor:
        """Whether outputs y (batch, m) lie in one of their polytopes, up to rounding: (batch,) bool."""
        margin = torch.einsum("bsm,bm->bs", self.C, y.to(self.C.dtype)) - self.d
        inside = torch.where(self.strict, margin < 0, margin <= 0)
        return (self.real & (inside[:, None, :] | ~self.member).all(dim=2)).any(dim=1)
