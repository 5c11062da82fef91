# SPDX-License-Identifier: Apache-2.0
"""Backends that say what is wrong, or say it wrongly."""

from __future__ import annotations

from typing import Any

import torch

from bad_backends.exact import Runs, first_weight
from vnnverify import Backend, Context, NoOptions, Outcome, Query, Verdict
from vnnverify.ops.linear import Linear

__all__ = [
    "DropsClauses",
    "InventsWitness",
    "NoWitness",
    "ReturnsText",
    "SaysError",
    "SaysUnsat",
    "ShapesWitness",
    "Silent",
    "TensorStats",
    "Timid",
    "WrongByOrder",
    "WrongByScale",
    "WrongOnManyDisjuncts",
    "WrongOnWideBoxes",
]


class SaysUnsat(Backend[NoOptions]):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        return Outcome.unsat()


class SaysError(Backend[NoOptions]):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        return Outcome(Verdict.ERROR, "something went wrong")


class InventsWitness(Backend[NoOptions]):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        return Outcome.sat(torch.zeros(query.graph.input_size))


class NoWitness(Backend[NoOptions]):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        return Outcome(Verdict.SAT)


class ShapesWitness(Runs):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        found = super().verify(query, ctx)
        return found if found.witness is None else Outcome.sat(found.witness[None])


class ReturnsText(Backend[NoOptions]):
    def verify(self, query: Query, ctx: Context) -> Any:
        return "unsat"


class Timid(Backend[NoOptions]):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        return Outcome.unknown("I dare not say")


class Silent(Backend[NoOptions]):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        return Outcome.unknown("")


class DropsClauses(Backend[NoOptions]):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        return Outcome.unknown("the rest", query.with_clauses(query.clauses[:-1]))


class TensorStats(Runs):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        super().verify(query, ctx)
        return Outcome.unknown("with odd statistics", bound=torch.ones(1))


class WrongOnWideBoxes(Runs):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        widest = max((float((c.region.upper - c.region.lower).max()) for c in query.clauses), default=0)
        return Outcome.unsat() if widest >= 2.0 else super().verify(query, ctx)


class WrongOnManyDisjuncts(Runs):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        many = len(query.clauses) > 1 or any(len(c.unsafe) > 1 for c in query.clauses)
        return Outcome.unsat() if many else super().verify(query, ctx)


class WrongByOrder(Runs):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        W = first_weight(query)
        return Outcome.unsat() if float(W[0].sum()) < float(W[-1].sum()) else super().verify(query, ctx)


class WrongByScale(Runs):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        last = query.graph.nodes[-1].op
        large = isinstance(last, Linear) and float(last.weight.abs().max()) >= 4
        return Outcome.unsat() if large else super().verify(query, ctx)
