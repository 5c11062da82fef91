# SPDX-License-Identifier: Apache-2.0
"""Does the graph compute what the module computes?"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from vnnverify.errors import ModelError
from vnnverify.ir import Graph, flat
from vnnverify.numerics import AGREEMENT, direct_convolutions

__all__ = ["check_against_module"]

SCALES = (0.0, 0.5, 1.0, 1.0, 3.0)
"""Standard deviations of the random inputs at which both are compared."""


def check_against_module(
    graph: Graph,
    module: nn.Module,
    shapes: Sequence[Sequence[int]],
    device: torch.device,
    dtype: torch.dtype,
) -> None:
    """Compare the graph with the module's own forward, at random points.

    A difference counts relative to the largest output of its point: `AGREEMENT` in float32, its square in
    float64.

    Raises:
        ModelError: they differ.
    """
    generator = torch.Generator().manual_seed(0)
    allowed = AGREEMENT if dtype == torch.float32 else AGREEMENT**2
    with torch.no_grad(), direct_convolutions():
        for scale in SCALES:
            points = [scale * torch.randn(*s, generator=generator, dtype=torch.float64) for s in shapes]
            inputs = [p.to(device, dtype) for p in points]
            theirs = _outputs(module(*inputs)).to(torch.float64)
            ours = graph(torch.cat([x.reshape(1, prod(x.shape)) for x in inputs], 1))[0].to(torch.float64)
            same = (ours == theirs) | (ours.isnan() & theirs.isnan())
            gap = torch.where(same, 0.0, (ours - theirs).abs()).nan_to_num(nan=torch.inf, posinf=torch.inf)
            size = torch.where(theirs.isfinite(), theirs.abs(), 0.0).amax().clamp(min=1e-12)
            if float(gap.max() / size) > allowed:
                raise ModelError(
                    f"the graph read from {type(module).__name__} differs from the module by "
                    f"{float(gap.max()):.3g} at a random input; please report this"
                )


def _outputs(found: object) -> Tensor:
    """All outputs of a module, side by side."""
    parts = found if isinstance(found, tuple | list) else [found]
    return torch.cat([flat(part[None])[0] for part in parts if isinstance(part, Tensor)])
