# SPDX-License-Identifier: Apache-2.0
"""`check_operator`: what an operator states about itself is true. Domains rely on nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import partial
from math import prod

import torch
from torch import Tensor

from vnnverify.ir import Affine, Bilinear, Composite, Elementwise, Maximum, Op, Shape
from vnnverify.testing.operator_cases import OperatorCase
from vnnverify.testing.records import CheckRecord, CheckSkipped, demand, run_checks

__all__ = ["check_operator"]

POINTS = 64
CLOSE = 1e-9  # relative; laws are tested in float64
SLOPES = (0.0, 0.3, 1.0, -0.5, 4.0)


def check_operator(
    op: Op,
    *shapes: Shape,
    low: float = -4.0,
    high: float = 4.0,
    expected_failures: Mapping[str, str] | None = None,
    on_fail: str = "raise",
) -> list[CheckRecord]:
    """Check the laws of an operator's trait on inputs of the given ONNX shapes, numbers in [low, high].

    Raises:
        CheckFailure: a law does not hold and `on_fail` is `raise`.
    """
    case = OperatorCase(op.kind, op, shapes, low, high)
    laws = (
        check_pure_function,
        check_float32,
        check_parts_agree,
        check_linear,
        check_adjoint,
        check_magnitude,
        check_derivative,
        check_turning_points,
        check_kinks,
        check_bilinear,
        check_groups,
    )
    checks = [(law.__name__, partial(law, case)) for law in laws]
    return run_checks(op.kind, checks, expected_failures or {}, on_fail)


def inputs(case: OperatorCase, count: int = POINTS, seed: int = 0) -> list[Tensor]:
    """Random inputs (count, *shape)."""
    generator = torch.Generator().manual_seed(seed)
    return [
        case.low
        + (case.high - case.low) * torch.rand(count, *shape, generator=generator, dtype=torch.float64)
        for shape in case.shapes
    ]


def close(a: Tensor, b: Tensor, tolerance: float = CLOSE) -> bool:
    """Whether two tensors agree relative to their larger entry."""
    size = 1.0 + max(float(a.abs().max()) if a.numel() else 0.0, float(b.abs().max()) if b.numel() else 0.0)
    return a.shape == b.shape and bool(((a - b).abs() <= tolerance * size).all())


def check_pure_function(case: OperatorCase) -> None:
    """Inputs are not changed, points of a batch do not mix, and `output_shape` tells the shape."""
    xs = inputs(case)
    copies = [x.clone() for x in xs]
    whole = case.op(*xs)
    demand(all(map(torch.equal, xs, copies)), "the operator changes its inputs")
    shape = case.op.output_shape(*case.shapes)
    demand(tuple(whole.shape) == (POINTS, *shape), f"the value has shape {tuple(whole.shape)}")
    single = torch.cat([case.op(*(x[k : k + 1] for x in xs)) for k in range(4)])
    demand(close(whole[:4], single), "a point's value depends on the other points of its batch")


def check_float32(case: OperatorCase) -> None:
    """`to` gives the same function in float32, and leaves the original as it was."""
    xs = inputs(case)
    before = case.op(*xs)
    narrow = case.op.to("cpu", torch.float32)(*(x.float() for x in xs))
    demand(narrow.dtype == torch.float32, "the float32 operator computes in another type")
    jumps = isinstance(case.op, Elementwise) and not close(before, narrow.double(), 1e-4)
    share = float(((before - narrow.double()).abs() > 1e-4 * (1 + before.abs())).double().mean())
    demand(share < 0.01 if jumps else close(before, narrow.double(), 1e-4), "float32 gives another function")
    demand(torch.equal(case.op(*xs), before), "`to` changed the original operator")


def check_parts_agree(case: OperatorCase) -> None:
    """`decompose` computes the same function."""
    parts = case.op.decompose(*case.shapes)
    if parts is None:
        demand(not isinstance(case.op, Composite), "a composite operator must have parts")
        raise CheckSkipped("it has no parts")
    xs = inputs(case)
    y = parts(torch.cat([x.flatten(1) for x in xs], dim=1))
    demand(close(case.op(*xs).flatten(1), y), "the parts compute another function")
    demand(
        tuple(v.shape for v in parts.inputs) == tuple(case.shapes) and len(parts.outputs) == 1,
        "the parts must take the operator's inputs and give one output",
    )


def matrix(case: OperatorCase, op: Affine, *, absolute: bool) -> Tensor:
    """`linear` or `magnitude` as a dense matrix (out, in)."""
    sizes = [prod(shape) for shape in case.shapes]
    units = torch.split(torch.eye(sum(sizes), dtype=torch.float64), sizes, dim=1)
    parts = [unit.reshape(-1, *shape) for unit, shape in zip(units, case.shapes, strict=True)]
    return (op.magnitude(*parts) if absolute else op.linear(*parts)).flatten(1).T


def affine(case: OperatorCase) -> Affine:
    """The operator, if it is affine."""
    if not isinstance(case.op, Affine):
        raise CheckSkipped("it is not affine")
    return case.op


def check_linear(case: OperatorCase) -> None:
    """The value is W x + b with the W that `linear` applies, and the fan counts cover W's products."""
    op, xs = affine(case), inputs(case)
    W = matrix(case, op, absolute=False)
    x = torch.cat([part.flatten(1) for part in xs], dim=1)
    shape = case.op.output_shape(*case.shapes)
    b = torch.zeros(shape, dtype=torch.float64) if op.offset is None else op.offset.expand(shape)
    demand(close(op(*xs).flatten(1), x @ W.T + b.flatten()), "the value is not linear(x) + offset")
    most = int((W != 0).sum(dim=1).max()), int((W != 0).sum(dim=0).max())
    for title, count, products in (("fan_in", op.fan_in, most[0]), ("fan_out", op.fan_out, most[1])):
        demand(
            count >= products or (count == 0 and products <= 1), f"{title} is {count}, but {products} add up"
        )
        demand(count > 0 or bool(((W == 0) | (W.abs() == 1)).all()), f"{title} is 0, but numbers are scaled")


