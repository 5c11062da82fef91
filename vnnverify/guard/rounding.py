# SPDX-License-Identifier: Apache-2.0
"""How far rounding may move the outputs of a network at a point, as far as that can be observed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import floor, log2, sqrt

import torch
from torch import Tensor

from vnnverify.guard.moments import cancelled
from vnnverify.ir import Affine, Elementwise, Graph, Op
from vnnverify.numerics import unit_roundoff
from vnnverify.ops.rounding import Rounded

__all__ = ["observed_rounding", "scattered", "tensor_scale"]

OBSERVED = 16.0
"""Rounding errors of a float32 evaluation of the graph itself that another one may be off by."""
FLOOR = 32.0
"""Unit roundoffs, of the largest element of an output tensor, that it may be off by in any case: functions as
tanh or erf are computed to a few units in the last place here and to some more there."""
NOISE = 8.0
"""Local rounding errors up to which the value of each node is moved at random."""
LEAST_NOISE = 4.0
"""Unit roundoffs that an operator which rounds at all counts as rounding by at least."""
SAMPLES = 22
"""Evaluations with noise."""
ON_GRID = 6
"""Of these, so many in which noise is rounding to a grid as wide, so that values which are nearly equal, or
nearly zero, may become exactly so: that is where some steps part."""
SCATTER = 4.0
"""How many times as far as the farthest of those another evaluation may lie."""

SINGLE = unit_roundoff(torch.float32)
COARSE_TYPES = {unit_roundoff(kind): kind for kind in (torch.float16, torch.bfloat16)}
"""Types with fewer digits than float32, by their unit roundoff."""


def tensor_scale(y: Tensor, sizes: Sequence[int]) -> Tensor:
    """The largest finite absolute value in each output tensor, for each of its elements: (b, m) -> (b, m)."""
    finite = torch.where(torch.isfinite(y), y.abs(), 0.0)
    parts = [finite[:, a:b] for a, b in pairwise(accumulate(sizes, initial=0))]
    return torch.cat([p.amax(dim=1, keepdim=True).expand_as(p) if p.numel() else p for p in parts], dim=1)


def observed_rounding(y: Tensor, narrow: Tensor, sizes: Sequence[int], roundoff: float = SINGLE) -> Tensor:
    """What each output may differ by from a model that computes with the unit roundoff `roundoff`: (b, m).

    Args:
        y: the graph's outputs in float64, (b, m).
        narrow: the same computed in float32. The largest difference within a tensor is the observed
            forward rounding error of the tensor.
        sizes: elements of each output tensor.
    """
    gap = (narrow.double() - y).abs().nan_to_num(nan=0.0, posinf=0.0)
    return (OBSERVED * tensor_scale(gap, sizes) + FLOOR * SINGLE * tensor_scale(y, sizes)) * (
        roundoff / SINGLE
    )


def scattered(graph: Graph, x: Tensor, roundoff: float, generator: torch.Generator) -> Tensor:
    """How far rounding inside the network may move each output (m,) at the point x (n,), by Monte Carlo
    arithmetic: each node's value is moved at random by some of its own rounding errors, many times.

    Where an argument of a step lies within rounding of the jump, some evaluations fall on either side. What
    is computed exactly, as whole numbers are, is not moved. `graph` should be as the model has it, without
    simplifications, which round less.

    Source: Parker, Monte Carlo Arithmetic, 1997.
    """
    narrow = graph.to("cpu", torch.float32)
    point = x[None]
    with torch.no_grad():
        exact = graph.evaluate(point)
        subtracted = cancelled(graph, exact)
        noise: dict[int, float] = {}
        for index, (node, small) in enumerate(zip(graph.nodes, narrow.nodes, strict=True)):
            args = [exact[v].float() for v in node.inputs]
            wide = node.op(*(a.double() for a in args))
            gap = (small.op(*args).double() - wide).abs().nan_to_num(nan=0.0, posinf=0.0)
            local = gap.amax() if gap.numel() else 0.0
            size = _size(wide)
            if isinstance(node.op, Elementwise) and node.op.ulps > 1:
                size = max(size, 1.0)  # computed with absolute errors near its tails
            local = max(float(local), _of_terms(node.op, small.op, args))
            if index in subtracted:
                local = max(local, SINGLE * subtracted[index])
            least = LEAST_NOISE * SINGLE * size
            rounds = local > 0 or _is_rounded_in(COARSE_TYPES.get(roundoff), wide)
            noise[index] = NOISE * max(local, least) * roundoff / SINGLE if rounds else 0.0
            if isinstance(node.op, Rounded) and COARSE_TYPES.get(2.0**-node.op.digits):
                # a runtime without operators of this type computes in float32, and may leave roundings out
                noise[index] = max(noise[index], 2 * _size(wide - args[0].double()))
        farthest = torch.zeros(graph.output_size, dtype=torch.float64)
        middle = graph.join_outputs(exact)[0]
        values = graph.split_inputs(point.expand(SAMPLES, -1))
        for index, node in enumerate(graph.nodes):
            z = node.op(*(values[v] for v in node.inputs))
            z = z if node.inputs else z.expand(SAMPLES, *node.output.shape)
            if noise[index]:
                shaken = z + noise[index] * (2 * torch.rand(z.shape, generator=generator, dtype=z.dtype) - 1)
                z = torch.cat([torch.round(z[:ON_GRID] / noise[index]) * noise[index], shaken[ON_GRID:]])
            values[node.output] = z
        moved = graph.join_outputs(values)
        farthest = (moved - middle).abs().nan_to_num(nan=float("inf")).amax(dim=0)
    return SCATTER * farthest


def _of_terms(op: Op, narrow: Op, args: Sequence[Tensor]) -> float:
    """What a sum of many terms is probably off by in some order, if it is not exact in every one: a unit
    roundoff of the sum of the terms' absolute values, over the root of their number. In the order of one
    evaluation it may happen to be exact.

    Source: Higham and Mary, A New Approach to Probabilistic Rounding Error Analysis, 2019.
    """
    if not isinstance(op, Affine) or not isinstance(narrow, Affine) or op.fan_in <= 2:
        return 0.0
    total = op.magnitude(*(a.abs().double() for a in args))
    size = _size(total)
    spacing = (
        2.0 * SINGLE * 2.0 ** floor(log2(size)) if size > 0 else 1.0
    )  # of float32 numbers as large as it
    on_grid = all(bool((torch.remainder(a.double(), spacing) == 0).all()) for a in args)
    if on_grid and bool((narrow.magnitude(*(a.abs() for a in args)).double() == total).all()):
        return 0.0
    return SINGLE * size / sqrt(op.fan_in)


def _is_rounded_in(kind: torch.dtype | None, z: Tensor) -> bool:
    """Whether some of the numbers are none of this type, so that a model which computes in it rounds them."""
    return kind is not None and bool((z.to(kind).double() != z).any())


def _size(z: Tensor) -> float:
    finite = torch.where(torch.isfinite(z), z.abs(), 0.0)
    return float(finite.amax()) if finite.numel() else 0.0
