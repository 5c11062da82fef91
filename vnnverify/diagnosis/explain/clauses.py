# SPDX-License-Identifier: Apache-2.0
"""Which clauses of a query are open, which of them is the hardest, and how to write a polytope down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from vnnverify.diagnosis.explain.looseness import sample
from vnnverify.ir import Graph
from vnnverify.query import Clause, Layout, Polytope, Query

__all__ = ["Hardest", "hardest", "places", "wording"]

CLAUSES = 64
"""Most open clauses that are compared."""
ROWS, TERMS = 6, 4
"""Most rows of a polytope that is written out, and most terms of each."""


@dataclass(frozen=True, slots=True)
class Hardest:
    """The clause that comes nearest to being unsafe at sampled inputs."""

    clause: int  # its place among those given
    polytope: Polytope  # the one that is nearest
    margin: float


def places(clauses: Sequence[Clause], query: Query) -> list[int | None]:
    """Where in the query the clauses of one of its residual queries came from: each from the same clause,
    or from one with some of its polytopes and at least its region. None: from nowhere."""
    known = {id(clause): index for index, clause in enumerate(query.clauses)}
    by_polytope: dict[int, list[int]] = {}
    for index, clause in enumerate(query.clauses):
        for polytope in clause.unsafe:
            by_polytope.setdefault(id(polytope), []).append(index)

    def place(clause: Clause) -> int | None:
        if id(clause) in known:
            return known[id(clause)]
        candidates = (k for p in clause.unsafe for k in by_polytope.get(id(p), ()))
        return next((k for k in candidates if _within(clause, query.clauses[k])), None)

    return [place(clause) for clause in clauses]


def _within(inner: Clause, outer: Clause) -> bool:
    a, b = inner.region, outer.region
    return a is b or bool(((a.lower >= b.lower) & (a.upper <= b.upper)).all())


def hardest(
    graph: Graph, clauses: Sequence[Clause], count: int, generator: torch.Generator
) -> Hardest | None:
    """The clause and polytope with the least margin at `count` sampled inputs in all.

    Of many clauses only the first are looked at. None if no margin is a number.
    """
    chosen = [index for index, c in enumerate(clauses) if c.unsafe and not c.region.empty][:CLAUSES]
    if not chosen:
        return None
    each = max(1, count // len(chosen))
    points = [_centre_and_samples(clauses[index], each, generator) for index in chosen]
    outputs = torch.split(graph(torch.cat(points)), each)
    found: Hardest | None = None
    for index, x, y in zip(chosen, points, outputs, strict=True):
        inside = y[clauses[index].region.contains(x)]
        for polytope in clauses[index].unsafe if len(inside) else ():
            margins = polytope.margins(inside)
            least = float(margins.amax(dim=1).amin()) if margins.shape[1] else -math.inf
            if math.isfinite(least) and (found is None or least < found.margin):
                found = Hardest(index, polytope, least)
    return found


def _centre_and_samples(clause: Clause, count: int, generator: torch.Generator) -> Tensor:
    region = clause.region
    centre = (region.lower + region.upper)[None] / 2
    return torch.cat([centre, sample(region, count - 1, generator)])


def wording(polytope: Polytope, layout: Layout) -> str:
    """The polytope in the names of the property, as `Y_3 >= Y_8 and Y_0 < 0.5`, or `Y_f[0,3] >= Y_f[0,8]` in
    VNN-LIB 2.0; long ones are only described. What lies beyond the outputs of the layout are terms that the
    property adds."""
    used = polytope.A != 0
    if len(used) > ROWS or bool((used.sum(dim=1) > TERMS).any()):
        return f"a polytope of {len(used)} rows over {int(used.any(dim=0).sum())} outputs"
    parts = zip(polytope.A, polytope.b.tolist(), polytope.strict.tolist(), strict=True)
    return " and ".join(_row(row, b, strict, layout) for row, b, strict in parts)


def _row(row: Tensor, b: float, strict: bool, layout: Layout) -> str:
    terms = [(float(row[k]), _name(k, layout)) for k in row.nonzero()[:, 0].tolist()]
    below, above = ("<", ">") if strict else ("<=", ">=")
    if len(terms) == 1:
        a, name = terms[0]
        return f"{name} {below if a > 0 else above} {b / a + 0.0:.6g}"
    if len(terms) == 2 and b == 0 and terms[0][0] == -terms[1][0]:
        (a, name), (_, other) = terms
        return f"{name} {below if a > 0 else above} {other}"
    text = "".join(f"{'-' if a < 0 else '+'} {_term(abs(a), name)} " for a, name in terms)
    return f"{text.removeprefix('+ ')}{below} {b:.6g}" if terms else f"0 {below} {b:.6g}"


def _term(a: float, name: str) -> str:
    return name if a == 1 else f"{a:.6g} {name}"


def _name(index: int, layout: Layout) -> str:
    for tensor in layout.tensors:
        if tensor.kind != "input" and 0 <= index - tensor.start < tensor.size:
            return tensor.element(index - tensor.start)
    outputs = sum(prod(spec.shape) for spec in layout.outputs)
    return f"Y_{index}" if index < outputs else f"term {index - outputs}"
