# SPDX-License-Identifier: Apache-2.0
"""Queries built in memory, and the judge of their witnesses: onnxruntime and exact fractions."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from torch import Tensor

from vnnverify.importer import Model, read_model
from vnnverify.importer.sessions import judges_of
from vnnverify.query import Clause, Polytope, Query, Replay

__all__ = ["ModelSource", "query_of"]


class ModelSource:
    """Replays a point in the model and judges it by the clauses' own numbers, taken as exact.

    The point is rounded to float32, and moved inward where that leaves a clause's box.
    """

    def __init__(self, model: Model, clauses: Sequence[Clause]) -> None:
        self.models = (model,)
        self.judges = judges_of(self.models)
        self._clauses = tuple(clauses)

    def replay(self, x: Tensor) -> Replay:
        """The model's outputs near x (n,), and whether some clause is violated there."""
        wanted = [float(v) for v in x.detach().cpu().double().tolist()]
        reason = "there are no clauses"
        point = tuple(wanted)
        y: tuple[float, ...] = ()
        for clause in self._clauses:
            point = _rounded(wanted, clause)
            y = self._run(point)
            reason = _objection(point, y, clause)
            if not reason:
                return Replay(True, "", point, y)
        return Replay(False, reason, point, y)

    def outputs(self, x: Tensor) -> tuple[float, ...]:
        """The model's outputs at x (n,)."""
        return self._run(x.tolist())

    def _run(self, x: Sequence[float]) -> tuple[float, ...]:
        return self.judges[0].run(x)


def _rounded(x: Sequence[float], clause: Clause) -> tuple[float, ...]:
    found = []
    for value, low, high in zip(x, clause.region.lower.tolist(), clause.region.upper.tolist(), strict=True):
        near = np.float32(min(max(value, low), high)) if low <= high else np.float32(value)
        if float(near) < low:
            near = np.nextafter(near, np.float32(np.inf))
        elif float(near) > high:
            near = np.nextafter(near, np.float32(-np.inf))
        found.append(float(near))
    return tuple(found)


def _objection(x: Sequence[float], y: Sequence[float], clause: Clause) -> str:
    """Why (x, y) does not violate the clause; empty if it does."""
    region = clause.region
    for k, (value, low, high) in enumerate(zip(x, region.lower.tolist(), region.upper.tolist(), strict=True)):
        if not low <= value <= high:
            return f"x_{k} = {value!r} lies outside [{low!r}, {high!r}]"
    if not all(np.isfinite(y)):
        return "an output is not finite"
    if region.linear is not None and not _inside(region.linear, x):
        return "the point violates a linear row of the region"
    if any(_inside(polytope, y) for polytope in clause.unsafe):
        return ""
    return f"the outputs {tuple(y)} lie in no unsafe polytope"


def _inside(polytope: Polytope, z: Sequence[float]) -> bool:
    rows = zip(polytope.A.tolist(), polytope.b.tolist(), polytope.strict.tolist(), strict=True)
    for weights, bound, strict in rows:
        value = sum((Fraction(w) * Fraction(v) for w, v in zip(weights, z, strict=True)), Fraction(0))
        if value > Fraction(bound) or (strict and value == Fraction(bound)):
            return False
    return True


def query_of(data: bytes, clauses: Sequence[Clause]) -> Query:
    """A query about an ONNX model in memory, which judges witnesses by these very clauses."""
    model = read_model(data)
    return Query(model.graph, tuple(clauses), model.layout, ModelSource(model, clauses))
