# SPDX-License-Identifier: Apache-2.0
"""How often each class wins under Gaussian noise."""

from __future__ import annotations

import torch
from torch import Tensor

from vnnverify import Context
from vnnverify.ir import Graph

__all__ = ["count_classes"]


def count_classes(
    graph: Graph, centre: Tensor, sigma: float, samples: int, batch: int, ctx: Context
) -> Tensor | None:
    """Wins of each class at centre (n,) plus N(0, sigma² I), as counts (m,) int64 on the CPU.

    A tie for the largest output, or any output that is not finite, is a win for nobody; so the counts
    may sum to less than `samples`. None if the deadline came before all samples were drawn: a partial
    count must not be used, because when it stopped may depend on what it showed.
    """
    counts = torch.zeros(graph.output_size, dtype=torch.int64)
    for start in range(0, samples, batch):
        if ctx.deadline.expired:
            return None
        size = min(batch, samples - start)
        noise = torch.randn(size, centre.numel(), generator=ctx.generator, device=ctx.device, dtype=ctx.dtype)
        with torch.no_grad():
            y = graph(centre + sigma * noise)  # (size, m)
        top = y.amax(dim=1, keepdim=True)
        alone = ((y == top).sum(dim=1) == 1) & torch.isfinite(y).all(dim=1)
        counts += torch.bincount(y.argmax(dim=1)[alone], minlength=counts.numel()).cpu()
    return counts
