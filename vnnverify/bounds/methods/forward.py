# SPDX-License-Identifier: Apache-2.0
"""Forward linear bounds: two affine functions of the inputs, below and above each value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vnnverify.bounds import forward
from vnnverify.bounds.backward.rows import by_sign
from vnnverify.bounds.forward import Form
from vnnverify.bounds.method import BoundMethod, Bounds, Record, Resources
from vnnverify.bounds.methods.sweep import Interval, finite_or_lost, prepared, start, sweep
from vnnverify.bounds.relaxation import LEAST_AREA, SlopeRule
from vnnverify.bounds.specification import Specification
from vnnverify.bounds.state import State
from vnnverify.ir import Graph, Node, Value, flat
from vnnverify.numerics import gamma
from vnnverify.query import Region

__all__ = ["Forward"]


@dataclass(frozen=True)
class Forward(BoundMethod):
    """Every value lies between two affine functions of the inputs, which are pushed through the network.
    The cost of each operator grows with the number of inputs.

    Source: the symbolic intervals of Wang et al., arXiv:1804.10829, with a line on either side; the forward
    mode of Xu et al., arXiv:2002.12920.
    """

    name: str = "forward"
    slopes: SlopeRule = LEAST_AREA
    differentiable: ClassVar[bool] = True

    def compute(
        self, graph: Graph, region: Region, spec: Specification, known: Bounds | None, resources: Resources
    ) -> Bounds:
        graph = prepared(graph)
        state = start(graph, region, self.slopes)
        free = torch.arange(state.lower.shape[1], device=state.lower.device)
        forms: dict[Value, Form] = dict(forward.input_forms(graph, state, free))

        def better(node: Node, state: State) -> tuple[Interval, str] | None:
            rule = forward.domain.find(node.op)
            form = rule(node.op, [forms[v] for v in node.inputs], node, state) if rule else None
            if form is None:  # constants between which the value lies
                low, high = state.interval[node.output]
                flat_slopes = low[:, None].new_zeros(low.shape[0], free.numel(), *low.shape[1:])
                forms[node.output] = Form(flat_slopes, low, flat_slopes, high)
                return None
            forms[node.output] = form
            return forward.ends(form, state), self.name

        values = sweep(graph, state, known, resources.deadline, better)
        lower = _margins(graph, state, forms, spec.as_type(state.lower.dtype))
        parents = () if known is None else (known,)
        record = Record(self.name, {**state.lines, **state.planes}, parents=parents)
        return Bounds(finite_or_lost(lower), None, values, record)


def _margins(graph: Graph, state: State, forms: dict[Value, Form], spec: Specification) -> Tensor:
    """Lower bounds (B, S) of C y − d for outputs between their forms."""
    outputs = [forms[v] for v in graph.outputs]

    def joined(name: str) -> Tensor:
        """Slopes as (B, N, k), offsets as (B, N)."""
        parts = [getattr(form, name) for form in outputs]
        if name.endswith("offset"):
            return torch.cat([flat(part) for part in parts], dim=1)
        return torch.cat([part.flatten(2) for part in parts], dim=2).transpose(1, 2)

    positive, negative = by_sign(spec.C)
    slopes = positive @ joined("below") + negative @ joined("above")  # (B, S, k)
    offset = _times(positive, joined("below_offset")) + _times(negative, joined("above_offset")) - spec.d
    size = _times(spec.C.abs(), torch.cat([flat(form.size()) for form in outputs], dim=1)) + spec.d.abs()
    error = gamma(2 * spec.C.shape[2] + slopes.shape[2] + 4, size.dtype) * 2 * size
    least = -slopes.abs().sum(dim=2)
    if state.region is not None:
        least = torch.fmax(least, forward.least_of_slopes(slopes, state))
    return offset + least - error


def _times(rows: Tensor, column: Tensor) -> Tensor:
    """(B, S, N) times (B, N): (B, S)."""
    return (rows @ column[:, :, None])[:, :, 0]
