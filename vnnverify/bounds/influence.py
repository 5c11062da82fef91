# SPDX-License-Identifier: Apache-2.0
"""Which elements of a network a property depends on (its cone of influence).

Only these are worth good bounds. The choice costs no soundness: what is left out keeps its intervals.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vnnverify.ir import Affine, Elementwise, Graph, Value, flat

__all__ = ["influence"]


def influence(
    graph: Graph, outputs: Tensor, interval: Mapping[Value, tuple[Tensor, Tensor]] | None = None
) -> dict[Value, Tensor]:
    """The elements of each value on which outputs depend: (size,) bool. Values that
    none depends on may be absent.

    A row of random coefficients goes back through every affine node; what it leaves at exactly zero has, but
    for a coincidence of probability zero, no weight on the way.

    Args:
        outputs: (m,) bool, the outputs that matter.
        interval: bounds (B, *shape) of every value: what is constant over each of the boxes, as a dead ReLU
            is, depends on nothing.
    """
    generator = torch.Generator().manual_seed(0)
    device = outputs.device
    found: dict[Value, Tensor] = {}

    def mark(value: Value, elements: Tensor) -> None:
        found[value] = found[value] | elements if value in found else elements

    sizes = [value.size for value in graph.outputs]
    for value, part in zip(graph.outputs, torch.split(outputs, sizes), strict=True):
        mark(value, part)
    for node in reversed(graph.nodes):
        marked = found.get(node.output)
        if marked is not None and interval is not None:
            lower, upper = interval[node.output]
            marked = marked & ~flat(lower >= upper).all(dim=0)
        if marked is None or not marked.any():
            continue
        found[node.output] = marked
        if isinstance(node.op, Elementwise):
            mark(node.inputs[0], marked)
        elif isinstance(node.op, Affine) and node.inputs:
            random = torch.rand(marked.shape, generator=generator, dtype=torch.float64) + 0.5
            row = (random.to(device) * marked).reshape(1, *node.output.shape)
            parts = node.op.adjoint(row, *(v.shape for v in node.inputs))
            for value, back in zip(node.inputs, parts, strict=True):
                mark(value, flat(back)[0] != 0)
        else:
            for value in node.inputs:
                mark(value, torch.ones(value.size, dtype=torch.bool, device=device))
    return found
