# SPDX-License-Identifier: Apache-2.0
"""`check_overflow`: a domain's bounds over boxes with infinite ends, and over boxes so large that numbers
overflow on the way, enclose what the operators compute or say nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor

from vnnverify.errors import UnsupportedOperator
from vnnverify.testing.operator_cases import OperatorCase, operator_cases
from vnnverify.testing.records import CheckFailure, CheckRecord, CheckSkipped, run_checks

__all__ = ["BatchBounds", "check_overflow"]

BatchBounds = Callable[..., tuple[Tensor, Tensor]]
"""(graph, lower (B, n), upper (B, n)), all of one float type -> bounds (B, m), (B, m) of the flat outputs;
NaN where nothing is known."""

BOXES, POINTS = 40, 48
PARTS = (1.0, 0.9, 0.3, 1e-8, 1e-18)
"""Sizes of ends, in parts of the largest number there is."""
FINITE = (-200.0, -50.0, -1.0, 0.0, 1.0, 50.0, 200.0)


def check_overflow(
    bounds: BatchBounds,
    dtype: torch.dtype,
    *,
    name: str = "domain",
    cases: Iterable[OperatorCase] | None = None,
    seed: int = 0,
) -> list[CheckRecord]:
    """Try a domain on every operator. What the operators compute is told in float64.

    Raises:
        CheckFailure: a bound does not hold.
    """
    checks = [
        (case.name, partial(_check, bounds, dtype, case, seed))
        for case in (operator_cases() if cases is None else cases)
    ]
    return run_checks(name, checks, {}, "raise")


def _check(bounds: BatchBounds, dtype: torch.dtype, case: OperatorCase, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    lower, upper = _boxes(case, dtype, generator)
    try:
        low, high = bounds(case.graph.to("cpu", dtype), lower, upper)
    except UnsupportedOperator as refusal:
        raise CheckSkipped(f"refused: {refusal}") from refusal
    x = _points(lower.double(), upper.double(), generator)  # (points, B, n)
    y = case.graph(x.flatten(0, 1)).reshape(*x.shape[:2], -1)
    low, high = low.double(), high.double()
    slack = 1e-12 * y.abs()
    outside = torch.isfinite(y) & ((y < low - slack) | (y > high + slack))
    if bool(outside.any()):
        point, box, output = (int(k) for k in outside.nonzero()[0])
        ends = f"[{float(low[box, output])!r}, {float(high[box, output])!r}]"
        raise CheckFailure(
            f"output {output} is {float(y[point, box, output])!r} at x = {x[point, box].tolist()}, outside "
            f"{ends}; the box is {lower[box].tolist()} to {upper[box].tolist()}"
        )


def _boxes(case: OperatorCase, dtype: torch.dtype, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Boxes (B, n) within the operator's domain, all of whose sides hold a finite number."""
    most = torch.finfo(dtype).max
    sizes = [math.inf, *(part * most for part in PARTS)]
    pool = torch.tensor([*FINITE, *sizes, *(-size for size in sizes)], dtype=torch.float64).to(dtype)
    shape = BOXES, case.graph.input_size
    ends = pool[torch.randint(len(pool), (2, *shape), generator=generator)]
    tame = torch.rand(shape, generator=generator) < torch.rand(BOXES, 1, generator=generator)
    ends = torch.where(
        tame, case.low + (case.high - case.low) * torch.rand(2, *shape, generator=generator), ends
    )
    if case.low > 0 or case.high < 0:  # defined on one side of zero
        ends = ends.abs() if case.low > 0 else -ends.abs()
    elif case.low > -1:
        ends = ends.clamp(case.low, case.high)
    return ends.amin(dim=0).clamp(max=most), ends.amax(dim=0).clamp(min=-most)


def _points(lower: Tensor, upper: Tensor, generator: torch.Generator) -> Tensor:
    """Finite points (points, B, n) of boxes in float64: corners, mixtures of ends, numbers of all sizes."""
    most = torch.finfo(torch.float64).max
    low, high = lower.clamp(-most, most), upper.clamp(-most, most)
    u = torch.rand(POINTS, *lower.shape, generator=generator, dtype=torch.float64)
    u[: POINTS // 2] = u[: POINTS // 2].round()
    order = 10.0 ** torch.randint(-2, 38, (POINTS, *lower.shape), generator=generator).double()
    small = order * torch.randn(order.shape, generator=generator, dtype=torch.float64)
    return torch.cat([low * (1 - u) + high * u, small]).clamp(low, high)
