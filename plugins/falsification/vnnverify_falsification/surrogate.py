# SPDX-License-Identifier: Apache-2.0
"""A graph that is easier to attack: the same decisions, with gradients where the network has none.

Functions that are constant nearly everywhere (signs, rounding) keep their values and get the derivative of
a smoothed copy, as straight-through estimators do (Bengio et al., arXiv:1308.3432). A last layer
that keeps the order of the outputs (softmax, sigmoid) is left out if the property does nothing but
compare outputs: where it saturates, neither values nor gradients say which point is nearer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vnnverify import Clause
from vnnverify.ir import Elementwise, Graph, Node, Op
from vnnverify.ops.sigmoidal import Sigmoid, Tanh
from vnnverify.ops.softmax import Softmax

__all__ = ["Smoothed", "attackable"]

WINDOWS = (2.0, 1.0 / 2, 1.0 / 8, 1.0 / 32)
"""Half-widths over which a step is smoothed, as fractions of the root mean square of what enters it. Their
mean gives values near a jump a large derivative and leaves those far from it a small one."""

PROBES = 4096
"""Points at which the derivative of a step must vanish."""


@dataclass(frozen=True, slots=True, eq=False)
class Smoothed(Op):
    """The operator's own value; its derivative is that of its mean over windows around the point."""

    op: Op

    def __call__(self, *inputs: Tensor) -> Tensor:
        value: Tensor = _Smooth.apply(inputs[0], self.op)
        return value


class _Smooth(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, op: Op) -> Tensor:
        ctx.save_for_backward(x)
        ctx.op = op
        return op(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The mean of central differences over windows, relative to the size of x, for the derivative."""
        (x,) = ctx.saved_tensors
        size = x.square().mean().sqrt().clamp(min=torch.finfo(x.dtype).tiny)
        slope = torch.zeros_like(x)
        for window in WINDOWS:
            reach = window * size
            slope += (ctx.op(x + reach) - ctx.op(x - reach)) / (2 * reach * len(WINDOWS))
        return gradients[0] * slope, None


def attackable(graph: Graph, clauses: Sequence[Clause]) -> Graph:
    """A graph in which the clauses are violated at the same points, up to ties that rounding makes."""
    graph = _without_last(graph, clauses)
    nodes = [Node(Smoothed(n.op), n.inputs, n.output, n.name) if _is_step(n.op) else n for n in graph.nodes]
    return graph.with_nodes(nodes)


def _is_step(op: Op) -> bool:
    """Whether a function takes several values and its derivative is zero wherever it is looked at."""
    if not isinstance(op, Elementwise):
        return False
    op = op.to("cpu", torch.float64)
    x = torch.linspace(-9.87, 10.03, PROBES, dtype=torch.float64)
    value = op(x)
    return bool((op.derivative(x) == 0).all() and (value != value[0]).any())


def _without_last(graph: Graph, clauses: Sequence[Clause]) -> Graph:
    """The graph without a last node that keeps the order of the outputs, if only the order matters."""
    last = next((n for n in graph.nodes if (n.output,) == graph.outputs), None)
    if last is None or Counter(v for n in graph.nodes for v in n.inputs)[last.output]:
        return graph
    shape = last.output.shape
    ordered = isinstance(last.op, Sigmoid | Tanh) or (
        isinstance(last.op, Softmax) and shape[last.op.axis] == last.output.size
    )
    if not ordered or not all(_compares(c) for c in clauses):
        return graph
    return graph.with_nodes([n for n in graph.nodes if n is not last], last.inputs)


def _compares(clause: Clause) -> bool:
    """Whether each row says that one output is above another."""
    for polytope in clause.unsafe:
        opposite = (polytope.A > 0).sum(dim=1) == (polytope.A < 0).sum(dim=1)
        if not ((polytope.b == 0) & opposite & ((polytope.A != 0).sum(dim=1) == 2)).all():
            return False
        if (polytope.A.sum(dim=1) != 0).any():
            return False
    return True