def check_adjoint(case: OperatorCase) -> None:
    """<linear(x), r> = <x, adjoint(r)>."""
    op = affine(case)
    W = matrix(case, op, absolute=False)
    shape = op.output_shape(*case.shapes)
    rows = torch.randn(5, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    parts = op.adjoint(rows, *case.shapes)
    demand(
        [tuple(part.shape) for part in parts] == [(5, *s) for s in case.shapes],
        f"adjoint gives shapes {[tuple(part.shape) for part in parts]}",
    )
    flat = torch.cat([part.flatten(1) for part in parts], dim=1)
    demand(close(flat, rows.flatten(1) @ W), "adjoint is not the transpose of linear")


def check_magnitude(case: OperatorCase) -> None:
    """`magnitude` applies |W|, or something larger."""
    op = affine(case)
    W, M = matrix(case, op, absolute=False), matrix(case, op, absolute=True)
    short = W.abs() - M > CLOSE * (1 + W.abs())
    demand(not bool(short.any()), "magnitude is smaller than |W|")


def elementwise(case: OperatorCase) -> Elementwise:
    """The operator, if it is elementwise."""
    if not isinstance(case.op, Elementwise):
        raise CheckSkipped("it is not elementwise")
    return case.op


def check_derivative(case: OperatorCase) -> None:
    """`derivative` agrees with central differences, save next to kinks and jumps."""
    op = elementwise(case)
    h = 1e-6 * (case.high - case.low)
    x = torch.linspace(case.low + 0.0137, case.high - 0.0173, 997, dtype=torch.float64)
    slope = (op(x + h) - op(x - h)) / (2 * h)
    good = (op.derivative(x) - slope).abs() <= 1e-4 * (1 + slope.abs())
    demand(float(good.double().mean()) > 0.99, "derivative disagrees with finite differences")


def check_turning_points(case: OperatorCase) -> None:
    """f(x) − s·x takes its extremes over an interval at the ends or at a turning point."""
    op = elementwise(case)
    generator = torch.Generator().manual_seed(2)
    ends = case.low + (case.high - case.low) * torch.rand(50, 2, generator=generator, dtype=torch.float64)
    lower, upper = ends.amin(dim=1), ends.amax(dim=1)
    grid = lower + torch.linspace(0, 1, 2001, dtype=torch.float64)[:, None] * (upper - lower)
    for slope in SLOPES:
        s = torch.full_like(lower, slope)
        least, most = torch.full_like(lower, float("inf")), torch.full_like(lower, -float("inf"))
        for point in (lower, upper, *op.turning_points(s, lower, upper)):
            inside = (point >= lower) & (point <= upper)
            x = torch.where(inside, point, lower)
            least, most = torch.minimum(least, op(x) - s * x), torch.maximum(most, op(x) - s * x)
        values = op(grid) - slope * grid
        slack = CLOSE * (1 + values.abs().amax(dim=0))
        missed = (values.amin(dim=0) < least - slack) | (values.amax(dim=0) > most + slack)
        if bool(missed.any()):
            k = int(missed.nonzero()[0, 0])
            where = f"[{lower[k].item():.6g}, {upper[k].item():.6g}]"
            demand(False, f"an extreme of f(x) − {slope}·x over {where} is at no turning point")


def check_kinks(case: OperatorCase) -> None:
    """Between kinks the function is a straight line, and it does not jump at them."""
    op = elementwise(case)
    if op.kinks is None:
        raise CheckSkipped("it is not piecewise linear")
    ends = sorted({case.low, case.high, *(k for k in op.kinks if case.low < k < case.high)})
    for low, high in itertools.pairwise(ends):
        t = torch.linspace(0, 1, 101, dtype=torch.float64)
        f = op(low + t * (high - low))
        demand(close(f, f[0] + t * (f[-1] - f[0])), f"it is no straight line between {low} and {high}")


def check_bilinear(case: OperatorCase) -> None:
    """Linear in each of the two inputs while the other stays."""
    if not isinstance(case.op, Bilinear):
        raise CheckSkipped("it is not bilinear")
    x, y = inputs(case)
    u, v = inputs(case, seed=1)
    op = case.op
    demand(close(op(2 * x + u, y), 2 * op(x, y) + op(u, y)), "it is not linear in its first input")
    demand(close(op(x, 2 * y + v), 2 * op(x, y) + op(x, v)), "it is not linear in its second input")


def check_groups(case: OperatorCase) -> None:
    """The value is the largest element of each group."""
    if not isinstance(case.op, Maximum):
        raise CheckSkipped("it is not a maximum")
    xs = inputs(case)
    flat = torch.cat([x.flatten(1) for x in xs], dim=1)
    groups = case.op.groups(*case.shapes)
    demand(
        torch.equal(flat[:, groups].amax(dim=2), case.op(*xs).flatten(1)),
        "groups do not give the operator's value",
    )
