# SPDX-License-Identifier: Apache-2.0
"""Pushes a batch of boxes through a graph, and rows over its outputs to bounds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify import Deadline
from vnnverify.bounds.backward.rows import by_sign
from vnnverify.bounds.specification import Specification
from vnnverify.domains import interval
from vnnverify.ir import Graph, Node, Value
from vnnverify.numerics import gamma, relative_error, round_down, varies
from vnnverify_abstract_domains.rules import domain
from vnnverify_abstract_domains.zonotope import (
    WORKING_COPIES,
    Symbols,
    Zonotope,
    input_zonotopes,
    padded,
)

__all__ = ["Outputs", "least_memory", "propagate"]


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """The flat outputs (m) of a graph over B boxes."""

    value: Zonotope  # (B, m)
    free: Tensor  # (k,) the input that each of the first k symbols stands for
    radius: Tensor  # (B, n) of the inputs
    symbols: Symbols

    def bound(self, spec: Specification) -> tuple[Tensor, Tensor, Tensor]:
        """Lower bounds (B, S) of the margins C y − d, the slopes (B, S, n) of linear functions that lead
        to them, and the gain (B, S, n) to be hoped for from halving an input.

        Slopes lead to the zonotope's bound only; so the intervals' bound is taken, without slopes, just
        where it is better and proves something, or where the zonotope knows nothing.

        Raises:
            TooBig: the memory does not suffice.
        """
        z, C, d = self.value, spec.C, spec.d
        K = z.generators.shape[1]
        self.symbols.reserve(K, C, C.shape[1])
        g = gamma(C.shape[2] + K, C.dtype)
        generators = z.generators @ C.mT  # (B, K, S)
        size = _dot(C.abs(), z.centre.abs() + z.reach) + d.abs()
        spread = generators.abs().sum(dim=1)
        radius = (_dot(C.abs(), z.error) + spread + 2 * g * size) * (1 + 2 * g) + _tiny(C)
        lower = round_down(_dot(C, z.centre) - d - radius)
        positive, negative = by_sign(C)
        ends = _dot(positive, z.lower) + _dot(negative, z.upper) - d
        size = _dot(C.abs(), torch.maximum(z.lower.abs(), z.upper.abs())) + d.abs()
        by_intervals = round_down(ends - 2 * g * size - _tiny(C))
        lower, by_intervals = (
            torch.where(torch.isfinite(low), low, -float("inf")) for low in (lower, by_intervals)
        )
        k = self.free.numel()
        ours = generators[:, :k].mT  # (B, S, k)
        slopes = ours / self.radius[:, None, self.free] * (1 - 4 * relative_error(C.dtype))
        chosen = torch.isfinite(lower) & ((lower >= by_intervals) | (by_intervals <= 0))
        usable = torch.isfinite(slopes) & chosen[:, :, None]
        A = torch.zeros(*C.shape[:2], self.radius.shape[1], dtype=C.dtype, device=C.device)
        share = self.symbols.share[:, :K]
        gain = generators.abs().mT @ share if share.shape[2] else ours.abs()
        gain = A.index_copy(2, self.free, gain)
        A = A.index_copy(2, self.free, torch.where(usable, slopes, 0))
        return torch.where(chosen, lower, by_intervals), A, gain


def _dot(C: Tensor, y: Tensor) -> Tensor:
    """(B, S, m) and (B, m) -> (B, S)."""
    return (C @ y[:, :, None])[:, :, 0]


def _tiny(C: Tensor) -> float:
    """What products that underflow may lose in a row over the outputs."""
    return C.shape[2] * torch.finfo(C.dtype).tiny


def propagate(
    graph: Graph, lower: Tensor, upper: Tensor, budget: int, deadline: Deadline, *, guide: bool = True
) -> Outputs:
    """The outputs over each box [lower, upper], (B, n) with B > 0.

    Args:
        graph: prepared for `domain`, in the float type of the boxes.
        budget: bytes that generators may take.
        guide: whether the gain is to reckon with nonlinear nodes, which takes memory of its own.

    Raises:
        OutOfTime: the deadline came first.
        TooBig: the budget does not suffice.
    """
    B = lower.shape[0]
    free = varies(lower, upper).any(dim=0).nonzero()[:, 0]
    if not free.numel():
        free = torch.zeros(1, dtype=torch.long, device=lower.device)
    share = torch.eye(free.numel(), dtype=lower.dtype, device=lower.device)
    symbols = Symbols((share if guide else share[:, :0]).expand(B, -1, -1), budget)
    symbols.reserve(free.numel(), lower, graph.input_size)
    known, radius = input_zonotopes(graph, lower, upper, free)
    symbols.live = sum(_bytes(z) for z in known.values())
    pending = Counter(v for node in graph.nodes for v in node.inputs)
    pending.update(graph.outputs)
    for node in graph.nodes:
        deadline.check()
        inputs = [known[v] for v in node.inputs]
        symbols.reserve(symbols.count, lower, _width(node))
        found = domain.rule_for(node)(node.op, inputs, node, symbols)
        rule = interval.domain.find(node.op)
        if rule is not None:
            low, high = rule(node.op, [(x.lower, x.upper) for x in inputs], node)
            found = found.within(low.expand_as(found.lower), high.expand_as(found.upper))
        known[node.output] = found
        symbols.live += _bytes(found)
        for value in node.inputs:
            pending[value] -= 1
            if not pending[value]:
                symbols.live -= _bytes(known.pop(value))
    return Outputs(_joined(graph.outputs, known), free, radius, symbols)


def least_memory(graph: Graph, varying: int) -> int:
    """Bytes that a prepared graph needs at least, in float32, if so many inputs vary."""
    widest = max([graph.input_size, *(_width(node) for node in graph.nodes)])
    return WORKING_COPIES * varying * widest * torch.finfo(torch.float32).bits // 8


def _width(node: Node) -> int:
    return max(node.output.size, sum(v.size for v in node.inputs))


def _bytes(element: Zonotope) -> int:
    return element.generators.numel() * element.generators.element_size()


def _joined(outputs: tuple[Value, ...], known: dict[Value, Zonotope]) -> Zonotope:
    """The flat outputs, one after the other."""
    elements = [known[v] for v in outputs]
    B = elements[0].centre.shape[0]
    generators = [g.reshape(B, g.shape[1], v.size) for g, v in zip(padded(elements), outputs, strict=True)]

    def join(parts: list[Tensor]) -> Tensor:
        return torch.cat([part.reshape(B, -1) for part in parts], dim=1)

    return Zonotope(
        join([z.centre for z in elements]),
        torch.cat(generators, dim=2),
        join([z.error for z in elements]),
        join([z.reach for z in elements]),
        join([z.lower for z in elements]),
        join([z.upper for z in elements]),
    )
