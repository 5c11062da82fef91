# SPDX-License-Identifier: Apache-2.0
"""Reading a clause as "some other label beats label c"."""

from __future__ import annotations

import torch

from vnnverify import Clause, Polytope, Query

__all__ = ["protected_classes", "shape_problem"]


def protected_classes(clause: Clause) -> set[int]:
    """Classes c such that outputs whose largest element is c alone lie in no unsafe polytope.

    They are those for which every unsafe polytope has a row y_c <= y_j + b with b <= 0.
    """
    found = [_beaten(polytope) for polytope in clause.unsafe]
    return set.intersection(*found) if found else set()


def _beaten(polytope: Polytope) -> set[int]:
    """Classes that are beaten, or equalled, by some other throughout the polytope."""
    A = polytope.A
    balanced = (A.count_nonzero(dim=1) == 2) & (A.amax(dim=1) == -A.amin(dim=1)) & (A.amax(dim=1) > 0)
    rows = torch.nonzero(balanced & (polytope.b <= 0)).flatten()
    return set(A[rows].argmax(dim=1).tolist())


def shape_problem(query: Query) -> str:
    """Why the query is not about a label that must stay on top; empty if it is."""
    if not query.clauses:
        return "the property has no clause"
    own = sum(_size(spec.shape) for spec in query.layout.outputs)
    if query.graph.output_size != own:
        return "the property speaks of inputs and outputs in one row; smoothing needs a label to protect"
    for number, clause in enumerate(query.clauses, start=1):
        if not protected_classes(clause):
            where = f"clause {number} of {len(query.clauses)}" if len(query.clauses) > 1 else "the property"
            return f"{where} does not say that some other output beats one fixed output"
        region = clause.region
        if not bool((torch.isfinite(region.lower) & torch.isfinite(region.upper)).all()):
            return "an input is unbounded"
    return ""


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for extent in shape:
        size *= extent
    return size
