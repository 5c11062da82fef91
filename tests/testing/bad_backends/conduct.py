# SPDX-License-Identifier: Apache-2.0
"""Backends that misbehave while they work."""

from __future__ import annotations

import os
import time

import torch

from bad_backends.exact import Runs, first_weight
from vnnverify import Backend, Context, NoOptions, Outcome, Query

__all__ = [
    "DrawsGlobally",
    "Raises",
    "RaisesTimeout",
    "SetsDtype",
    "SetsEnvironment",
    "Sleeps",
    "Unsteady",
    "UnsteadyWitness",
    "WritesBounds",
    "WritesWeights",
]


class Raises(Backend[NoOptions]):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        raise RuntimeError("matrices do not fit")


class Sleeps(Backend[NoOptions]):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        time.sleep(1.2)
        return Outcome.unknown("overslept")


class RaisesTimeout(Backend[NoOptions]):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        if ctx.deadline.expired:
            raise TimeoutError("no time")
        return Outcome.unknown("nothing found")


class WritesBounds(Runs):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        for clause in query.clauses:
            clause.region.lower.sub_(1e-9)
        return super().verify(query, ctx)


class WritesWeights(Runs):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        first_weight(query).nextafter_(torch.zeros((), dtype=torch.float64))
        return super().verify(query, ctx)


class SetsEnvironment(Runs):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        os.environ["VNNVERIFY_TEST_SETTING"] = "1"
        return super().verify(query, ctx)


class SetsDtype(Runs):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        torch.set_default_dtype(torch.float64)
        return super().verify(query, ctx)


class DrawsGlobally(Runs):
    def verify(self, query: Query, ctx: Context) -> Outcome:
        torch.rand(1)
        return super().verify(query, ctx)


class Unsteady(Runs):
    turn = 0

    def verify(self, query: Query, ctx: Context) -> Outcome:
        self.turn += 1
        return super().verify(query, ctx) if self.turn % 2 else Outcome.unknown("not today")


class UnsteadyWitness(Runs):
    turn = 0

    def verify(self, query: Query, ctx: Context) -> Outcome:
        self.turn += 1
        found = super().verify(query, ctx)
        return found if found.witness is None else Outcome.sat(found.witness + self.turn * 1e-9)
