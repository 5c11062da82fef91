# SPDX-License-Identifier: Apache-2.0
"""`check_domain`: a domain's bounds enclose what the operators compute. Found out by sampling."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from vnnverify.errors import UnsupportedOperator
from vnnverify.ir import Elementwise, Graph, Node, Value
from vnnverify.ops.linear import Linear
from vnnverify.ops.piecewise import Relu
from vnnverify.ops.sums import Sum
from vnnverify.testing.backend_checks.support import Riddle
from vnnverify.testing.operator_cases import OperatorCase, operator_cases, single
from vnnverify.testing.records import CheckFailure, CheckRecord, CheckSkipped, demand, run_checks

__all__ = ["Bounds", "check_domain"]

Bounds = Callable[[Graph, Tensor, Tensor], tuple[Tensor, Tensor]]
"""(graph in float64, lower (n,), upper (n,)) -> bounds (m,), (m,) of the flat outputs over that box."""

SAMPLES = 400
WIDTHS = (0.0, 1e-6, 0.01, 0.25, 1.0)  # of the boxes, in parts of an operator's range
SCALES = (1e-6, 1e3)  # further sizes at which operators defined everywhere are tried
ROUNDING = 1e-13  # relative error granted to the samples, which float64 computes without care


@dataclass(frozen=True, slots=True)
class _Trial:
    """A domain and how it is tried."""

    bounds: Bounds
    seed: int
    narrowing: bool


def check_domain(
    bounds: Bounds,
    *,
    name: str = "domain",
    cases: Iterable[OperatorCase] | None = None,
    narrowing: bool = True,
    expected_failures: Mapping[str, str] | None = None,
    on_fail: str = "raise",
    seed: int = 0,
) -> list[CheckRecord]:
    """Try a domain on every operator, on small networks, and on an operator nobody knows.

    Args:
        bounds: the domain; adapt yours to this one signature.
        cases: operators to try; default: all built-in ones. Refused ones count as skipped.
        narrowing: whether a smaller box must not get wider bounds. It need not be so where slopes are
            chosen by a heuristic.
        expected_failures, on_fail: as for `check_backend`.

    Raises:
        CheckFailure: a case failed unexpectedly and `on_fail` is `raise`.
    """
    trial = _Trial(bounds, seed, narrowing)
    checks = [
        (case.name, partial(_check_case, trial, case.graph, case.low, case.high))
        for case in (operator_cases() if cases is None else cases)
    ]
    checks += [
        (f"network/{title}", partial(_check_case, trial, graph, -4.0, 4.0)) for title, graph in _networks()
    ]
    checks.append(("unknown operator", partial(_check_refusal, bounds)))
    return run_checks(name, checks, expected_failures or {}, on_fail)


def _networks() -> Iterator[tuple[str, Graph]]:
    generator = torch.Generator().manual_seed(5)

    def linear(rows: int, columns: int) -> Linear:
        weight = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
        return Linear(weight, torch.randn(rows, generator=generator, dtype=torch.float64))

    x, h, r, y, s = (Value(name, (size,)) for name, size in zip("xhrys", (3, 5, 5, 3, 3), strict=True))
    first = Node(linear(5, 3), (x,), h, "first")
    second = Node(Relu(), (h,), r, "relu")
    third = Node(linear(3, 5), (r,), y, "second")
    yield "two layers", Graph((x,), (y,), (first, second, third))
    yield "residual", Graph((x,), (s,), (first, second, third, Node(Sum((1, -1)), (y, x), s, "skip")))
    yield "two outputs", Graph((x,), (y, h), (first, second, third))
    yield "passed through", Graph((x,), (x,), ())


def _check_case(trial: _Trial, graph: Graph, low: float, high: float) -> None:
    generator = torch.Generator().manual_seed(trial.seed)
    for lower, upper in _boxes(graph.input_size, low, high, generator):
        try:
            found = trial.bounds(graph, lower, upper)
        except UnsupportedOperator as refusal:
            raise CheckSkipped(f"refused: {refusal}") from refusal
        _demand_shape(graph, found)
        _demand_enclosed(graph, lower, upper, found, generator)
        if trial.narrowing:
            third = (upper - lower) / 3
            inner = trial.bounds(graph, lower + third, upper - third)
            _demand_inside(inner, found)


def _boxes(n: int, low: float, high: float, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Boxes of all widths in [low, high]ⁿ; if that holds zero, also one-sided, mixed, tiny and huge ones."""
    for width in WIDTHS:
        for _ in range(3):
            extent = (high - low) * width * torch.rand(n, generator=generator, dtype=torch.float64)
            lower = low + torch.rand(n, generator=generator, dtype=torch.float64) * (high - low - extent)
            yield lower, lower + extent
    if low >= 0 or high <= 0:
        return
    zero, ones = torch.zeros(n, dtype=torch.float64), torch.ones(n, dtype=torch.float64)
    yield zero, zero
    yield zero, high * ones
    yield low * ones, zero
    yield -1e-9 * ones, high * ones
    even = torch.arange(n) % 2 == 0
    yield torch.where(even, low * ones, 0.5 * ones), torch.where(even, high * ones, 0.5 * ones)
    for scale in SCALES:
        centre = torch.randn(n, generator=generator, dtype=torch.float64) * scale
        yield centre - scale, centre + scale


