# SPDX-License-Identifier: Apache-2.0
"""Whether a model may compute with what is no number, and make numbers of it again.

acos(2) and log(−1) are NaN, 0 · (1/0) too. Bounds speak of real numbers, and of an interval that leaves a
function's domain only know that it is unbounded. That is enough as long as NaN stays NaN: such an output is
no witness. But an argmax, a comparison or a maximum makes a number of it, which no bound has looked at.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vnnverify.domains import interval
from vnnverify.errors import UnsupportedOperator
from vnnverify.ir import Elementwise, Graph, Maximum, Node, Value
from vnnverify.numerics import direct_convolutions
from vnnverify.ops import argmax, order, steps
from vnnverify.ops.choice import Choice
from vnnverify.ops.masked import Masked
from vnnverify.ops.piecewise import Clip, Relu, Tent
from vnnverify.ops.requantized import Lookup, NearestWhole
from vnnverify.query import Query

__all__ = ["undefined_before_a_step"]

FAR = 1e30
"""Where a function is asked whether it is defined everywhere."""
CLAUSES = 64
"""Regions that are looked at one by one; of more, the box around all."""

_DECIDE: tuple[Any, ...] = (
    *(getattr(steps, name) for name in steps.__all__),
    *(getattr(argmax, name) for name in argmax.__all__),
    *(getattr(order, name) for name in order.__all__),
    Maximum, Choice, Masked, Clip, Relu, Tent, Lookup, NearestWhole,
)  # fmt: skip
"""Operators that may make a number of NaN, here or in some runtime."""


def undefined_before_a_step(query: Query) -> str:
    """The name of a node whose function may be undefined in a region of the query, and that leads to an
    operator which may make a number of NaN; empty if there is none."""
    suspects = _suspects(query.graph)
    if not suspects or not query.clauses:
        return ""
    lower = torch.stack([clause.region.lower for clause in query.clauses])
    upper = torch.stack([clause.region.upper for clause in query.clauses])
    if len(lower) > CLAUSES:
        lower, upper = lower.amin(dim=0, keepdim=True), upper.amax(dim=0, keepdim=True)
    try:
        with torch.no_grad(), direct_convolutions():
            known = interval.bounds_of_values(query.graph, lower.double(), upper.double())
    except UnsupportedOperator:
        return ""  # nothing is proved by bounds
    for node in suspects:
        if node.inputs[0] in known and _leaves_domain(node, known[node.inputs[0]]):
            return node.name
    return ""


def _suspects(graph: Graph) -> list[Node]:
    """Nodes with a function that is not defined everywhere, on the way to an operator that decides."""
    leads: set[Value] = set()  # values that such an operator depends on
    found = []
    for node in reversed(graph.nodes):
        if isinstance(node.op, _DECIDE) or node.output in leads:
            if node.output in leads and isinstance(node.op, Elementwise) and _is_partial(node.op):
                found.append(node)
            leads.update(node.inputs)
    return found


def _is_partial(op: Elementwise) -> bool:
    y = op(torch.tensor([-FAR, -2.0, 0.0, 2.0, FAR], dtype=torch.float64))
    return bool(y.isnan().any() | ~y[2].isfinite())


def _leaves_domain(node: Node, ends: tuple[Tensor, Tensor]) -> bool:
    """Domains are intervals: what is defined at both ends is defined between them, but for a pole at zero."""
    if any(bool(node.op(end.clamp(-FAR, FAR)).isnan().any()) for end in ends):
        return True
    at_zero = node.op(torch.zeros_like(ends[0]))
    return bool((~torch.isfinite(at_zero) & (ends[0] < 0) & (ends[1] > 0)).any())