def _points(graph: Graph, lower: Tensor, upper: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform points, corners, ends with one coordinate inside, and kinks: (count, n)."""
    n = lower.numel()
    u = torch.rand(SAMPLES, n, generator=generator, dtype=torch.float64)
    u[: SAMPLES // 2] = u[: SAMPLES // 2].round()
    u[SAMPLES // 4 : SAMPLES // 2, 0] = torch.rand(SAMPLES // 4, generator=generator, dtype=torch.float64)
    points = [lower + u * (upper - lower), lower[None], upper[None], (lower + upper)[None] / 2]
    for node in graph.nodes:
        for kink in (isinstance(node.op, Elementwise) and node.op.kinks) or (0.0,):
            points.append(torch.full((1, n), kink, dtype=torch.float64))
    return torch.clamp(torch.cat(points), min=lower, max=upper)


def _demand_shape(graph: Graph, found: tuple[Tensor, Tensor]) -> None:
    for bound in found:
        demand(
            bound.shape == (graph.output_size,),
            f"bounds have shape {tuple(bound.shape)}, not ({graph.output_size},)",
        )
        demand(not bool(bound.isnan().any()), "a bound is NaN; where nothing is known it must be infinite")
    demand(bool((found[0] <= found[1]).all()), "a lower bound lies above its upper bound")


def _demand_enclosed(
    graph: Graph, lower: Tensor, upper: Tensor, found: tuple[Tensor, Tensor], generator: torch.Generator
) -> None:
    x = _points(graph, lower, upper, generator)
    values = graph.evaluate(x)
    y = graph.join_outputs(values)
    size = torch.stack([v.abs().flatten(1).amax(dim=1) for v in values.values()]).amax(dim=0)  # (count,)
    slack = ROUNDING * torch.nan_to_num(size, nan=0.0)[:, None]
    low, high = (bound.to(torch.float64) for bound in found)
    outside = torch.isfinite(y) & ((y < low - slack) | (y > high + slack))
    if bool(outside.any()):
        point, output = (int(i) for i in outside.nonzero()[0])
        ends = f"[{low[output].item()!r}, {high[output].item()!r}]"
        raise CheckFailure(
            f"output {output} is {y[point, output].item()!r} at x = {x[point].tolist()}, outside "
            f"{ends}; the box is {lower.tolist()} to {upper.tolist()}"
        )


def _demand_inside(inner: tuple[Tensor, Tensor], outer: tuple[Tensor, Tensor]) -> None:
    slack = 1e-6 * (1 + torch.maximum(outer[0].abs(), outer[1].abs()))
    narrower = (inner[0] >= outer[0] - slack) & (inner[1] <= outer[1] + slack)
    unknown = torch.isinf(outer[0]) | torch.isinf(outer[1])
    demand(bool((narrower | unknown).all()), "a smaller box got wider bounds")


def _check_refusal(bounds: Bounds) -> None:
    ends = torch.zeros(2, dtype=torch.float64)
    try:
        bounds(single(Riddle(), (2,)), ends, ends + 1)
    except UnsupportedOperator as refusal:
        demand("Riddle" in str(refusal), f"the refusal does not name the operator: {refusal}")
        return
    raise CheckFailure("an operator without rule, trait and parts must raise UnsupportedOperator")
